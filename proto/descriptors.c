/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/descriptors.h"

#include <stdio.h>
#include <string.h>

#include "proto/wire.h"

/* Field numbers of google/protobuf/descriptor.proto. */
enum descriptors_number {
	DESCRIPTORS_SET_FILE = 1,
	DESCRIPTORS_NAME = 1, /* of every declaration */
	DESCRIPTORS_FILE_PACKAGE = 2,
	DESCRIPTORS_FILE_DEPENDENCY = 3,
	DESCRIPTORS_FILE_SERVICE = 6,
};

enum descriptors_type {
	DESCRIPTORS_FILE,
	DESCRIPTORS_MESSAGE,
	DESCRIPTORS_ENUM,
	DESCRIPTORS_SERVICE,
	DESCRIPTORS_LEAF, /* field, oneof, enum value, method: a name and no scope */
};

/* What a declaration may hold, and in which field. */
struct descriptors_rule {
	enum descriptors_type parent;
	uint32_t number;
	enum descriptors_type child;
};

static const struct descriptors_rule descriptors_rules[] = {
	{ DESCRIPTORS_FILE, 4, DESCRIPTORS_MESSAGE },
	{ DESCRIPTORS_FILE, 5, DESCRIPTORS_ENUM },
	{ DESCRIPTORS_FILE, 6, DESCRIPTORS_SERVICE },
	{ DESCRIPTORS_MESSAGE, 2, DESCRIPTORS_LEAF },
	{ DESCRIPTORS_MESSAGE, 3, DESCRIPTORS_MESSAGE },
	{ DESCRIPTORS_MESSAGE, 4, DESCRIPTORS_ENUM },
	{ DESCRIPTORS_MESSAGE, 8, DESCRIPTORS_LEAF },
	{ DESCRIPTORS_SERVICE, 2, DESCRIPTORS_LEAF },
	{ DESCRIPTORS_ENUM, 2, DESCRIPTORS_LEAF },
};

static bool descriptors_match(enum descriptors_type type, const struct wire_field *bytes,
			      const char *symbol);

const uint8_t *descriptors_set(size_t *ret_size)
{
	*ret_size = descriptors_bytes_size;
	return descriptors_bytes;
}

/* First field @number of @data; an empty one when there is none. */
static struct wire_field descriptors_get(const uint8_t *data, size_t size, uint32_t number)
{
	struct wire_field field, none = { 0 };
	struct wire_reader reader;

	wire_reader_init(&reader, data, size);
	while (wire_next(&reader, &field) == 0)
		if (field.number == number && field.type == WIRE_BYTES)
			return field;
	return none;
}

static bool descriptors_equal(const struct wire_field *name, const char *text)
{
	return strlen(text) == name->size && memcmp(text, name->data, name->size) == 0;
}

/* The rest of @symbol behind "@scope."; all of it for an empty scope; NULL when it lies elsewhere.
 */
static const char *descriptors_inside(const struct wire_field *scope, const char *symbol)
{
	if (scope->size == 0)
		return symbol;
	if (strncmp(symbol, (const char *)scope->data, scope->size) != 0 ||
	    symbol[scope->size] != '.')
		return NULL;
	return symbol + scope->size + 1;
}

static enum descriptors_type descriptors_child(enum descriptors_type parent, uint32_t number)
{
	for (size_t n = 0; n < sizeof(descriptors_rules) / sizeof(descriptors_rules[0]); n++)
		if (descriptors_rules[n].parent == parent && descriptors_rules[n].number == number)
			return descriptors_rules[n].child;
	return DESCRIPTORS_FILE; /* nothing holds a file: not a declaration */
}

static bool descriptors_match_children(enum descriptors_type type, const struct wire_field *bytes,
				       const char *symbol)
{
	enum descriptors_type child;
	struct wire_reader reader;
	struct wire_field field;

	wire_reader_init(&reader, bytes->data, bytes->size);
	while (wire_next(&reader, &field) == 0) {
		child = descriptors_child(type, field.number);
		if (child != DESCRIPTORS_FILE && descriptors_match(child, &field, symbol))
			return true;
	}
	return false;
}

/* @symbol is relative to the scope that holds @bytes. The depth is that of the schemas' nesting. */
static bool descriptors_match(enum descriptors_type type, const struct wire_field *bytes,
			      const char *symbol)
{
	uint32_t number = type == DESCRIPTORS_FILE ? DESCRIPTORS_FILE_PACKAGE : DESCRIPTORS_NAME;
	struct wire_field name = descriptors_get(bytes->data, bytes->size, number);
	const char *rest;

	if (type != DESCRIPTORS_FILE && descriptors_equal(&name, symbol))
		return true;
	if (type == DESCRIPTORS_LEAF)
		return false;
	/* Values of an enum are named in the scope around it, as in C++. */
	rest = type == DESCRIPTORS_ENUM ? symbol : descriptors_inside(&name, symbol);
	return rest && descriptors_match_children(type, bytes, rest);
}

/* The next file of the set; false at its end. */
static bool descriptors_next(struct wire_reader *reader, struct descriptors_file *ret_file)
{
	struct wire_field field, name;

	while (wire_next(reader, &field) == 0) {
		if (field.number != DESCRIPTORS_SET_FILE || field.type != WIRE_BYTES)
			continue;
		name = descriptors_get(field.data, field.size, DESCRIPTORS_NAME);
		ret_file->name = (const char *)name.data;
		ret_file->name_len = name.size;
		ret_file->data = field.data;
		ret_file->size = field.size;
		return true;
	}
	return false;
}

static bool descriptors_find_bytes(const uint8_t *name, size_t len,
				   struct descriptors_file *ret_file)
{
	struct descriptors_file file;
	struct wire_reader reader;

	wire_reader_init(&reader, descriptors_bytes, descriptors_bytes_size);
	while (descriptors_next(&reader, &file)) {
		if (file.name_len != len || memcmp(file.name, name, len) != 0)
			continue;
		*ret_file = file;
		return true;
	}
	return false;
}

bool descriptors_find_file(const char *name, struct descriptors_file *ret_file)
{
	return descriptors_find_bytes((const uint8_t *)name, strlen(name), ret_file);
}

bool descriptors_find_symbol(const char *symbol, struct descriptors_file *ret_file)
{
	struct descriptors_file file;
	struct wire_reader reader;
	struct wire_field bytes = { 0 };

	if (*symbol == '.')
		symbol++;
	wire_reader_init(&reader, descriptors_bytes, descriptors_bytes_size);
	while (*symbol && descriptors_next(&reader, &file)) {
		bytes.data = file.data;
		bytes.size = file.size;
		if (!descriptors_match(DESCRIPTORS_FILE, &bytes, symbol))
			continue;
		*ret_file = file;
		return true;
	}
	return false;
}

/* Appends @file unless it is there or no room is left. */
static size_t descriptors_add(struct descriptors_file *files, size_t n_files,
			      const struct descriptors_file *file)
{
	for (size_t n = 0; n < n_files; n++)
		if (files[n].data == file->data)
			return n_files;
	if (n_files == DESCRIPTORS_MAX_FILES)
		return n_files;
	files[n_files] = *file;
	return n_files + 1;
}

size_t descriptors_closure(const struct descriptors_file *file,
			   struct descriptors_file ret_files[DESCRIPTORS_MAX_FILES])
{
	struct descriptors_file found;
	struct wire_reader reader;
	struct wire_field field;
	size_t n_files = descriptors_add(ret_files, 0, file);

	for (size_t n = 0; n < n_files; n++) {
		wire_reader_init(&reader, ret_files[n].data, ret_files[n].size);
		while (wire_next(&reader, &field) == 0)
			if (field.number == DESCRIPTORS_FILE_DEPENDENCY &&
			    descriptors_find_bytes(field.data, field.size, &found))
				n_files = descriptors_add(ret_files, n_files, &found);
	}
	return n_files;
}

size_t descriptors_services(char ret_names[DESCRIPTORS_MAX_SERVICES][DESCRIPTORS_MAX_NAME])
{
	struct wire_field field, name, package;
	struct wire_reader set, reader;
	struct descriptors_file file;
	size_t n = 0;

	wire_reader_init(&set, descriptors_bytes, descriptors_bytes_size);
	while (descriptors_next(&set, &file)) {
		package = descriptors_get(file.data, file.size, DESCRIPTORS_FILE_PACKAGE);
		wire_reader_init(&reader, file.data, file.size);
		while (n < DESCRIPTORS_MAX_SERVICES && wire_next(&reader, &field) == 0) {
			if (field.number != DESCRIPTORS_FILE_SERVICE)
				continue;
			name = descriptors_get(field.data, field.size, DESCRIPTORS_NAME);
			snprintf(ret_names[n++], DESCRIPTORS_MAX_NAME, "%.*s%s%.*s",
				 (int)package.size, (const char *)package.data,
				 package.size > 0 ? "." : "", (int)name.size,
				 (const char *)name.data);
		}
	}
	return n;
}
