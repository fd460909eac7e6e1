/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>

#include "core/buf.h"

/*
 * Everything that reaches the terminal goes through here. Text of hosts, devices and peers is data:
 * control characters, bidirectional overrides and bytes that are not UTF-8 are shown as escapes, so
 * that a device's model string cannot steer the reader's terminal.
 */
struct output {
	FILE *file;
	bool json;
	bool colour;
	bool utc;
	unsigned width; /* columns of the terminal; 0 = not a terminal, nothing is cut */
};

enum output_colour {
	OUTPUT_PLAIN,
	OUTPUT_RED,
	OUTPUT_YELLOW,
	OUTPUT_GREEN,
	OUTPUT_BOLD,
	OUTPUT_DIM
};

/* Looks at the terminal, NO_COLOR (no-color.org) and COLUMNS. */
void output_init(struct output *output, FILE *file);
/* Appends @text with everything unprintable escaped. */
int output_escape(struct buf *out, const char *text, size_t len);
/* Columns that UTF-8 text takes: code points; wide characters count one (names of devices are
 * ASCII). */
size_t output_columns(const char *text, size_t len);
const char *output_colour_on(const struct output *output, enum output_colour colour);
const char *output_colour_off(const struct output *output, enum output_colour colour);
enum output_colour output_severity_colour(unsigned severity);
enum output_colour output_life_colour(unsigned life);

/* One line of text, escaped. */
void output_line(struct output *output, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* One line that is escaped already. Flushed, because it may be one of a stream. */
void output_raw_line(struct output *output, const struct buf *line);
/* One JSON object on one line; takes the reference. -ENOMEM for NULL. */
int output_json(struct output *output, struct json_object *object);
int output_message(struct output *output, const ProtobufCMessage *message);
