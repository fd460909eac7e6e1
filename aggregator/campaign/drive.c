/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 1. SubmitCampaign has made a campaign durable; campaigns_add reads it back, the same way as after
 *    a restart, and starts its engine.
 * 2. drive_run asks the engine (engine_step) after each commit that changed a life, when a host
 *    connects, and on a timer. What it orders goes to the store as one write: hosts become
 *    DISPATCHED before anything is sent.
 * 3. The write is durable: engine_marked is asked once more for each host, and commands_dispatch
 *    sends the envelope. What may not go any more is undone by the next write.
 * 4. Lives come back as events through the store; campaigns_on_life gives their ends to the engine.
 *
 * One write of a campaign is under way at a time, so decisions reach the store in their order. A
 * kill at any moment leaves marks whose envelopes may or may not have left: those hosts are under
 * way after the restart and get the envelope again if they have not confirmed it; a host executes
 * an id at most once. No other host is touched beyond the caps.
 *
 * If the store refuses a write for good (the audit cannot be written), the campaign stops: nothing
 * is dispatched that is not recorded.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/campaign/internal.h"
#include "aggregator/commands.h"
#include "aggregator/hosts.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "proto/kind.h"

#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

/* A write of the engine's decisions; owns what it points to. */
struct drive_job {
	struct writer_job job; /* first */
	struct campaigns *campaigns;
	struct engine_view view; /* that was written */
	struct store_audit audit;
	uint32_t *marks, *unmarks, *lost;
	char reason[256];
	char detail[400];
};

/* ---- the world for the engine ---- */

struct drive_world {
	struct campaigns *campaigns;
	struct campaign *campaign;
};

static bool drive_is_ready(void *data, size_t number)
{
	const struct drive_world *world = data;
	const struct member *member = &world->campaign->members[number];
	const struct aggregator *aggregator = world->campaigns->aggregator;
	const struct host *host = hosts_find(aggregator->hosts, member->host_id);

	return host && host->control &&
	       !commands_is_withdrawn(aggregator->commands,
				      world->campaign->commands[member->command].id);
}

static uint64_t drive_heard_ns(void *data, size_t number)
{
	const struct drive_world *world = data;
	const struct host *host = hosts_find(world->campaigns->aggregator->hosts,
					     world->campaign->members[number].host_id);

	return host ? host->last_heard_ns : 0;
}

/* ---- holding commands ---- */

void drive_hold(struct campaigns *campaigns, struct campaign *campaign)
{
	struct engine_view view;

	engine_look(campaign->engine, &view);
	for (size_t i = 0; i < campaign->n_commands; i++)
		commands_hold(campaigns->aggregator->commands, campaign->commands[i].id,
			      view.state != ENGINE_STATE(RUNNING));
}

/* ---- writing decisions ---- */

static uint32_t drive_sweep(int state)
{
	if (state == ENGINE_STATE(HALTED))
		return LIFE(CANCELLED);
	return state == ENGINE_STATE(EXPIRED) ? LIFE(EXPIRED) : 0;
}

static void drive_fill(const struct campaign *campaign, const struct engine_view *view,
		       struct store_campaign_state *ret_state)
{
	memset(ret_state, 0, sizeof(*ret_state));
	memcpy(ret_state->id, campaign->id, 16);
	ret_state->state = (uint32_t)view->state;
	ret_state->reason = view->reason;
	ret_state->wave = view->wave;
	ret_state->wave_size = view->wave_size;
	ret_state->wave_used = view->wave_used;
	ret_state->forgiven = view->forgiven;
	ret_state->sweep = drive_sweep(view->state);
	ret_state->sweep_detail = view->reason;
}

static void drive_job_free(struct drive_job *job)
{
	free(job->marks);
	free(job->unmarks);
	free(job->lost);
	free(job);
}

/* Durable: send what may still go, remember what may not. */
static void drive_send(struct campaigns *campaigns, struct campaign *campaign,
		       const struct drive_job *job)
{
	const struct store_campaign_state *state = &job->job.write.campaign_state;
	uint64_t now = clock_monotonic_ns();

	for (size_t i = 0; i < state->n_marks; i++) {
		const struct member *member = &campaign->members[state->marks[i]];

		if (engine_marked(campaign->engine, state->marks[i], now)) {
			counter_add(&campaigns->aggregator->metrics.campaign_dispatches, 1);
			commands_dispatch(campaigns->aggregator->commands,
					  campaign->commands[member->command].id, member->host_id);
		} else {
			campaign->unmarks[campaign->n_unmarks++] = state->marks[i];
		}
	}
}

static void drive_refused(struct campaign *campaign, const struct drive_job *job)
{
	const struct store_campaign_state *state = &job->job.write.campaign_state;

	for (size_t i = 0; i < state->n_marks; i++)
		engine_unmarked(campaign->engine, state->marks[i]);
	for (size_t i = 0; i < state->n_unmarks; i++)
		campaign->unmarks[campaign->n_unmarks++] = state->unmarks[i];
	log_error("the store refuses a campaign's state, the campaign stops error=\"%s\"",
		  log_errno(job->job.error));
	engine_stop(campaign->engine, "the store refuses to record it");
	campaign->is_refused = true; /* until the next tick */
}

static void drive_written(struct writer_job *writer_job)
{
	struct drive_job *job = (struct drive_job *)writer_job;
	struct campaigns *campaigns = job->campaigns;
	struct campaign *campaign = campaigns_find(campaigns, writer_job->write.campaign_state.id);

	if (!campaign) {
		drive_job_free(job);
		return;
	}
	campaign->is_writing = false;
	if (writer_job->error == 0) {
		campaign_remember(campaign, &job->view);
		drive_send(campaigns, campaign, job);
	} else if (writer_job->error != -ECANCELED) {
		drive_refused(campaign, job);
	}
	drive_job_free(job);
	campaign->is_dirty = true; /* campaigns_on_commit follows */
}

static uint32_t *drive_copy(const size_t *from, size_t n)
{
	uint32_t *to = calloc(n + 1, sizeof(*to));

	for (size_t i = 0; to && i < n; i++)
		to[i] = (uint32_t)from[i];
	return to;
}

/* A change of state is worth an audit record of its own; a wave or a mark is not: lives tell. */
static void drive_job_audit(struct drive_job *job, const struct campaign *campaign)
{
	if (job->view.state == campaign->stored.state)
		return;
	snprintf(job->detail, sizeof(job->detail), "state=%s %s",
		 campaign_state_name(job->view.state), job->reason);
	job->audit.action = "campaign.state";
	job->audit.campaign_id = job->job.write.campaign_state.id;
	job->audit.detail = job->detail;
	job->job.write.audit = &job->audit;
}

static struct drive_job *drive_job_new(struct campaigns *campaigns, struct campaign *campaign,
				       const struct engine_orders *orders)
{
	struct drive_job *job = calloc(1, sizeof(*job));
	struct store_campaign_state *state;

	if (!job)
		return NULL;
	job->campaigns = campaigns;
	engine_look(campaign->engine, &job->view);
	snprintf(job->reason, sizeof(job->reason), "%s", job->view.reason);
	job->view.reason = job->reason;
	state = &job->job.write.campaign_state;
	drive_fill(campaign, &job->view, state);
	job->marks = drive_copy(orders->hosts, orders->n_hosts);
	job->lost = drive_copy(orders->lost, orders->n_lost);
	job->unmarks = calloc(campaign->n_unmarks + 1, sizeof(*job->unmarks));
	if (!job->marks || !job->lost || !job->unmarks) {
		drive_job_free(job);
		return NULL;
	}
	memcpy(job->unmarks, campaign->unmarks, campaign->n_unmarks * sizeof(*job->unmarks));
	state->marks = job->marks;
	state->n_marks = orders->n_hosts;
	state->lost = job->lost;
	state->n_lost = orders->n_lost;
	state->unmarks = job->unmarks;
	state->n_unmarks = campaign->n_unmarks;
	drive_job_audit(job, campaign);
	return job;
}

static void drive_write(struct campaigns *campaigns, struct campaign *campaign,
			const struct engine_orders *orders)
{
	struct drive_job *job = drive_job_new(campaigns, campaign, orders);

	if (!job) {
		for (size_t i = 0; i < orders->n_hosts; i++)
			engine_unmarked(campaign->engine, orders->hosts[i]);
		return; /* the next tick tries again; a lost host shows after a restart only */
	}
	campaign->n_unmarks = 0;
	campaign->is_writing = true;
	job->job.write.type = STORE_CAMPAIGN_STATE;
	job->job.write.now_unix_ns = clock_realtime_ns();
	job->job.bytes = sizeof(*job);
	job->job.done = drive_written;
	writer_put(campaigns->aggregator->writer, &job->job);
}

static void drive_log(const struct campaign *campaign, const struct engine_view *view)
{
	char id[ID_TEXT_SIZE];

	id_format(campaign->id, id);
	log_notice("campaign id=%s state=%s wave=%u waiting=%zu active=%zu succeeded=%zu "
		   "failures=%llu reason=\"%s\"",
		   id, campaign_state_name(view->state), view->wave, view->n_waiting,
		   view->n_active, view->n_succeeded, (unsigned long long)view->failures,
		   view->reason);
}

bool drive_run(struct campaigns *campaigns, struct campaign *campaign)
{
	struct aggregator *aggregator = campaigns->aggregator;
	struct drive_world world = { campaigns, campaign };
	const struct engine_now now = { .ns = clock_monotonic_ns(),
					.unix_ns = clock_realtime_ns(),
					.storm = storm_count(&campaigns->storm,
							     clock_monotonic_ns()),
					.data = &world,
					.is_ready = drive_is_ready,
					.heard_ns = drive_heard_ns };
	struct engine_view view;

	campaign->is_dirty = false;
	if (campaign->is_writing || campaign->is_refused || campaign->n_controls > 0 ||
	    aggregator->is_stopping)
		return true;
	engine_step(campaign->engine, &now, &campaign->orders);
	engine_look(campaign->engine, &view);
	counter_add(&aggregator->metrics.campaign_hosts_lost, campaign->orders.n_lost);
	if (view.state != campaign->stored.state) {
		drive_log(campaign, &view);
		counter_add(&aggregator->metrics.campaign_stops,
			    view.state == ENGINE_STATE(STOPPED));
		drive_hold(campaigns, campaign);
	}
	if (campaign->orders.n_hosts > 0 || campaign->orders.n_lost > 0 ||
	    campaign->n_unmarks > 0 || campaign_has_changed(campaign, &view))
		drive_write(campaigns, campaign, &campaign->orders);
	else
		return !engine_is_over(campaign->engine);
	return true;
}

/* ---- control ---- */

int campaign_control(struct campaign *campaign, int action, const char *who, char reason[256],
		     struct store_campaign_state *ret_state)
{
	bool resume = action == PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_RESUME;
	struct engine_view view;

	engine_look(campaign->engine, &view);
	if (!resume) {
		int r = engine_control(campaign->engine, action, who);

		if (r != 0)
			return r;
		engine_look(campaign->engine, &view);
		snprintf(reason, 256, "%s", view.reason);
	} else {
		if (view.state != ENGINE_STATE(PAUSED) && view.state != ENGINE_STATE(STOPPED))
			return ENGINE_E_STATE;
		if (view.state == ENGINE_STATE(STOPPED))
			view.forgiven = view.failures;
		view.state = ENGINE_STATE(RUNNING);
		snprintf(reason, 256, "resumed by %s", who);
	}
	view.reason = reason;
	drive_fill(campaign, &view, ret_state);
	campaign_remember(campaign, &view);
	campaign->n_controls++;
	return 0;
}

void campaigns_on_controlled(struct campaigns *campaigns, const uint8_t id[16], int action,
			     const char *who, int error)
{
	struct campaign *campaign = campaigns_find(campaigns, id);

	if (!campaign)
		return;
	campaign->n_controls--;
	if (error == 0 && action == PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_RESUME)
		engine_control(campaign->engine, action, who);
	if (error < 0)
		campaign->stored.state = 0; /* unknown: written again */
	drive_hold(campaigns, campaign);
	campaign->is_dirty = true;
}
