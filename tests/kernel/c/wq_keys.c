/* SPDX-License-Identifier: Apache-2.0 */
/* Guest program of test_watch_queue.py: makes keys under the user keyring and changes them. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/uapi/linux/keyctl.h. */
#define USER_KEYRING (-4)
enum {
	REVOKE = 3,
	SETPERM = 5,
	CLEAR = 7,
	UNLINK = 9,
	SEARCH = 10,
	INVALIDATE = 21,
};

static long check(long r, const char *what)
{
	if (r >= 0)
		return r;
	fprintf(stderr, "wq_keys: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long key_call(int operation, long a, long b)
{
	return syscall(SYS_keyctl, operation, a, b, 0L, 0L);
}

static int32_t key_add(const char *type, const char *name, const char *value, long ring)
{
	return (int32_t)check(
		syscall(SYS_add_key, type, name, value, value ? strlen(value) : 0, ring), name);
}

static int32_t key_find(const char *type, const char *name)
{
	return (int32_t)check(syscall(SYS_keyctl, SEARCH, (long)USER_KEYRING, type, name, 0L),
			      name);
}

static void make(void)
{
	int32_t ring = key_add("keyring", "pathbell-ring", NULL, USER_KEYRING);

	key_add("user", "watched", "1", ring);
	key_add("user", "doomed", "1", USER_KEYRING);
}

/* Seven of the eight subtypes; prints what was done, in order, with the keys' serial numbers. */
static void change(void)
{
	int32_t ring = key_find("keyring", "pathbell-ring"), watched = key_find("user", "watched");
	int32_t doomed = key_find("user", "doomed"), extra;

	key_add("user", "watched", "2", ring);
	printf("updated %d 0\n", watched);
	check(key_call(SETPERM, watched, 0x3f3f0000), "setperm");
	printf("setattr %d 0\n", watched);
	extra = key_add("user", "extra", "1", ring);
	printf("linked %d %d\n", ring, extra);
	check(key_call(UNLINK, extra, ring), "unlink");
	printf("unlinked %d %d\n", ring, extra);
	check(key_call(REVOKE, watched, 0), "revoke");
	printf("revoked %d 0\n", watched);
	check(key_call(INVALIDATE, doomed, 0), "invalidate");
	printf("invalidated %d 0\n", doomed);
	check(key_call(CLEAR, ring, 0), "clear");
	printf("cleared %d 0\n", ring);
}

/* The watched key comes back under another serial number. */
static void again(void)
{
	printf("again %d 0\n",
	       key_add("user", "watched", "3", key_find("keyring", "pathbell-ring")));
}

static void update(void)
{
	printf("again %d 0\n",
	       key_add("user", "watched", "4", key_find("keyring", "pathbell-ring")));
}

static void flood(int n)
{
	int32_t ring = key_find("keyring", "pathbell-ring");
	char name[32];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "flood-%d", i);
		key_add("user", name, "1", ring);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "make") == 0)
		make();
	else if (strcmp(what, "change") == 0)
		change();
	else if (strcmp(what, "again") == 0)
		again();
	else if (strcmp(what, "update") == 0)
		update();
	else if (strcmp(what, "flood") == 0 && argc > 2)
		flood(atoi(argv[2]));
	else
		return 2;
	return 0;
}
