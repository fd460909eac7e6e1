/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "proto/kind.h"

#define SUPPORT_DIRS 64

static char support_dirs[SUPPORT_DIRS][64];
static size_t support_n_dirs;
static pid_t support_owner;

static int support_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void support_clean(void)
{
	if (getpid() != support_owner)
		return;
	for (size_t i = 0; i < support_n_dirs; i++)
		nftw(support_dirs[i], support_remove, 8, FTW_DEPTH | FTW_PHYS);
}

char *support_dir(void)
{
	char *dir = support_dirs[support_n_dirs++];

	if (support_n_dirs == 1) {
		support_owner = getpid();
		atexit(support_clean);
	}
	snprintf(dir, sizeof(support_dirs[0]), "/tmp/pathbell-test-XXXXXX");
	if (support_n_dirs >= SUPPORT_DIRS || !mkdtemp(dir))
		abort();
	return dir;
}

const char *support_path(const char *dir, const char *name)
{
	static char paths[8][256];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

void support_write(const char *dir, const char *name, const void *data, size_t size)
{
	if (file_replace(support_path(dir, name), data, size, 0600))
		abort();
}

char *support_read(const char *path)
{
	char *data;
	size_t size;

	if (file_read(path, 16 * 1024 * 1024, &data, &size))
		return strdup("");
	return data;
}

struct support_wait {
	bool (*done)(void *data);
	void *data;
	bool met;
};

static void support_on_check(EV_P_ struct ev_check *check, int revents)
{
	struct support_wait *wait = check->data;

	if (wait->done(wait->data)) {
		wait->met = true;
		ev_break(EV_A_ EVBREAK_ALL);
	}
}

static void support_on_tick(EV_P_ struct ev_timer *timer, int revents)
{
	double *left = timer->data;

	*left -= 0.01;
	if (*left <= 0)
		ev_break(EV_A_ EVBREAK_ALL);
}

bool support_run(bool (*done)(void *data), void *data)
{
	struct support_wait wait = { done, data, done(data) };
	struct ev_loop *loop = ev_default_loop(0);
	struct ev_check check;
	struct ev_timer tick;
	double left = 20.;

	if (wait.met)
		return true;
	ev_check_init(&check, support_on_check);
	check.data = &wait;
	ev_check_start(loop, &check);
	/* files are conditions too: look at them now and then; the end of patience */
	ev_timer_init(&tick, support_on_tick, 0.01, 0.01);
	tick.data = &left;
	ev_timer_start(loop, &tick);
	ev_run(loop, 0);
	ev_timer_stop(loop, &tick);
	ev_check_stop(loop, &check);
	return wait.met;
}

static void support_take_output(struct support_events *events,
				const Pathbell__V1__CommandState *command)
{
	if (command->chunk == 0)
		events->output_size = events->n_chunks = 0;
	/* an end would be taken for the command's own, which comes with its detail afterwards */
	if (command->life != PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_STARTED)
		abort();
	if (command->chunk != events->n_chunks || command->output.len > 32768 ||
	    events->output_size + command->output.len >= sizeof(events->output))
		abort();
	memcpy(events->output + events->output_size, command->output.data, command->output.len);
	events->output_size += command->output.len;
	events->output[events->output_size] = 0;
	events->n_chunks++;
	events->output_ended = command->output_last;
}

static void support_publish(void *data, Pathbell__V1__Event *event)
{
	struct support_events *events = data;
	const Pathbell__V1__CommandState *command =
		event->payload_case == PATHBELL__V1__EVENT__PAYLOAD_COMMAND_STATE
			? event->command_state
			: NULL;

	if (command && event->kind == PATHBELL__V1__EVENT_KIND__EVENT_KIND_COMMAND_OUTPUT)
		support_take_output(events, command);
	events->n++;
	events->len += (size_t)snprintf(
		events->text + events->len, sizeof(events->text) - events->len, "%s %s %s %s\n",
		kind_name(event->kind), command ? command_life_name(command->life) : "-",
		command && command->refusal ? command_refusal_name(command->refusal) : "-",
		command ? command->detail : "");
	if (events->len >= sizeof(events->text))
		abort();
}

static int support_sync(void *data, void (*done)(void *data), void *done_data)
{
	struct support_events *events = data;

	if (events->hold_sync) {
		events->done = done;
		events->done_data = done_data;
		return 0;
	}
	done(done_data);
	return 0;
}

struct announcer support_announcer(struct support_events *events)
{
	return (struct announcer){ events, support_publish, support_sync, NULL };
}

bool support_has(const struct support_events *events, const char *text)
{
	return strstr(events->text, text) != NULL;
}
