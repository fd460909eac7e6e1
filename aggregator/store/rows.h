/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/codec.h"
#include "proto/wire.h"

/*
 * The events of a batch, one after the other, as every implementer of the store wants them. An
 * event is checked in full (a bad one would poison each answer that carries it), without unpacking.
 */
struct row_reader {
	struct wire_reader wire;
};

struct row {
	const uint8_t *event;
	size_t event_size;
	struct codec_event_head head; /* valid if !reject */
	const char *reject;	      /* NULL, or why it is not an event; static */
};

#define ROW_E_END 1
void row_reader_init(struct row_reader *reader, const uint8_t *events, size_t events_size);
/* 0; ROW_E_END; -EBADMSG: the framing itself is broken. */
int row_next(struct row_reader *reader, struct row *ret_row);
/* Frames only: how many; -EBADMSG if not exactly back to back. */
int row_count(const uint8_t *events, size_t events_size, uint32_t *ret_count);
