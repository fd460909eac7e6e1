/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/file.h"

static char folder[64];

static const char *in_folder(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int n_entries(void)
{
	DIR *dir = opendir(folder);
	int n = -2; /* . and .. */

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/pathbell-file-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	(void)state;
	while ((entry = readdir(dir))) {
		if (unlink(in_folder(entry->d_name)) < 0)
			rmdir(in_folder(entry->d_name));
	}
	closedir(dir);
	return rmdir(folder);
}

static void test_replace_and_read(void **state)
{
	char *data;
	size_t size;
	struct stat st;

	(void)state;
	assert_int_equal(file_replace(in_folder("a"), "first", 5, 0644), 0);
	assert_int_equal(file_replace(in_folder("a"), "sec\0nd", 6, 0600), 0);
	assert_int_equal(file_read(in_folder("a"), 6, &data, &size), 0);
	assert_int_equal(size, 6);
	assert_memory_equal(data, "sec\0nd", 7);
	free(data);
	assert_int_equal(stat(in_folder("a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(n_entries(), 1);
	assert_int_equal(file_replace(in_folder("a"), "", 0, 0600), 0);
	assert_int_equal(file_read(in_folder("a"), 0, &data, &size), 0);
	assert_int_equal(size, 0);
	free(data);
}

static void test_replace_that_fails_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(file_replace(in_folder("none/a"), "x", 1, 0600), -ENOENT);
	assert_int_equal(mkdir(in_folder("d"), 0700), 0);
	assert_int_equal(file_replace(in_folder("d"), "x", 1, 0600), -EISDIR);
	assert_int_equal(n_entries(), 1);
}

/* A write that fails half way: the temporary file goes, the old one stays. */
static void test_replace_that_runs_out_of_room(void **state)
{
	static char large[8192];
	int status = -1;
	char *data;
	size_t size;
	pid_t pid;

	(void)state;
	assert_int_equal(file_replace(in_folder("a"), "old", 3, 0600), 0);
	pid = fork();
	if (pid == 0) {
		const struct rlimit limit = { 4096, 4096 };

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(file_replace(in_folder("a"), large, sizeof(large), 0600) == -EFBIG ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(n_entries(), 1);
	assert_int_equal(file_read(in_folder("a"), 10, &data, &size), 0);
	assert_memory_equal(data, "old", 4);
	free(data);
}

static void test_read_limits(void **state)
{
	static char large[10000];
	char *data = NULL;
	size_t size = 0;

	(void)state;
	memset(large, 'x', sizeof(large));
	assert_int_equal(file_replace(in_folder("a"), large, sizeof(large), 0600), 0);
	for (size_t max = 0; max < sizeof(large); max += 999)
		assert_int_equal(file_read(in_folder("a"), max, &data, &size), -EFBIG);
	assert_null(data);
	assert_int_equal(file_read(in_folder("a"), SIZE_MAX, &data, &size), 0);
	assert_int_equal(size, sizeof(large));
	free(data);
	assert_int_equal(file_read("/dev/zero", 100000, &data, &size), -EFBIG);
	assert_int_equal(file_read(in_folder("none"), 10, &data, &size), -ENOENT);
	assert_int_equal(file_read(folder, 10, &data, &size), -EISDIR);
	/* st_size is 0 there. */
	assert_int_equal(file_read("/proc/self/status", 65536, &data, &size), 0);
	assert_true(size > 100);
	free(data);
}

static void test_read_line(void **state)
{
	char line[16];

	(void)state;
	file_replace(in_folder("a"), " \t some text \r\nnext\n", 20, 0600);
	assert_int_equal(file_read_line(AT_FDCWD, in_folder("a"), line, sizeof(line)), 0);
	assert_string_equal(line, "some text");
	assert_int_equal(file_read_line(AT_FDCWD, in_folder("a"), line, 10), 0);
	assert_int_equal(file_read_line(AT_FDCWD, in_folder("a"), line, 9), -ENOBUFS);
	file_replace(in_folder("a"), "", 0, 0600);
	assert_int_equal(file_read_line(AT_FDCWD, in_folder("a"), line, sizeof(line)), 0);
	assert_string_equal(line, "");
	assert_int_equal(file_read_line(AT_FDCWD, in_folder("b"), line, sizeof(line)), -ENOENT);
}

static void test_mkdirs(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(file_mkdirs(in_folder("x"), 0750), 0);
	assert_int_equal(file_mkdirs(in_folder("x/y//z/"), 0700), 0);
	assert_int_equal(stat(in_folder("x/y/z"), &st), 0);
	assert_int_equal(file_mkdirs(in_folder("x/y/z"), 0700), 0);
	assert_int_equal(file_sync_dir(in_folder("x/y/z")), 0);
	assert_int_equal(file_replace(in_folder("f"), "", 0, 0600), 0);
	assert_int_equal(file_mkdirs(in_folder("f"), 0700), -ENOTDIR);
	assert_int_equal(file_mkdirs(in_folder("f/g"), 0700), -ENOTDIR);
	assert_int_equal(file_mkdirs("", 0700), -ENOENT);
	assert_int_equal(file_sync_dir(in_folder("f")), -ENOTDIR);
	rmdir(in_folder("x/y/z"));
	rmdir(in_folder("x/y"));
}

static void test_fd_helpers(void **state)
{
	_cleanup_fd_ int fd = open("/dev/null", O_RDWR);
	int closed = dup(fd);

	(void)state;
	assert_int_equal(fd_set_nonblock(fd), 0);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_set_cloexec(fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	errno = EPROTO;
	assert_int_equal(fd_close(closed), -1);
	assert_int_equal(fd_close(-1), -1);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(fd_set_nonblock(closed), -EBADF);
	assert_int_equal(fd_write_all(closed, "x", 1), -EBADF);
	assert_int_equal(fd_read_all(closed, &closed, 1), -EBADF);
}

#define file_test(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		file_test(test_replace_and_read),
		file_test(test_replace_that_fails_changes_nothing),
		file_test(test_replace_that_runs_out_of_room),
		file_test(test_read_limits),
		file_test(test_read_line),
		file_test(test_mkdirs),
		cmocka_unit_test(test_fd_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
