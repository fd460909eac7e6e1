/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Growable bytes with a limit. Zero-initialise with .max set; buf_deinit frees. */
struct buf {
	uint8_t *data;
	size_t size;	 /* used */
	size_t capacity; /* allocated, size <= capacity <= max */
	size_t max;	 /* 0: 64 MiB */
};

/* Makes room for @more bytes after size. 0, -ENOMEM, or -ENOBUFS above max. */
int buf_reserve(struct buf *buf, size_t more);
int buf_append(struct buf *buf, const void *data, size_t size);
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Removes @n bytes at the front (n <= size). */
void buf_consume(struct buf *buf, size_t n);
void buf_reset(struct buf *buf); /* size = 0, memory kept */
void buf_deinit(struct buf *buf);
