/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/campaign/campaigns.h"
#include "aggregator/control.h"
#include "aggregator/store/map.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"

#define LIFE(name)	   PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define COMMANDS_LOAD_PAGE 256

/* One command for one host that has not confirmed it. */
struct pending {
	struct command *command;
	struct waiting *waiting;
	bool is_sent; /* on the present Control stream */
	bool is_told; /* the store has it as DISPATCHED, or will */
	LIST_ENTRY(pending) of_command;
	TAILQ_ENTRY(pending) of_host;
};

struct command {
	struct map_node node; /* first; by id */
	uint8_t id[16];
	uint8_t *envelope;
	size_t envelope_size;
	uint64_t not_before_unix_ns, expires_unix_ns;
	bool is_kept;	   /* a campaign's: stays without anything pending */
	bool is_held;	   /* its campaign does not run: nothing is delivered */
	bool is_withdrawn; /* cancelled: nothing is delivered any more */
	LIST_HEAD(, pending) pending;
	LIST_ENTRY(command) link;
};

struct waiting {
	struct map_node node; /* first */
	char host_id[129];
	TAILQ_HEAD(, pending) pending;
};

struct commands {
	struct aggregator *aggregator;
	LIST_HEAD(, command) all;
	struct map waiting; /* by host id */
	struct map by_id;   /* commands */
	size_t n_pending;
	uint64_t bytes;
	struct rpc_timer *timer;
};

struct command_job {
	struct writer_job job; /* first */
	struct aggregator *aggregator;
	char host_id[129];
};

/* ---- states into the store ---- */

static void command_job_done(struct writer_job *writer_job)
{
	struct command_job *job = (struct command_job *)writer_job;

	if (writer_job->error == 0 && writer_job->write.state.ret_changed) {
		counter_add(&job->aggregator->metrics
				     .command_changes[writer_job->write.state.life & 15],
			    1);
		campaigns_on_life(job->aggregator->campaigns, job->host_id,
				  writer_job->write.state.id, writer_job->write.state.life);
	}
	free(job);
}

static void command_tell(struct commands *commands, const struct pending *pending, uint32_t life,
			 const char *detail)
{
	struct command_job *job = calloc(1, sizeof(*job));

	if (!job)
		return; /* the state is behind until the host's own events come */
	job->aggregator = commands->aggregator;
	memcpy(job->host_id, pending->waiting->host_id, sizeof(job->host_id));
	job->job.write.type = STORE_COMMAND_STATE;
	job->job.write.host_id = job->host_id;
	job->job.write.now_unix_ns = clock_realtime_ns();
	memcpy(job->job.write.state.id, pending->command->id, 16);
	job->job.write.state.life = life;
	job->job.write.state.detail = detail;
	job->job.bytes = sizeof(*job);
	job->job.done = command_job_done;
	writer_put(commands->aggregator->writer, &job->job);
}

/* ---- what waits ---- */

static void command_free(struct commands *commands, struct command *command)
{
	commands->bytes -= command->envelope_size;
	LIST_REMOVE(command, link);
	map_remove(&commands->by_id, &command->node);
	free(command->envelope);
	free(command);
}

/* The last one of a command that no campaign keeps takes it along. */
static void pending_free(struct commands *commands, struct pending *pending)
{
	struct command *command = pending->command;
	struct waiting *waiting = pending->waiting;

	LIST_REMOVE(pending, of_command);
	TAILQ_REMOVE(&waiting->pending, pending, of_host);
	free(pending);
	commands->n_pending--;
	if (TAILQ_EMPTY(&waiting->pending)) {
		map_remove(&commands->waiting, &waiting->node);
		free(waiting);
	}
	if (LIST_EMPTY(&command->pending) && !command->is_kept)
		command_free(commands, command);
	counter_set(&commands->aggregator->metrics.commands_pending, commands->n_pending);
}

static struct waiting *waiting_find(const struct commands *commands, const char *host_id)
{
	return (struct waiting *)map_find(&commands->waiting, host_id, strlen(host_id));
}

static struct waiting *waiting_get(struct commands *commands, const char *host_id)
{
	struct waiting *waiting = waiting_find(commands, host_id);

	if (waiting)
		return waiting;
	waiting = calloc(1, sizeof(*waiting));
	if (!waiting)
		return NULL;
	snprintf(waiting->host_id, sizeof(waiting->host_id), "%s", host_id);
	TAILQ_INIT(&waiting->pending);
	if (map_add(&commands->waiting, &waiting->node, waiting->host_id,
		    strlen(waiting->host_id)) < 0) {
		free(waiting);
		return NULL;
	}
	return waiting;
}

static int pending_add(struct commands *commands, struct command *command, const char *host_id)
{
	struct pending *pending = calloc(1, sizeof(*pending));
	struct waiting *waiting = pending ? waiting_get(commands, host_id) : NULL;

	if (!waiting) {
		free(pending);
		return -ENOMEM;
	}
	pending->command = command;
	pending->waiting = waiting;
	LIST_INSERT_HEAD(&command->pending, pending, of_command);
	TAILQ_INSERT_TAIL(&waiting->pending, pending, of_host);
	commands->n_pending++;
	counter_set(&commands->aggregator->metrics.commands_pending, commands->n_pending);
	return 0;
}

static struct command *command_new(struct commands *commands, const uint8_t id[16],
				   const uint8_t *envelope, size_t envelope_size)
{
	struct command *command = calloc(1, sizeof(*command));

	if (!command)
		return NULL;
	memcpy(command->id, id, 16);
	command->envelope = malloc(envelope_size);
	if (!command->envelope ||
	    map_add(&commands->by_id, &command->node, command->id, sizeof(command->id)) < 0) {
		free(command->envelope);
		free(command);
		return NULL;
	}
	memcpy(command->envelope, envelope, envelope_size);
	command->envelope_size = envelope_size;
	LIST_INIT(&command->pending);
	LIST_INSERT_HEAD(&commands->all, command, link);
	commands->bytes += envelope_size;
	return command;
}

static struct command *command_find(const struct commands *commands, const uint8_t id[16])
{
	return (struct command *)map_find(&commands->by_id, id, 16);
}

static struct pending *pending_find(struct commands *commands, const char *host_id,
				    const uint8_t id[16])
{
	struct waiting *waiting = waiting_find(commands, host_id);
	struct pending *pending;

	if (!waiting)
		return NULL;
	TAILQ_FOREACH (pending, &waiting->pending, of_host)
		if (memcmp(pending->command->id, id, 16) == 0)
			return pending;
	return NULL;
}

/* ---- delivery ---- */

void commands_deliver(struct commands *commands, struct host *host)
{
	uint64_t now = clock_realtime_ns();
	struct waiting *waiting = waiting_find(commands, host->id);
	struct pending *pending;

	if (!waiting || !host->control)
		return;
	TAILQ_FOREACH (pending, &waiting->pending, of_host) {
		const struct command *command = pending->command;

		if (pending->is_sent || command->is_held || command->is_withdrawn ||
		    command->not_before_unix_ns > now || command->expires_unix_ns <= now)
			continue;
		if (control_send_command(host->control, command->envelope, command->envelope_size) <
		    0)
			return; /* full: on_sent brings us back */
		pending->is_sent = true;
		counter_add(&commands->aggregator->metrics.commands_delivered, 1);
		if (!pending->is_told)
			command_tell(commands, pending, LIFE(DISPATCHED), "");
		pending->is_told = true;
	}
}

void commands_disconnected(struct commands *commands, const char *host_id)
{
	struct waiting *waiting = waiting_find(commands, host_id);
	struct pending *pending;

	if (!waiting)
		return;
	TAILQ_FOREACH (pending, &waiting->pending, of_host)
		pending->is_sent = false;
}

static void command_offer(struct commands *commands, struct command *command)
{
	struct pending *pending;

	LIST_FOREACH (pending, &command->pending, of_command) {
		struct host *host =
			hosts_find(commands->aggregator->hosts, pending->waiting->host_id);

		if (host)
			commands_deliver(commands, host);
	}
}

/* ---- time ---- */

static void commands_arm(struct commands *commands);

static void command_expire(struct commands *commands, struct command *command)
{
	struct pending *pending, *next;

	/* The last one may free the command. */
	for (pending = LIST_FIRST(&command->pending); pending; pending = next) {
		next = LIST_NEXT(pending, of_command);
		command_tell(commands, pending, LIFE(EXPIRED), "the host never received it");
		counter_add(&commands->aggregator->metrics.commands_expired, 1);
		pending_free(commands, pending);
	}
}

static void commands_on_time(void *data)
{
	struct commands *commands = data;
	struct command *command, *next;
	uint64_t now = clock_realtime_ns();

	commands->timer = NULL;
	for (command = LIST_FIRST(&commands->all); command; command = next) {
		next = LIST_NEXT(command, link);
		if (command->expires_unix_ns <= now)
			command_expire(commands, command);
		else if (command->not_before_unix_ns <= now)
			command_offer(commands, command);
	}
	commands_arm(commands);
}

/* One timer for the next moment that matters to any command; wall clock, so looked at again each
 * minute. */
static void commands_arm(struct commands *commands)
{
	uint64_t now = clock_realtime_ns(), due = UINT64_MAX, delay;
	const struct command *command;

	rpc_timer_cancel(commands->timer);
	commands->timer = NULL;
	LIST_FOREACH (command, &commands->all, link) {
		uint64_t next = command->not_before_unix_ns > now ? command->not_before_unix_ns
								  : command->expires_unix_ns;

		if (LIST_EMPTY(&command->pending))
			continue;
		due = next < due ? next : due;
	}
	if (due == UINT64_MAX || commands->aggregator->is_stopping)
		return;
	delay = due > now ? (due - now) / CLOCK_NS_PER_MS + 1 : 1;
	commands->timer =
		rpc_timer_start(commands->aggregator->rpc, delay > 60000 ? 60000 : (uint32_t)delay,
				commands_on_time, commands);
}

/* ---- from outside ---- */

int commands_add_kept(struct commands *commands, const struct store_new_command *from)
{
	struct command *command =
		command_new(commands, from->id, from->envelope, from->envelope_size);

	if (!command)
		return -ENOMEM;
	command->not_before_unix_ns = from->not_before_unix_ns;
	command->expires_unix_ns = from->expires_unix_ns;
	command->is_kept = true;
	return 0;
}

void commands_unkeep(struct commands *commands, const uint8_t id[16])
{
	struct command *command = command_find(commands, id);

	if (!command || !command->is_kept)
		return;
	command->is_kept = false;
	if (LIST_EMPTY(&command->pending))
		command_free(commands, command);
}

void commands_dispatch(struct commands *commands, const uint8_t id[16], const char *host_id)
{
	struct command *command = command_find(commands, id);
	struct host *host = hosts_find(commands->aggregator->hosts, host_id);
	struct pending *pending;

	if (!command || pending_find(commands, host_id, id))
		return;
	if (pending_add(commands, command, host_id) < 0) {
		log_error("no memory for a command; it is delivered after the next start");
		return;
	}
	pending = LIST_FIRST(&command->pending);
	pending->is_told = true;
	if (host)
		commands_deliver(commands, host);
	commands_arm(commands);
}

void commands_hold(struct commands *commands, const uint8_t id[16], bool hold)
{
	struct command *command = command_find(commands, id);

	if (!command || command->is_held == hold)
		return;
	command->is_held = hold;
	if (!hold)
		command_offer(commands, command);
}

void commands_withdraw(struct commands *commands, const uint8_t id[16], bool withdraw)
{
	struct command *command = command_find(commands, id);

	if (!command)
		return;
	command->is_withdrawn = withdraw;
	if (!withdraw)
		command_offer(commands, command);
}

bool commands_is_withdrawn(const struct commands *commands, const uint8_t id[16])
{
	const struct command *command = command_find(commands, id);

	return command && command->is_withdrawn;
}

void commands_on_cancelled(struct commands *commands, const uint8_t id[16])
{
	struct command *command = command_find(commands, id);
	struct pending *pending, *next;

	if (!command)
		return;
	for (pending = LIST_FIRST(&command->pending); pending; pending = next) {
		next = LIST_NEXT(pending, of_command);
		if (!pending->is_told)
			pending_free(commands, pending);
	}
}

int commands_add(struct commands *commands, const struct store_new_command *from)
{
	struct command *command =
		command_new(commands, from->id, from->envelope, from->envelope_size);
	int r = 0;

	if (!command)
		return -ENOMEM;
	command->not_before_unix_ns = from->not_before_unix_ns;
	command->expires_unix_ns = from->expires_unix_ns;
	for (size_t i = 0; r == 0 && i < from->n_hosts; i++)
		r = pending_add(commands, command, from->host_ids[i]);
	command_offer(commands, command);
	commands_arm(commands);
	return r;
}

bool commands_have_room(const struct commands *commands, size_t n_hosts, size_t envelope_size)
{
	const struct settings_commands *limits = &commands->aggregator->live.commands;

	return commands->n_pending + n_hosts <= limits->max_pending &&
	       commands->bytes + envelope_size <= limits->max_bytes;
}

void commands_on_receipt(struct commands *commands, const char *host_id, const uint8_t id[16])
{
	struct pending *pending = pending_find(commands, host_id, id);

	if (!pending)
		return;
	command_tell(commands, pending, LIFE(RECEIVED), "receipt");
	pending_free(commands, pending);
}

void commands_on_changes(struct commands *commands, const char *host_id,
			 const struct store_change *changes, size_t n_changes)
{
	for (size_t i = 0; i < n_changes; i++) {
		struct pending *pending = pending_find(commands, host_id, changes[i].command_id);

		if (pending)
			pending_free(commands, pending);
	}
}

/* ---- start and end ---- */

struct commands_load {
	struct commands *commands;
	uint64_t last;
	size_t n;
	int error;
};

/* Of a campaign only what it had dispatched: the rest waits for its engine. */
static int commands_load_hosts(struct commands *commands, struct command *command,
			       const struct store_command *from)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->n_hosts; i++) {
		uint32_t life = from->hosts[i].life;

		if (life != LIFE(DISPATCHED) && (life != LIFE(QUEUED) || from->has_campaign))
			continue;
		r = pending_add(commands, command, from->hosts[i].host_id);
		if (r == 0)
			LIST_FIRST(&command->pending)->is_told = life == LIFE(DISPATCHED);
	}
	return r;
}

static bool commands_load_one(void *data, const struct store_command *from)
{
	struct commands_load *load = data;
	struct command *command =
		command_new(load->commands, from->id, from->envelope, from->envelope_size);

	load->last = from->ordinal;
	load->n++;
	if (!command) {
		load->error = -ENOMEM;
		return false;
	}
	command->not_before_unix_ns = from->not_before_unix_ns;
	command->expires_unix_ns = from->expires_unix_ns;
	command->is_withdrawn = from->cancelled_unix_ns != 0;
	command->is_held = from->has_campaign;
	command->is_kept = from->has_campaign &&
			   campaigns_find(load->commands->aggregator->campaigns, from->campaign_id);
	load->error = commands_load_hosts(load->commands, command, from);
	if (LIST_EMPTY(&command->pending) && !command->is_kept)
		command_free(load->commands, command);
	return load->error == 0;
}

static void commands_begin(void *data)
{
	commands_on_time(data);
}

int commands_load(struct commands *commands, struct store *store)
{
	struct commands_load load = { .commands = commands };
	int r;

	do {
		struct store_command_query query = { .unreceived = true,
						     .before_ordinal = load.last,
						     .limit = COMMANDS_LOAD_PAGE };

		load.n = 0;
		r = store_commands(store, &query, commands_load_one, &load);
	} while (r == 0 && load.error == 0 && load.n == COMMANDS_LOAD_PAGE);
	if (r == 0)
		r = load.error;
	if (r == 0 && commands->n_pending > 0)
		log_notice("commands to deliver after the restart count=%zu", commands->n_pending);
	rpc_post(commands->aggregator->rpc, commands_begin, commands);
	return r;
}

struct commands *commands_new(struct aggregator *aggregator)
{
	struct commands *commands = calloc(1, sizeof(*commands));

	if (!commands)
		return NULL;
	commands->aggregator = aggregator;
	LIST_INIT(&commands->all);
	return commands;
}

static void command_forget(struct commands *commands, struct command *command)
{
	struct pending *pending, *next;

	command->is_kept = true;
	for (pending = LIST_FIRST(&command->pending); pending; pending = next) {
		next = LIST_NEXT(pending, of_command);
		pending_free(commands, pending);
	}
	command_free(commands, command);
}

struct commands *commands_free(struct commands *commands)
{
	struct command *command, *next;

	if (!commands)
		return NULL;
	for (command = LIST_FIRST(&commands->all); command; command = next) {
		next = LIST_NEXT(command, link);
		command_forget(commands, command);
	}
	map_deinit(&commands->waiting);
	map_deinit(&commands->by_id);
	free(commands);
	return NULL;
}
