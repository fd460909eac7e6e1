/* SPDX-License-Identifier: Apache-2.0 */
/* What the pre-scan relies on is true of every schema: not recursive, narrow, all repeated fields
 * bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/file.h"
#include "proto/scan.h"
#include "schemas.h"

typedef void (*visit)(const ProtobufCMessageDescriptor *schema, void *data);

/* Calls @on_visit for every message below @schema; @path are its ancestors. Returns the deepest
 * nesting. */
static unsigned walk(const ProtobufCMessageDescriptor *schema,
		     const ProtobufCMessageDescriptor **path, unsigned depth, visit on_visit,
		     void *data)
{
	unsigned deepest = depth + 1;

	assert_true(depth < SCAN_MAX_DEPTH);
	for (unsigned n = 0; n < depth; n++)
		if (path[n] == schema)
			fail_msg("%s contains itself", schema->name);
	path[depth] = schema;
	on_visit(schema, data);
	for (unsigned n = 0; n < schema->n_fields; n++) {
		unsigned below;

		if (schema->fields[n].type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		below = walk(schema->fields[n].descriptor, path, depth + 1, on_visit, data);
		deepest = below > deepest ? below : deepest;
	}
	return deepest;
}

static void check_message(const ProtobufCMessageDescriptor *schema, void *data)
{
	assert_true(schema->n_fields <= SCAN_MAX_SCHEMA_FIELDS);
	for (unsigned n = 0; n < schema->n_fields; n++) {
		const ProtobufCFieldDescriptor *field = &schema->fields[n];

		/* The bisection of scan_find. */
		assert_true(n == 0 || schema->fields[n - 1].id < field->id);
		if (field->label != PROTOBUF_C_LABEL_REPEATED)
			continue;
		if (scan_stated_maximum(schema, field->id) == 0)
			fail_msg("%s.%s has no stated maximum", schema->name, field->name);
	}
}

static void test_not_recursive_and_bounded(void **state)
{
	const ProtobufCMessageDescriptor *path[SCAN_MAX_DEPTH];

	for (size_t n = 0; n < SCHEMAS_N; n++)
		assert_true(walk(schemas_roots[n], path, 0, check_message, NULL) <=
			    scan_limits_response.max_depth);
}

static void ignore(const ProtobufCMessageDescriptor *schema, void *data)
{
}

static void test_depth_limits_leave_room(void **state)
{
	const ProtobufCMessageDescriptor *path[SCAN_MAX_DEPTH];
	unsigned event, up;

	event = walk(&pathbell__v1__event__descriptor, path, 0, ignore, NULL);
	up = walk(&pathbell__v1__events_up__descriptor, path, 0, ignore, NULL);
	assert_true(event < scan_limits_event.max_depth);
	assert_true(up < scan_limits_stream.max_depth);
	assert_true(event + 2 <
		    scan_limits_response.max_depth); /* QueryEventsResponse, StoredEvent */
}

struct statement {
	char message[64];
	char field[64];
	unsigned number, maximum;
};

/* "  repeated Attribute extra = 12; // ...; at most 32" */
static bool read_statement(const char *line, struct statement *statement)
{
	const char *text = line + strspn(line, " ");
	const char *most = strstr(line, "at most ");
	const char *range = strstr(line, "1 to ");

	if (strncmp(text, "repeated ", 9) != 0)
		return false;
	assert_int_equal(
		sscanf(text, "repeated %*s %63s = %u", statement->field, &statement->number), 2);
	if (most)
		statement->maximum = (unsigned)strtoul(most + strlen("at most "), NULL, 10);
	else if (range)
		statement->maximum = (unsigned)strtoul(range + strlen("1 to "), NULL, 10);
	else
		fail_msg("%s.%s: no maximum in its comment", statement->message, statement->field);
	return true;
}

struct search {
	const char *name;
	const ProtobufCMessageDescriptor *found;
};

static void match(const ProtobufCMessageDescriptor *schema, void *data)
{
	struct search *search = data;

	if (strcmp(schema->short_name, search->name) == 0)
		search->found = schema;
}

static const ProtobufCMessageDescriptor *find_message(const char *name)
{
	const ProtobufCMessageDescriptor *path[SCAN_MAX_DEPTH];
	struct search search = { .name = name };

	for (size_t n = 0; n < SCHEMAS_N && !search.found; n++)
		walk(schemas_roots[n], path, 0, match, &search);
	if (!search.found)
		fail_msg("message %s cannot be reached from any root", name);
	return search.found;
}

static size_t compare_file(const char *file)
{
	struct statement statement = { 0 };
	char path[512], *text, *save = NULL;
	size_t size, n = 0;

	snprintf(path, sizeof(path), "%s/pathbell/v1/%s", PATHBELL_PROTO_ROOT, file);
	assert_int_equal(file_read(path, 1 << 20, &text, &size), 0);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "message %63s", statement.message) == 1)
			continue;
		if (!read_statement(line, &statement))
			continue;
		if (scan_stated_maximum(find_message(statement.message), statement.number) !=
		    statement.maximum)
			fail_msg("%s.%s: the comment says %u", statement.message, statement.field,
				 statement.maximum);
		n++;
	}
	free(text);
	return n;
}

static void test_maxima_are_those_of_the_comments(void **state)
{
	size_t n = 0;

	n += compare_file("event.proto");
	n += compare_file("command.proto");
	n += compare_file("ingest.proto");
	n += compare_file("fleet.proto");
	n += compare_file("local.proto");
	assert_int_equal(n, 39);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_recursive_and_bounded),
		cmocka_unit_test(test_depth_limits_leave_room),
		cmocka_unit_test(test_maxima_are_those_of_the_comments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
