/* SPDX-License-Identifier: Apache-2.0 */
#include "actions/sheet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SHEET_MARK 64 /* bytes kept for the mark at the end */
#define SHEET_LINE 4096

struct sheet_shared {
	size_t size, cut;
	char data[];
};

/* What bounds the reader is not shared. */
struct sheet {
	size_t max; /* bytes of text */
	struct sheet_shared *shared;
};

static size_t sheet_mapping(const struct sheet *sheet)
{
	return sizeof(*sheet->shared) + sheet->max + SHEET_MARK;
}

struct sheet *sheet_new(size_t max)
{
	struct sheet *sheet = calloc(1, sizeof(*sheet));

	if (!sheet)
		return NULL;
	sheet->max = max;
	sheet->shared = mmap(NULL, sheet_mapping(sheet), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sheet->shared != MAP_FAILED)
		return sheet;
	free(sheet);
	return NULL;
}

struct sheet *sheet_free(struct sheet *sheet)
{
	if (sheet)
		munmap(sheet->shared, sheet_mapping(sheet));
	free(sheet);
	return NULL;
}

void sheet_print(struct sheet *sheet, const char *format, ...)
{
	struct sheet_shared *shared = sheet->shared;
	char line[SHEET_LINE];
	va_list args;
	size_t room = sheet->max - shared->size, len;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n < 0)
		return;
	len = (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
	if (len > room) {
		shared->cut += len - room;
		len = room;
	}
	memcpy(shared->data + shared->size, line, len);
	shared->size += len;
}

size_t sheet_size(const struct sheet *sheet)
{
	return sheet->shared->size;
}

bool sheet_is_cut(const struct sheet *sheet)
{
	return sheet->shared->cut > 0;
}

const char *sheet_end(struct sheet *sheet, size_t *ret_size)
{
	struct sheet_shared *shared = sheet->shared;
	size_t size = shared->size < sheet->max ? shared->size : sheet->max;
	int n = 0;

	if (shared->cut)
		n = snprintf(shared->data + size, SHEET_MARK, "\n[cut: %zu more bytes]\n",
			     shared->cut);
	*ret_size = size + (size_t)(n > 0 ? n : 0);
	return shared->data;
}
