/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/http/query.h"
#include "aggregator/store/store.h"
#include "core/buf.h"
#include "proto/codec.h"

/* JSON out of the store, made on the reader's thread. All append; 0 or -errno. */

/* {"events": [...], "next_after_id": N} */
int body_events(struct buf *out, struct store *store, const struct query *query);
/* {"commands": [...], "next_after": "N"} */
int body_commands(struct buf *out, struct store *store, const struct query *query);
/* {"campaigns": [...], "next_after": N} */
int body_campaigns(struct buf *out, struct store *store, const struct query *query);
/* {"records": [...], "next_after": N, "head_seq": N, "head_hash": HEX} */
int body_audit(struct buf *out, struct store *store, const struct query *query);
/* One of them; nothing is appended where there is none. */
int body_command(struct buf *out, struct store *store, const uint8_t id[16]);
int body_campaign(struct buf *out, struct store *store, const uint8_t id[16]);
/* One event as a server-sent event (id, event, data). */
int body_sse(struct buf *out, struct arena *arena, const struct store_event *event);
/* Any message as JSON text. */
int body_message(struct buf *out, const ProtobufCMessage *message);
