/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/sheet.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/log.h"

#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

void runner_init(struct runner *runner, struct ev_loop *loop, void *data,
		 void (*done)(void *data, struct runner *runner))
{
	*runner = (struct runner){
		.loop = loop, .pipe_read = -1, .pipe_write = -1, .data = data, .done = done
	};
}

static void runner_forget(struct runner *runner)
{
	ev_timer_stop(runner->loop, &runner->deadline);
	runner->pipe_read = fd_close(runner->pipe_read);
	runner->pipe_write = fd_close(runner->pipe_write);
	runner->command = runner->action.command = NULL;
	runner->busy = false;
}

void runner_deinit(struct runner *runner)
{
	child_deinit(&runner->child);
	runner_forget(runner);
	sheet_free(runner_take_sheet(runner));
}

struct sheet *runner_take_sheet(struct runner *runner)
{
	struct sheet *sheet = runner->action.sheet;

	runner->action.sheet = NULL;
	return sheet;
}

bool runner_is_free(const struct runner *runner)
{
	return !runner->busy && !child_is_running(&runner->child);
}

static void runner_finish(struct runner *runner)
{
	runner_forget(runner);
	runner->done(runner->data, runner);
}

static void runner_fail(struct runner *runner, unsigned life, int error_number, const char *detail)
{
	action_finish(&runner->action, life, error_number, "%s", detail);
	runner_finish(runner);
}

/* What a child writes to its pipe. */
struct runner_reply {
	int32_t step; /* RUNNER_PLAN: what plan returned */
	struct action_result result;
};

_Static_assert(sizeof(struct runner_reply) <= 4096, "one write to a pipe must take it whole");

/* One step on the loop, or all of them in the child. */
static int runner_step(struct runner *runner)
{
	switch (runner->mode) {
	case RUNNER_PLAN:
		return runner->verb->plan(&runner->action);
	case RUNNER_RESOLVE:
		return runner->verb->resolve(&runner->action);
	default:
		return action_run(runner->verb, &runner->action);
	}
}

/* In the child. */
static int runner_main(void *data)
{
	struct runner *runner = data;
	struct runner_reply reply = { .step = runner_step(runner) };

	reply.result = runner->result;
	return fd_write_all(runner->pipe_write, &reply, sizeof(reply)) ? 1 : 0;
}

/* A refusal of the second plan comes after STARTED: the command failed, and nothing was done. */
static void runner_settle(struct runner *runner, int step)
{
	struct action_result *result = &runner->result;

	if (runner->mode == RUNNER_PLAN) {
		runner->complete = step != 0 || runner->command->dry_run;
		if (result->life == LIFE(FAILED) && result->refusal)
			result->life = LIFE(REJECTED);
	} else if (result->life == LIFE(REJECTED)) {
		result->life = LIFE(FAILED);
	}
}

/* What a child wrote is data: texts end, the life is one that an action may have. */
static bool runner_take_reply(struct runner *runner, struct runner_reply *reply)
{
	struct action_result *result = &reply->result;
	struct device *device = &result->device;

	result->detail[sizeof(result->detail) - 1] = 0;
	result->state.state[sizeof(result->state.state) - 1] = 0;
	device->id[sizeof(device->id) - 1] = 0;
	device->name[sizeof(device->name) - 1] = 0;
	device->wwid[sizeof(device->wwid) - 1] = 0;
	device->serial[sizeof(device->serial) - 1] = 0;
	device->model[sizeof(device->model) - 1] = 0;
	device->vendor[sizeof(device->vendor) - 1] = 0;
	device->uuid[sizeof(device->uuid) - 1] = 0;
	device->bus_address[sizeof(device->bus_address) - 1] = 0;
	result->object[sizeof(result->object) - 1] = 0;
	if (result->life != LIFE(REJECTED) &&
	    (result->life < LIFE(SUCCEEDED) || result->life > LIFE(TIMED_OUT)))
		return false;
	runner->result = *result;
	runner_settle(runner, reply->step);
	return true;
}

/* A plan that finds nothing left to be done is an end like any other. */
static void runner_settle_on_loop(struct runner *runner)
{
	bool planned = runner->mode == RUNNER_PLAN;

	if (!runner->verb->settle || runner->command->dry_run)
		return;
	if (!planned || (runner->complete && runner->result.life == LIFE(SUCCEEDED)))
		runner->verb->settle(&runner->action);
}

static void runner_on_ended(void *data, enum child_end end, int status)
{
	struct runner *runner = data;
	const char *what = runner->mode == RUNNER_EXECUTE ? "the action" : "looking at the target";
	struct runner_reply reply;
	char detail[128];
	ssize_t n = read(runner->pipe_read, &reply, sizeof(reply));

	if (end == CHILD_EXITED && status == 0 && n == (ssize_t)sizeof(reply) &&
	    runner_take_reply(runner, &reply)) {
		runner_settle_on_loop(runner);
		runner_finish(runner);
		return;
	}
	if (end == CHILD_STUCK)
		snprintf(detail, sizeof(detail),
			 "the kernel does not let go of %s: it is still running", what);
	else if (end == CHILD_KILLED)
		snprintf(detail, sizeof(detail), "%s took too long and was killed", what);
	else
		snprintf(detail, sizeof(detail), "the process of %s ended with status %d", what,
			 status);
	if (end == CHILD_EXITED)
		runner_fail(runner, LIFE(FAILED), ECHILD, detail);
	else
		runner_fail(runner, LIFE(TIMED_OUT), ETIMEDOUT, detail);
}

static void runner_on_reaped(void *data)
{
	log_notice("action let go by the kernel");
}

static void runner_start_child(struct runner *runner)
{
	struct child_spec spec = {
		.run = runner_main,
		.n_keep = 1,
		.timeout_ns = runner->timeout_ns,
		.data = runner,
		.ended = runner_on_ended,
		.reaped = runner_on_reaped,
	};
	int pipe_fds[2];
	int r;

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK)) {
		runner_fail(runner, LIFE(FAILED), errno, "cannot make a pipe for the action");
		return;
	}
	runner->pipe_read = pipe_fds[0];
	runner->pipe_write = spec.keep[0] = pipe_fds[1];
	r = child_start(&runner->child, runner->loop, &spec);
	runner->pipe_write = fd_close(runner->pipe_write);
	if (r)
		runner_fail(runner, LIFE(FAILED), -r, "cannot start a process for the action");
}

static void runner_on_deadline(EV_P_ struct ev_timer *timer, int revents)
{
	struct runner *runner = timer->data;

	runner_fail(runner, LIFE(TIMED_OUT), ETIMEDOUT, "the effect did not show in time");
}

static void runner_start_on_loop(struct runner *runner)
{
	int r = runner_step(runner);

	if (r != ACTION_E_WAIT) {
		runner_settle(runner, r);
		runner_finish(runner);
		return;
	}
	ev_timer_init(&runner->deadline, runner_on_deadline, (double)runner->timeout_ns / 1e9, 0.);
	runner->deadline.data = runner;
	ev_timer_start(runner->loop, &runner->deadline);
}

static void runner_start_prepared(struct runner *runner)
{
	runner->verb->prepare(&runner->action);
	runner_start_child(runner);
}

void runner_start(struct runner *runner, enum runner_mode mode, const struct action_host *host,
		  const uint8_t id[16], const Pathbell__V1__Command *command, uint64_t timeout_ns)
{
	sheet_free(runner_take_sheet(runner));
	runner->busy = true;
	runner->complete = false;
	runner->mode = mode;
	runner->command = command;
	runner->timeout_ns = timeout_ns;
	memcpy(runner->id, id, 16);
	memset(&runner->result, 0, sizeof(runner->result));
	runner->result.life = LIFE(SUCCEEDED);
	runner->action = (struct action){ .host = host,
					  .command = command,
					  .result = &runner->result,
					  .deadline_ns = clock_monotonic_ns() + timeout_ns };
	runner->verb = action_find(command->verb);
	if (!runner->verb)
		runner_fail(runner, LIFE(FAILED), ENOSYS,
			    "this agent does not have the verb any more");
	else if (mode == RUNNER_EXECUTE && runner->verb->prepare)
		runner_start_prepared(runner);
	else if (runner->verb->place == ACTION_IN_CHILD)
		runner_start_child(runner);
	else
		runner_start_on_loop(runner);
}

void runner_poke(struct runner *runner)
{
	int r;

	if (!runner->busy || runner->verb->place != ACTION_ON_LOOP)
		return;
	r = runner->mode == RUNNER_RESOLVE ? runner->verb->resolve(&runner->action)
					   : runner->verb->verify(&runner->action);
	if (r == ACTION_E_WAIT)
		return;
	runner_settle(runner, r);
	runner_finish(runner);
}
