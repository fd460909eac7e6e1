/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/store/store.h"
#include "core/buf.h"
#include "proto/codec.h"

/* What the store gives, as messages of the public API. Everything is copied into the arena; NULL:
 * it is full. */
Pathbell__V1__Host *view_host(struct arena *arena, const struct store_host *host, bool with_epochs);
Pathbell__V1__CommandRecord *view_command(struct arena *arena, const struct store_command *command);
Pathbell__V1__Campaign *view_campaign(struct arena *arena, const struct store_campaign *campaign);
Pathbell__V1__AuditRecord *view_audit(struct arena *arena, const struct store_audit_record *record);
/* Appends an encoded StoredEvent; the event's own bytes go through untouched. 0 or -errno. */
int view_event(struct buf *out, const struct store_event *event);
/* The same as element of a repeated field (QueryEventsResponse.events). */
int view_event_element(struct buf *out, uint32_t field, const struct store_event *event);
