/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"
#include "aggregator/campaign/engine.h"

/*
 * The campaigns that are not over: each an engine, its hosts and its commands. What an engine
 * decides is in the store before it happens; drive.c opens with the essay. gRPC thread only.
 */
struct campaigns;
struct campaign;

struct campaigns *campaigns_new(struct aggregator *aggregator);
struct campaigns *campaigns_free(struct campaigns *campaigns); /* returns NULL */
/* All open ones of the store; before commands_load and before the gRPC thread uses @campaigns. 0 or
 * -errno. */
int campaigns_load(struct campaigns *campaigns, struct store *store);
/* After commands_load, which makes the commands that this lets go: their engines begin. */
void campaigns_go_on(struct campaigns *campaigns);
bool campaigns_have_room(const struct campaigns *campaigns);
/* A campaign that has just become durable: read from the store and begun. */
void campaigns_add(struct campaigns *campaigns, const uint8_t id[16]);

/* A command's state on a host is durable as @life. */
void campaigns_on_life(struct campaigns *campaigns, const char *host_id,
		       const uint8_t command_id[16], uint32_t life);
void campaigns_on_host(struct campaigns *campaigns); /* one has connected */
void campaigns_on_faults(struct campaigns *campaigns, uint64_t n);
void campaigns_on_commit(struct campaigns *campaigns); /* after all campaigns_on_life of a group */
/* A cancellation of the command begins: what only waits goes back. */
void campaigns_on_withdraw(struct campaigns *campaigns, const uint8_t command_id[16]);
/* It is durable: what waited is CANCELLED. */
void campaigns_on_cancelled(struct campaigns *campaigns, const uint8_t command_id[16]);

/* NULL: not open here. Valid until the gRPC thread returns to its loop. */
struct campaign *campaigns_find(const struct campaigns *campaigns, const uint8_t id[16]);

/*
 * ControlCampaign. Pause and halt take effect at once, whatever becomes of the write; resume when
 * its write is durable. campaign_control fills @state for that write, which borrows @reason (256
 * bytes). 0 or ENGINE_E_STATE.
 */
int campaign_control(struct campaign *campaign, int action, const char *who, char reason[256],
		     struct store_campaign_state *ret_state);
/* The write is durable (@error 0) or not. */
void campaigns_on_controlled(struct campaigns *campaigns, const uint8_t id[16], int action,
			     const char *who, int error);
