/* SPDX-License-Identifier: Apache-2.0 */
#include "core/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_DEFAULT_MAX	 (64u << 20)
#define BUF_MIN_CAPACITY 64u

int buf_reserve(struct buf *buf, size_t more)
{
	size_t max = buf->max ? buf->max : BUF_DEFAULT_MAX;
	size_t capacity = buf->capacity ? buf->capacity : BUF_MIN_CAPACITY;
	uint8_t *data;

	if (more <= buf->capacity - buf->size)
		return 0;
	if (buf->size > max || more > max - buf->size)
		return -ENOBUFS;
	while (capacity < buf->size + more)
		capacity = capacity > max / 2 ? max : capacity * 2;
	if (capacity > max)
		capacity = max;

	data = realloc(buf->data, capacity);
	if (!data)
		return -ENOMEM;
	buf->data = data;
	buf->capacity = capacity;
	return 0;
}

int buf_append(struct buf *buf, const void *data, size_t size)
{
	int r = buf_reserve(buf, size);

	if (r < 0)
		return r;
	if (size > 0)
		memcpy(buf->data + buf->size, data, size);
	buf->size += size;
	return 0;
}

int buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	char *text;
	int n, r;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return -EINVAL;

	/* vsnprintf ends with a NUL, for which the limit of the buffer may leave no room. */
	text = malloc((size_t)n + 1);
	if (!text)
		return -ENOMEM;
	va_start(args, format);
	vsnprintf(text, (size_t)n + 1, format, args);
	va_end(args);
	r = buf_append(buf, text, (size_t)n);
	free(text);
	return r;
}

void buf_consume(struct buf *buf, size_t n)
{
	assert(n <= buf->size);

	if (n > 0 && n < buf->size)
		memmove(buf->data, buf->data + n, buf->size - n);
	buf->size -= n;
}

void buf_reset(struct buf *buf)
{
	buf->size = 0;
}

void buf_deinit(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){ .max = buf->max };
}
