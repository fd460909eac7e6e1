/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "collectors/watch_queue/decode.h"
#include "core/errmsg.h"

/*
 * The notification pipe of 5.8 and later. The write end stays open, or the read end would report
 * a hang-up for ever. A pending loss record does not make the pipe readable: read until
 * PIPE_E_EMPTY on every wake-up, which fetches it.
 */
#define PIPE_MAX_NOTES	 512 /* kernel/watch_queue.c, 5.8 to 7.2 */
#define PIPE_BUFFER_SIZE 4096

struct pipe_queue {
	int read_fd, write_fd; /* -1 = closed */
	size_t used, at;       /* of buffer: unread records are [at, used) */
	_Alignas(8) uint8_t buffer[PIPE_BUFFER_SIZE];
};

/* Made and given its size; no watch may be set before that, or its records vanish without a trace.
 * 0, PIPE_E_ABSENT (this kernel has none), -errno; both with @err. */
#define PIPE_E_ABSENT 1
int pipe_open(struct pipe_queue *pipe, unsigned n_notes, struct errmsg *err);
/* Also for one that was never opened but holds -1. */
void pipe_close(struct pipe_queue *pipe);

/*
 * The record at the front; it stays there until pipe_advance. Never blocks. 0, PIPE_E_EMPTY,
 * -errno. -EBADMSG: what was read last is not made of records; *ret_note has data and size of the
 * rest.
 */
#define PIPE_E_EMPTY 2
int pipe_peek(struct pipe_queue *pipe, enum note_dialect dialect, struct note *ret_note);
void pipe_advance(struct pipe_queue *pipe, const struct note *note);
