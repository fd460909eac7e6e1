/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>

/*
 * From any thread to a libev loop: messages (function and pointer) in order, one ev_async for a
 * burst. Posting never blocks on the loop. mailbox_free runs nothing that is still queued:
 * @discard(data) (may be NULL) is called for each instead; it is not for use
 * inside a letter.
 */
struct mailbox;

struct mailbox *mailbox_new(struct ev_loop *loop); /* NULL: no memory */
void mailbox_post(struct mailbox *mailbox, void (*fn)(void *data), void (*discard)(void *data),
		  void *data);
struct mailbox *mailbox_free(struct mailbox *mailbox);
