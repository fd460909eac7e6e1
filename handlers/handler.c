/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/handler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * pg_init   1. handler_pg_init calls the type's hook, which names a command (handler_act)
 *	     2. the act callback starts it, in a child or wherever, and returns
 *	     3. handler_action_done: OK completes with 0; results that ask for another attempt start
 *		the same command again, at most pg_init_retries times (drivers/md/dm-mpath.c
 *		pg_init_done, Linux 6.12); the others become flags
 *	     4. handler_pg_init_complete: `done`, then the work that waited, in order
 *
 * Tickets make an answer that comes late, to an attempt that is over, harmless. `done` and the work
 * may call anything here but handler_free; a new pg_init that they start makes the rest of the work
 * wait for that one.
 */
struct handler_work {
	void (*run)(void *data, unsigned flags);
	void *data;
};

struct handler {
	struct handlers *handlers;
	const struct handler_type *type;
	void *state;
	int (*act)(void *data, const struct handler_action *action);
	void *act_data;
	unsigned pg_init_retries;

	bool initialising, acting, bypassed, leaving;
	char path[HANDLER_PATH_MAX];
	struct handler_action action; /* the one that runs or is retried */
	uint64_t n_tickets;
	void (*done)(void *data, unsigned flags);
	void *done_data;

	size_t first, n_queued; /* ring */
	uint64_t refused;
	struct handler_work queue[HANDLER_MAX_QUEUED];
};

static int handler_construct(struct handler *handler, const struct handler_options *options,
			     struct errmsg *err)
{
	if (options->argc > HANDLER_MAX_ARGS) {
		errmsg_set(err, "hardware handler %s: %zu arguments, at most %d are taken",
			   handler->type->name, options->argc, HANDLER_MAX_ARGS);
		return -EINVAL;
	}
	if (handler->type->ctr != NULL)
		return handler->type->ctr(handler, options->argc, options->argv, err);
	if (options->argc > 0) {
		errmsg_set(err, "hardware handler %s takes no arguments", handler->type->name);
		return -EINVAL;
	}
	return 0;
}

int handler_new(struct handler **ret_handler, struct handlers *handlers, const char *name,
		const struct handler_options *options, struct errmsg *err)
{
	const struct handler_type *type = handlers_get(handlers, name);
	struct handler *handler;
	int r = -ENOMEM;

	if (type == NULL) {
		errmsg_set(err, "no hardware handler is called \"%s\"", name);
		return -ENOENT;
	}
	handler = calloc(1, sizeof(*handler));
	if (handler != NULL) {
		handler->handlers = handlers;
		handler->type = type;
		handler->act = options->act;
		handler->act_data = options->act_data;
		handler->pg_init_retries = options->pg_init_retries;
		r = handler_construct(handler, options, err);
	}
	if (r < 0) {
		free(handler);
		(void)handlers_put(handlers, type);
		return r;
	}
	*ret_handler = handler;
	return 0;
}

struct handler *handler_free(struct handler *handler)
{
	if (handler == NULL)
		return NULL;
	handler->leaving = true;
	if (handler->initialising)
		(void)handler_pg_init_complete(handler, HANDLER_FAIL_PATH);
	if (handler->type->dtr != NULL)
		handler->type->dtr(handler);
	(void)handlers_put(handler->handlers, handler->type);
	free(handler);
	return NULL;
}

bool handler_is_initialising(const struct handler *handler)
{
	return handler->initialising;
}

int handler_act(struct handler *handler, const struct handler_action *action)
{
	int r;

	if (handler->act == NULL)
		return -EOPNOTSUPP;
	handler->action = *action;
	handler->action.path = handler->path;
	handler->action.ticket = ++handler->n_tickets;
	handler->acting = true;
	r = handler->act(handler->act_data, &handler->action);
	handler->acting = false;
	return r;
}

int handler_pg_init(struct handler *handler, bool bypassed, const char *path,
		    void (*done)(void *data, unsigned flags), void *data)
{
	size_t len = strlen(path);
	int r;

	if (handler->initialising || handler->leaving)
		return -EBUSY;
	if (handler->type->pg_init == NULL)
		return HANDLER_E_READY;
	if (len == 0 || len >= sizeof(handler->path))
		return -EINVAL;
	memcpy(handler->path, path, len + 1);
	handler->bypassed = bypassed;
	handler->done = done;
	handler->done_data = data;
	handler->initialising = true;
	r = handler->type->pg_init(handler, bypassed, handler->path);
	if (r < 0)
		handler->initialising = false;
	return r;
}

static void handler_run_queue(struct handler *handler, unsigned flags)
{
	while (handler->n_queued > 0 && !handler->initialising) {
		struct handler_work work = handler->queue[handler->first];

		handler->first = (handler->first + 1) % HANDLER_MAX_QUEUED;
		handler->n_queued--;
		work.run(work.data, flags);
	}
}

int handler_pg_init_complete(struct handler *handler, unsigned flags)
{
	if (!handler->initialising)
		return -EINVAL;
	if (handler->acting)
		return -EBUSY;
	if (handler->bypassed)
		flags |= HANDLER_FAIL_PATH;
	handler->initialising = false;
	handler->done(handler->done_data, flags);
	handler_run_queue(handler, flags);
	return 0;
}

/* drivers/md/dm-mpath.c pg_init_done, Linux 6.12. */
static unsigned handler_result_flags(enum handler_result result)
{
	switch (result) {
	case HANDLER_OK:
		return 0;
	case HANDLER_DEV_TEMP_BUSY:
		return HANDLER_BYPASS_PG;
	default:
		return HANDLER_FAIL_PATH;
	}
}

static bool handler_is_retried(enum handler_result result)
{
	return result == HANDLER_RETRY || result == HANDLER_IMM_RETRY ||
	       result == HANDLER_RES_TEMP_UNAVAIL;
}

int handler_action_done(struct handler *handler, uint64_t ticket, enum handler_result result)
{
	struct handler_action next = handler->action;

	if (handler->acting)
		return -EBUSY;
	if (!handler->initialising || ticket != handler->action.ticket)
		return -EINVAL;
	if (handler_is_retried(result) && handler->action.attempt < handler->pg_init_retries) {
		next.attempt++;
		next.delayed = result != HANDLER_IMM_RETRY;
		if (handler_act(handler, &next) == 0)
			return 0;
	}
	return handler_pg_init_complete(handler, handler_result_flags(result));
}

int handler_queue(struct handler *handler, void (*run)(void *data, unsigned flags), void *data)
{
	if (!handler->initialising) {
		run(data, 0);
		return 0;
	}
	if (handler->n_queued == HANDLER_MAX_QUEUED) {
		handler->refused++;
		return -ENOSPC;
	}
	handler->queue[(handler->first + handler->n_queued) % HANDLER_MAX_QUEUED] =
		(struct handler_work){ .run = run, .data = data };
	handler->n_queued++;
	return 0;
}

uint64_t handler_refused(const struct handler *handler)
{
	return handler->refused;
}

void handler_error(const struct handler *handler, const struct handler_error *error,
		   struct handler_verdict *ret_verdict)
{
	handler->type->error(error, ret_verdict);
}

void handler_status(const struct handler *handler, enum handler_status what, char *text,
		    size_t size)
{
	if (handler->type->status != NULL)
		handler->type->status(handler, what, text, size);
	else if (what == HANDLER_INFO)
		snprintf(text, size, "0 ");
	else
		snprintf(text, size, "1 %s ", handler->type->name);
}

const struct handler_type *handler_type(const struct handler *handler)
{
	return handler->type;
}

void *handler_state(const struct handler *handler)
{
	return handler->state;
}

void handler_set_state(struct handler *handler, void *state)
{
	handler->state = state;
}
