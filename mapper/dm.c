/* SPDX-License-Identifier: Apache-2.0 */
#include "mapper/dm.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdalign.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/fd.h"

#define DM_BUFFER_FIRST 65536
#define DM_BUFFER_MAX	(16 << 20)

/* Lines are "MINOR NAME", misc_seq_show, drivers/char/misc.c, Linux 6.12. */
bool dm_is_present(void)
{
	char text[4096];
	int fd = open("/proc/misc", O_RDONLY | O_CLOEXEC);
	ssize_t size;

	if (fd < 0)
		return false;
	size = fd_read_all(fd, text, sizeof(text) - 1);
	fd_close(fd);
	if (size < 0)
		return false;
	text[size] = '\0';
	return strstr(text, " device-mapper\n") != NULL;
}

int dm_open(void)
{
	int fd = open(DM_CONTROL, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static void dm_prepare(struct dm_ioctl *head, size_t size, uint32_t flags)
{
	memset(head, 0, sizeof(*head));
	/* The kernel refuses a higher minor than its own: ask for what every kernel has. */
	head->version[0] = DM_VERSION_MAJOR;
	head->data_size = (uint32_t)size;
	head->data_start = sizeof(*head);
	head->flags = flags;
}

int dm_arm_poll(int fd)
{
	struct dm_ioctl head;

	dm_prepare(&head, sizeof(head), 0);
	return ioctl(fd, DM_DEV_ARM_POLL, &head) == 0 ? 0 : -errno;
}

static int dm_buffer_grow(struct dm_buffer *buffer, size_t size)
{
	void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (data == MAP_FAILED)
		return -errno;
	dm_buffer_free(buffer);
	buffer->data = data;
	buffer->size = size;
	return 0;
}

void dm_buffer_free(struct dm_buffer *buffer)
{
	if (buffer->data != NULL)
		munmap(buffer->data, buffer->size);
	*buffer = (struct dm_buffer){ 0 };
}

/* The answer tells of a buffer that was too small by a flag, not by an error. */
static int dm_call(int fd, unsigned long request, struct dm_buffer *buffer, uint32_t flags,
		   uint64_t dev)
{
	int r = buffer->data == NULL ? dm_buffer_grow(buffer, DM_BUFFER_FIRST) : 0;

	while (r == 0) {
		struct dm_ioctl *head = buffer->data;

		assert(head != NULL);
		dm_prepare(head, buffer->size, flags);
		head->dev = dev;
		if (ioctl(fd, request, head) != 0)
			return -errno;
		if ((head->flags & DM_BUFFER_FULL_FLAG) == 0)
			return head->data_start <= buffer->size ? 0 : -EBADMSG;
		if (buffer->size >= DM_BUFFER_MAX)
			return -E2BIG;
		r = dm_buffer_grow(buffer, buffer->size * 4);
	}
	return r;
}

int dm_list(int fd, struct dm_buffer *buffer)
{
	return dm_call(fd, DM_LIST_DEVICES, buffer, 0, 0);
}

/*
 * struct dm_name_list: dev, next, name; then, since 4.37 of the interface (Linux 4.13), event_nr
 * at the next multiple of 8 (list_devices, drivers/md/dm-ioctl.c, Linux 6.12). An empty list is one
 * entry with dev 0. @offset is from the start of the buffer.
 */
bool dm_list_next(const struct dm_buffer *buffer, size_t *offset, struct dm_entry *ret_entry)
{
	const struct dm_ioctl *head = buffer->data;
	const char *base = buffer->data;
	struct dm_name_list item;
	size_t at = *offset == 0 ? head->data_start : *offset, name_len, event_at;

	if (at >= buffer->size || buffer->size - at < sizeof(item))
		return false;
	memcpy(&item, base + at, sizeof(item));
	name_len = strnlen(base + at + offsetof(struct dm_name_list, name),
			   buffer->size - at - offsetof(struct dm_name_list, name));
	event_at = at + offsetof(struct dm_name_list, name) + name_len + 1;
	event_at = (event_at + 7) & ~(size_t)7;
	if (item.dev == 0 || event_at + sizeof(uint32_t) > buffer->size)
		return false;
	*ret_entry = (struct dm_entry){ .name = base + at + offsetof(struct dm_name_list, name),
					.major = major(item.dev),
					.minor = minor(item.dev) };
	if (head->version[1] >= 37)
		memcpy(&ret_entry->event_nr, base + event_at, sizeof(uint32_t));
	*offset = item.next == 0 ? buffer->size : at + item.next;
	return true;
}

int dm_table_status(int fd, struct dm_buffer *buffer, uint32_t major, uint32_t minor, bool table,
		    struct dm_status *ret_status)
{
	uint32_t flags = DM_NOFLUSH_FLAG | (table ? DM_STATUS_TABLE_FLAG : 0);
	struct dm_target_spec spec;
	const struct dm_ioctl *head;
	const char *base;
	int r = dm_call(fd, DM_TABLE_STATUS, buffer, flags, makedev(major, minor));

	if (r < 0)
		return r;
	head = buffer->data;
	base = buffer->data;
	*ret_status = (struct dm_status){ .target = "",
					  .text = "",
					  .name = head->name,
					  .uuid = head->uuid,
					  .suspended = (head->flags & DM_SUSPEND_FLAG) != 0,
					  .n_targets = head->target_count };
	if (head->target_count == 0)
		return 0;
	if (buffer->size - head->data_start <= sizeof(spec))
		return -EBADMSG;
	memcpy(&spec, base + head->data_start, sizeof(spec));
	ret_status->target = base + head->data_start + offsetof(struct dm_target_spec, target_type);
	ret_status->text = base + head->data_start + sizeof(spec);
	return 0;
}

/* The answer, which some targets write over the message, is not used. */
int dm_message(int fd, struct dm_buffer *buffer, uint32_t major, uint32_t minor,
	       const char *message)
{
	size_t len = strlen(message) + 1, size;
	struct dm_target_msg head = { .sector = 0 };
	struct dm_ioctl *ioctl_head;
	int r = buffer->data == NULL ? dm_buffer_grow(buffer, DM_BUFFER_FIRST) : 0;

	if (r < 0)
		return r;
	size = sizeof(*ioctl_head) + sizeof(head) + len;
	if (size > buffer->size)
		return -E2BIG;
	ioctl_head = buffer->data;
	assert(ioctl_head != NULL);
	dm_prepare(ioctl_head, buffer->size, 0);
	ioctl_head->dev = makedev(major, minor);
	memcpy((char *)buffer->data + sizeof(*ioctl_head), &head, sizeof(head));
	memcpy((char *)buffer->data + sizeof(*ioctl_head) + sizeof(head), message, len);
	return ioctl(fd, DM_TARGET_MSG, ioctl_head) == 0 ? 0 : -errno;
}
