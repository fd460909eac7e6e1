/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "actions/action.h"
#include "agent/child.h"

/*
 * Runs one action: in a forked child with a deadline, or on the loop where the verb only touches
 * the agent's own parts and its effect may show later (runner_poke).
 */
enum runner_mode {
	RUNNER_PLAN,	/* reads only: may it, and what would it act on? */
	RUNNER_EXECUTE, /* plans again (things may have changed), acts, looks for the effect */
	RUNNER_RESOLVE, /* after a crash: what is the state now? nothing is done again */
};

struct runner {
	struct ev_loop *loop;
	bool busy;
	enum runner_mode mode;
	uint8_t id[16];
	const struct action_verb *verb;
	struct action action;
	const Pathbell__V1__Command *command; /* borrowed until done */
	struct action_result result;
	bool complete; /* RUNNER_PLAN: nothing is left to be done */
	struct child child;
	int pipe_read, pipe_write;
	struct ev_timer deadline;
	uint64_t timeout_ns;
	void *data;
	/* The result is final. May start the next one. */
	void (*done)(void *data, struct runner *runner);
};

void runner_init(struct runner *runner, struct ev_loop *loop, void *data,
		 void (*done)(void *data, struct runner *runner));
void runner_deinit(struct runner *runner);
/* Busy, or its last child still hangs in the kernel. */
bool runner_is_free(const struct runner *runner);
/*
 * The result comes by `done`, perhaps before this returns. After RUNNER_PLAN its life is REJECTED
 * where the plan refused; after RUNNER_EXECUTE it never is: then it FAILED with that refusal, and
 * nothing was done.
 */
void runner_start(struct runner *runner, enum runner_mode mode, const struct action_host *host,
		  const uint8_t id[16], const Pathbell__V1__Command *command, uint64_t timeout_ns);
/* In `done`: the text that the verb returns, also of an action that was killed; the caller's then.
 * NULL = none. */
struct sheet *runner_take_sheet(struct runner *runner);
/* Something changed that an action on the loop may wait for. */
void runner_poke(struct runner *runner);
