/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actions/action.h"
#include "agent/announce.h"
#include "agent/settings.h"
#include "core/counter.h"
#include "core/errmsg.h"

/*
 * Signed commands, from the envelope to the reported result. commands.c opens with the essay. All
 * calls are for the loop's thread; the loop is the default one (children are reaped there).
 */
struct commands;

struct commands_options {
	struct ev_loop *loop;
	const char *host_id; /* may be NULL */
	const char *state_dir;
	bool first_start;	    /* see struct journal_options */
	struct announcer announcer; /* copied */
	const struct action_host *host;
	void *data;
	/* The command is durable here: the forwarder tells the aggregator. */
	void (*receipt)(void *data, const uint8_t id[16]);
};

struct commands_counters {
	counter_value delivered, unread, refused, known, accepted, finished, failed, indeterminate;
	counter_value rate_limited;
};

/* 0 or -errno with @err. @settings and @program (of pathbell-verify) are borrowed until configured
 * anew. */
int commands_open(struct commands **ret_commands, const struct commands_options *options,
		  const struct settings_commands *settings, const char *program,
		  struct errmsg *err);
/* Settles what a crash left; once everything that actions touch is up. */
void commands_start(struct commands *commands);
void commands_configure(struct commands *commands, const struct settings_commands *settings,
			const char *program);
/* An operator may have released the hold. */
void commands_release(struct commands *commands);
/* A serialised SignedCommand from a forwarder; borrowed. Every outcome becomes an event. */
void commands_deliver(struct commands *commands, const void *envelope, size_t size);
/* The newest commands in the journal, one line each, for diag. */
struct sheet;
void commands_describe(const struct commands *commands, struct sheet *sheet);
/* Something changed that a running action may wait for. */
void commands_poke(struct commands *commands);
struct commands *commands_close(struct commands *commands);

/* Why nothing executes, or NULL. */
const char *commands_hold(struct commands *commands);
const struct commands_counters *commands_counters(const struct commands *commands);
struct audit;
/* Never NULL (audit.h). */
struct audit *commands_audit(const struct commands *commands);
struct keys;
/* The trusted keys in effect (keys.h). Valid until the loop runs again. */
const struct keys *commands_keys(const struct commands *commands);
struct journal_stats;
void commands_journal_stats(const struct commands *commands, struct journal_stats *ret_stats);
