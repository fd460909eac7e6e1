/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"
#include "aggregator/hosts.h"

/*
 * Commands that some host has not yet received: delivered to each connected host's Control stream,
 * again on each reconnect, until a receipt or a command event says that the host has it, or it
 * expires. What is here is in the store as QUEUED or DISPATCHED, so a restart loses nothing. gRPC
 * thread only.
 */
struct commands *commands_new(struct aggregator *aggregator);
struct commands *commands_free(struct commands *commands);
/* Everything unreceived in the store; before the gRPC thread uses @commands. 0 or -errno. */
int commands_load(struct commands *commands, struct store *store);
/* Within the limits of the configuration? */
bool commands_have_room(const struct commands *commands, size_t n_hosts, size_t envelope_size);
/* A command that has just become durable. 0 or -ENOMEM (the next start finds it). */
int commands_add(struct commands *commands, const struct store_new_command *command);

/*
 * The commands of a campaign: kept without a host until the campaign says so for each host, when
 * the store has it as DISPATCHED already; held while the campaign does not run.
 */
int commands_add_kept(struct commands *commands, const struct store_new_command *command);
void commands_unkeep(struct commands *commands, const uint8_t id[16]);
void commands_dispatch(struct commands *commands, const uint8_t id[16], const char *host_id);
void commands_hold(struct commands *commands, const uint8_t id[16], bool hold);

/* A cancellation begins (nothing more is delivered), failed, or is durable. */
void commands_withdraw(struct commands *commands, const uint8_t id[16], bool withdraw);
bool commands_is_withdrawn(const struct commands *commands, const uint8_t id[16]);
void commands_on_cancelled(struct commands *commands, const uint8_t id[16]);

/* The host's Control stream is open: delivers what waits for it. Also when it can take more. */
void commands_deliver(struct commands *commands, struct host *host);
/* Its Control stream is gone: everything must be delivered again. */
void commands_disconnected(struct commands *commands, const char *host_id);
void commands_on_receipt(struct commands *commands, const char *host_id, const uint8_t id[16]);
/* The host's own events changed states. */
void commands_on_changes(struct commands *commands, const char *host_id,
			 const struct store_change *changes, size_t n_changes);
