/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/replay/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/crc32c.h"
#include "core/fd.h"

/* Twice the largest record, so that a whole one always fits behind what is left of the one before.
 */
#define RECORDING_BUFFER (2 * (RECORDING_EVENT_MAX + RECORDING_HEAD_SIZE))

struct recording {
	int fd;
	size_t pos, end; /* unread bytes of the buffer */
	uint8_t buffer[RECORDING_BUFFER];
};

static uint32_t recording_u32(const uint8_t *data)
{
	return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
	       (uint32_t)data[3] << 24;
}

/* Makes at least @size bytes available. 0, RECORDING_E_END (nothing left), -EBADMSG (ends in the
 * middle), -errno. */
static int recording_fill(struct recording *recording, size_t size)
{
	while (recording->end - recording->pos < size) {
		ssize_t n;

		if (recording->pos > 0) {
			memmove(recording->buffer, recording->buffer + recording->pos,
				recording->end - recording->pos);
			recording->end -= recording->pos;
			recording->pos = 0;
		}
		n = read(recording->fd, recording->buffer + recording->end,
			 sizeof(recording->buffer) - recording->end);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return recording->end == 0 ? RECORDING_E_END : -EBADMSG;
		recording->end += (size_t)n;
	}
	return 0;
}

static int recording_read_magic(struct recording *recording)
{
	int r = recording_fill(recording, RECORDING_MAGIC_SIZE);

	if (r != 0)
		return r < 0 ? r : -EBADMSG;
	if (memcmp(recording->buffer + recording->pos, RECORDING_MAGIC, RECORDING_MAGIC_SIZE) != 0)
		return -EBADMSG;
	recording->pos += RECORDING_MAGIC_SIZE;
	return 0;
}

int recording_open_fd(struct recording **ret_recording, int fd)
{
	struct recording *recording = malloc(sizeof(*recording));
	int r;

	if (recording == NULL) {
		fd_close(fd);
		return -ENOMEM;
	}
	recording->fd = fd;
	recording->pos = recording->end = 0;
	r = recording_read_magic(recording);
	if (r < 0) {
		recording_close(recording);
		return r;
	}
	*ret_recording = recording;
	return 0;
}

int recording_open(struct recording **ret_recording, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	return recording_open_fd(ret_recording, fd);
}

struct recording *recording_close(struct recording *recording)
{
	if (recording == NULL)
		return NULL;
	fd_close(recording->fd);
	free(recording);
	return NULL;
}

int recording_rewind(struct recording *recording)
{
	if (lseek(recording->fd, 0, SEEK_SET) < 0)
		return -errno;
	recording->pos = recording->end = 0;
	return recording_read_magic(recording);
}

int recording_next(struct recording *recording, const uint8_t **ret_data, size_t *ret_size)
{
	uint32_t size, crc;
	const uint8_t *head;
	int r = recording_fill(recording, RECORDING_HEAD_SIZE);

	if (r != 0)
		return r;
	head = recording->buffer + recording->pos;
	size = recording_u32(head);
	crc = recording_u32(head + 4);
	if (size == 0 || size > RECORDING_EVENT_MAX)
		return -EBADMSG;
	r = recording_fill(recording, RECORDING_HEAD_SIZE + size);
	if (r != 0)
		return r < 0 ? r : -EBADMSG;
	head = recording->buffer + recording->pos;
	recording->pos += RECORDING_HEAD_SIZE + size;
	if (crc32c(0, head + RECORDING_HEAD_SIZE, size) != crc)
		return RECORDING_E_BAD;
	*ret_data = head + RECORDING_HEAD_SIZE;
	*ret_size = size;
	return 0;
}

static void recording_put_u32(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)value;
	out[1] = (uint8_t)(value >> 8);
	out[2] = (uint8_t)(value >> 16);
	out[3] = (uint8_t)(value >> 24);
}

int recording_write_head(FILE *file)
{
	return fwrite(RECORDING_MAGIC, RECORDING_MAGIC_SIZE, 1, file) == 1 ? 0 : -EIO;
}

int recording_write(FILE *file, const void *event, size_t size)
{
	uint8_t head[RECORDING_HEAD_SIZE];

	if (size == 0 || size > RECORDING_EVENT_MAX)
		return -EMSGSIZE;
	recording_put_u32(head, (uint32_t)size);
	recording_put_u32(head + 4, crc32c(0, event, size));
	if (fwrite(head, sizeof(head), 1, file) != 1 || fwrite(event, size, 1, file) != 1)
		return -EIO;
	return 0;
}
