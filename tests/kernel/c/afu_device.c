/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * CAPI AFUs for tests, over the raw kernel interfaces of CUSE (a device node) and FUSE (two plain
 * files, afu0.0m and afu1.0m, where there is no CUSE):
 *
 *   afu_device cuse NAME      makes /dev/NAME, for example cxl/afu0.0m
 *   afu_device fuse FOLDER    mounts on FOLDER
 *
 * It answers as drivers/misc/cxl/file.c of 6.12 does: EINVAL below 4096 bytes, one event for each
 * read, EAGAIN, EIO and POLLERR when closed. Standard input takes lines that begin with the number
 * of the AFU, numbers in hexadecimal:
 *
 *   0 irq PE NUMBER | 0 dsi PE ADDRESS DSISR | 0 error PE VALUE | 0 driver PE TEXT
 *   0 raw HEX (a whole record) | 0 fault (the next read gives EFAULT) | 0 close | 0 up
 *
 * Standard output says "ready", "open N", "closed N", and "start FLAGS WED IRQS" for START_WORK.
 */
#define N_AFUS	    2
#define MAX_RECORDS 512
#define MAX_RECORD  4096
#define READ_SIZE   4096
#define BUFFER_SIZE (1 << 17)
#define ROOT_ID	    1
#define FIRST_ID    2

struct record {
	size_t size;
	uint8_t data[MAX_RECORD];
};

struct afu {
	struct record records[MAX_RECORDS];
	unsigned first, n;
	bool closed, fault, has_poll;
	uint64_t poll_handle;
};

static struct afu afus[N_AFUS];
static int channel;
static bool is_cuse;
static uint8_t buffer[BUFFER_SIZE];

static void answer(uint64_t unique, int error, const void *data, size_t size)
{
	struct fuse_out_header head = { .len = (uint32_t)(sizeof(head) + size),
					.error = error,
					.unique = unique };
	struct iovec parts[2] = { { &head, sizeof(head) }, { (void *)data, size } };

	if (writev(channel, parts, size > 0 ? 2 : 1) < 0 && errno != ENOENT)
		perror("afu_device: answer");
}

static void wake(struct afu *afu)
{
	struct fuse_notify_poll_wakeup_out out = { .kh = afu->poll_handle };

	if (afu->has_poll)
		answer(0, FUSE_NOTIFY_POLL, &out, sizeof(out));
	afu->has_poll = false;
}

/* Commands. */

static void put(uint8_t *data, uint64_t value, size_t size)
{
	memcpy(data, &value, size); /* little endian, as this machine */
}

static struct record *add(struct afu *afu, unsigned type, unsigned pe, size_t size)
{
	struct record *record = &afu->records[(afu->first + afu->n) % MAX_RECORDS];

	if (afu->n == MAX_RECORDS || size > MAX_RECORD) {
		fprintf(stderr, "afu_device: no room\n");
		exit(1);
	}
	afu->n++;
	memset(record->data, 0, size);
	record->size = size;
	put(record->data, type, 2);
	put(record->data + 2, size, 2);
	put(record->data + 4, pe, 2);
	return record;
}

static void add_raw(struct afu *afu, const char *hex)
{
	struct record *record = add(afu, 0, 0, 8);
	unsigned byte;

	for (record->size = 0; record->size < MAX_RECORD && sscanf(hex, "%2x", &byte) == 1;
	     hex += 2)
		record->data[record->size++] = (uint8_t)byte;
}

static void command(char *line)
{
	unsigned number, pe;
	uint64_t a, b;
	int rest = 0;
	struct afu *afu;

	if (sscanf(line, "%u %n", &number, &rest) != 1 || number >= N_AFUS || rest == 0)
		return;
	afu = &afus[number];
	line += rest;
	if (sscanf(line, "irq %x %lx", &pe, &a) == 2) {
		put(add(afu, 1, pe, 16)->data + 10, a, 2);
	} else if (sscanf(line, "dsi %x %lx %lx", &pe, &a, &b) == 3) {
		struct record *record = add(afu, 2, pe, 40);

		put(record->data + 16, a, 8);
		put(record->data + 24, b, 8);
	} else if (sscanf(line, "error %x %lx", &pe, &a) == 2) {
		put(add(afu, 3, pe, 24)->data + 16, a, 8);
	} else if (sscanf(line, "driver %x %n", &pe, &rest) == 1) {
		memcpy(add(afu, 4, pe, 8 + strlen(line + rest))->data + 8, line + rest,
		       strlen(line + rest));
	} else if (strncmp(line, "raw ", 4) == 0) {
		add_raw(afu, line + 4);
	} else if (strcmp(line, "fault") == 0) {
		afu->fault = true;
	} else {
		afu->closed = strcmp(line, "close") == 0;
	}
	wake(afu);
}

/* False: nobody commands any more. */
static bool read_commands(void)
{
	static char text[16384];
	static size_t len;
	ssize_t n = read(STDIN_FILENO, text + len, sizeof(text) - 1 - len);
	char *end;

	if (n <= 0)
		return false;
	len += (size_t)n;
	text[len] = '\0';
	while ((end = strchr(text, '\n')) != NULL) {
		*end = '\0';
		command(text);
		len -= (size_t)(end + 1 - text);
		memmove(text, end + 1, len + 1);
	}
	return true;
}

/* Requests. */

static struct afu *afu_of(const struct fuse_in_header *head)
{
	uint64_t index = is_cuse ? 0 : head->nodeid - FIRST_ID;

	return index < N_AFUS ? &afus[index] : &afus[0];
}

static void do_open(const struct fuse_in_header *head)
{
	struct fuse_open_out out = { .open_flags = FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE };
	struct afu *afu = afu_of(head);

	if (afu->closed) {
		answer(head->unique, -EIO, NULL, 0);
		return;
	}
	answer(head->unique, 0, &out, sizeof(out));
	printf("open %d\n", (int)(afu - afus));
}

static void do_release(const struct fuse_in_header *head)
{
	answer(head->unique, 0, NULL, 0);
	printf("closed %d\n", (int)(afu_of(head) - afus));
}

static void do_read(const struct fuse_in_header *head)
{
	const struct fuse_read_in *in = (const void *)(head + 1);
	struct afu *afu = afu_of(head);
	const struct record *record = &afu->records[afu->first];

	if (in->size < READ_SIZE) {
		answer(head->unique, -EINVAL, NULL, 0);
	} else if (afu->fault) {
		afu->fault = false;
		answer(head->unique, -EFAULT, NULL, 0);
	} else if (afu->n > 0) {
		answer(head->unique, 0, record->data, record->size);
		afu->first = (afu->first + 1) % MAX_RECORDS;
		afu->n--;
	} else {
		answer(head->unique, afu->closed ? -EIO : -EAGAIN, NULL, 0);
	}
}

static void do_poll(const struct fuse_in_header *head)
{
	const struct fuse_poll_in *in = (const void *)(head + 1);
	struct afu *afu = afu_of(head);
	struct fuse_poll_out out = { .revents = 0 };

	if (afu->n > 0 || afu->fault)
		out.revents = POLLIN | POLLRDNORM;
	else if (afu->closed)
		out.revents = POLLERR;
	if ((in->flags & FUSE_POLL_SCHEDULE_NOTIFY) != 0) {
		afu->poll_handle = in->kh;
		afu->has_poll = true;
	}
	answer(head->unique, 0, &out, sizeof(out));
}

/* START_WORK: struct cxl_ioctl_start_work, 64 bytes, number 0xCA/0x00. */
static void do_ioctl(const struct fuse_in_header *head)
{
	const struct fuse_ioctl_in *in = (const void *)(head + 1);
	const uint8_t *data = (const uint8_t *)(in + 1);
	struct fuse_ioctl_out out = { 0 };
	uint64_t flags, wed;
	int16_t irqs;

	if ((in->cmd & 0xffff) != 0xca00 || in->in_size != 64) {
		answer(head->unique, -ENOTTY, NULL, 0);
		return;
	}
	memcpy(&flags, data, sizeof(flags));
	memcpy(&wed, data + 8, sizeof(wed));
	memcpy(&irqs, data + 24, sizeof(irqs));
	answer(head->unique, 0, &out, sizeof(out));
	printf("start %lx %lx %d\n", flags, wed, irqs);
}

static void do_lookup(const struct fuse_in_header *head)
{
	const char *name = (const char *)(head + 1);
	struct fuse_entry_out out = { .generation = 1, .entry_valid = 60, .attr_valid = 60 };
	unsigned number;

	if (sscanf(name, "afu%u.0m", &number) != 1 || number >= N_AFUS) {
		answer(head->unique, -ENOENT, NULL, 0);
		return;
	}
	out.nodeid = out.attr.ino = FIRST_ID + number;
	out.attr.mode = S_IFREG | 0600;
	out.attr.nlink = 1;
	answer(head->unique, 0, &out, sizeof(out));
}

static void do_getattr(const struct fuse_in_header *head)
{
	struct fuse_attr_out out = { .attr_valid = 60 };

	out.attr.ino = head->nodeid;
	out.attr.mode = head->nodeid == ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0600;
	out.attr.nlink = 1;
	answer(head->unique, 0, &out, sizeof(out));
}

static void do_init(const struct fuse_in_header *head)
{
	struct fuse_init_out out = { .major = 7, .minor = 31, .max_write = 65536 };

	answer(head->unique, 0, &out, sizeof(out));
	printf("ready\n");
}

static void do_cuse_init(const struct fuse_in_header *head, const char *name)
{
	struct cuse_init_out out = {
		.major = 7, .minor = 31, .max_read = 65536, .max_write = 65536
	};
	char text[512];
	int len;

	memcpy(text, &out, sizeof(out));
	len = snprintf(text + sizeof(out), sizeof(text) - sizeof(out), "DEVNAME=%s", name);
	answer(head->unique, 0, text, sizeof(out) + (size_t)len + 1);
	printf("ready\n");
}

static void serve(const char *name)
{
	const struct fuse_in_header *head = (const void *)buffer;
	ssize_t n = read(channel, buffer, sizeof(buffer));

	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
		return;
	if (n < (ssize_t)sizeof(*head))
		exit(0);
	switch (head->opcode) {
	case CUSE_INIT:
		do_cuse_init(head, name);
		break;
	case FUSE_INIT:
		do_init(head);
		break;
	case FUSE_LOOKUP:
		do_lookup(head);
		break;
	case FUSE_GETATTR:
		do_getattr(head);
		break;
	case FUSE_OPEN:
		do_open(head);
		break;
	case FUSE_READ:
		do_read(head);
		break;
	case FUSE_POLL:
		do_poll(head);
		break;
	case FUSE_IOCTL:
		do_ioctl(head);
		break;
	case FUSE_RELEASE:
		do_release(head);
		break;
	case FUSE_FLUSH:
		answer(head->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(head->unique, -ENOSYS, NULL, 0);
		break;
	}
}

static int start(const char *name)
{
	char options[128];

	channel = open(is_cuse ? "/dev/cuse" : "/dev/fuse", O_RDWR | O_CLOEXEC);
	if (channel < 0 || is_cuse)
		return channel < 0 ? -1 : 0;
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", channel);
	return mount("afu", name, "fuse.afu", MS_NOSUID | MS_NODEV, options);
}

int main(int argc, char **argv)
{
	struct pollfd polls[2] = { { .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };

	if (argc != 3) {
		fprintf(stderr, "usage: afu_device cuse NAME | fuse FOLDER\n");
		return 2;
	}
	is_cuse = strcmp(argv[1], "cuse") == 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (start(argv[2]) < 0) {
		perror("afu_device");
		return 77;
	}
	polls[0].fd = channel;
	for (;;) {
		if (poll(polls, 2, -1) < 0)
			continue;
		if (polls[1].revents != 0 && !read_commands())
			return 0;
		if ((polls[0].revents & POLLIN) != 0)
			serve(argv[2]);
		else if (polls[0].revents != 0)
			return 0;
	}
}
