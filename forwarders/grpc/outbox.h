/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>

#include "forwarders/frame/frame.h"
#include "rpc/mailbox.h"

/*
 * Frames to the agent, from any thread, in order. Sent at once by the caller (an ack saves a hop);
 * what the socket does not take is kept, up to a limit, until the loop finds it writable.
 */
#define OUTBOX_FULL (256 * 1024)      /* stop reading from the network */
#define OUTBOX_MAX  (2 * 1024 * 1024) /* the agent is dead or hangs: on_failed */

struct outbox;

/* on_drained: below OUTBOX_FULL again after outbox_is_full said yes. on_failed: -errno, once. Both
 * on the loop's thread. */
struct outbox *outbox_new(struct ev_loop *loop, struct mailbox *mailbox, int fd,
			  void (*on_drained)(void *data), void (*on_failed)(void *data, int error),
			  void *data);
struct outbox *outbox_free(struct outbox *outbox);
void outbox_send(struct outbox *outbox, const struct frame *frame);
bool outbox_is_full(struct outbox *outbox);
/* Frames that could not be encoded or came after the failure. */
uint64_t outbox_dropped(struct outbox *outbox);
