/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/nvme_monitor/connections.h"
#include "pathbell/v1/event.pb-c.h"

/* Shared by the parts of the registry only: connections.c, connections_result.c. */

#define KIND(name) PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_##name

/* An event about @connection as it is now; NULL when it could not be kept (counted). */
struct decision *connections_tell(struct connections *connections, struct connection *connection,
				  unsigned event, const char *reason);
void connections_enter(struct connection *connection, enum connection_state state, uint64_t now_ns);
/* Out of the registry. */
void connections_drop(struct connections *connections, struct connection *connection);
/* @bits do not want it any more; tells when nobody is left, and drops what is nothing then. */
void connections_unwant(struct connections *connections, struct connection *connection,
			uint32_t bits, const char *reason, uint64_t now_ns);
/* The controller of @connection, or none. */
void connections_attach(struct connection *connection,
			const struct connections_controller *controller);
/* Milliseconds from @from_ns to @to_ns, cut to 32 bits. */
uint32_t connections_ms(uint64_t from_ns, uint64_t to_ns);
/* The end of what is given up when it goes on failing; never for what is configured. */
void connections_set_give_up(const struct connections *connections, struct connection *connection,
			     uint64_t now_ns);
