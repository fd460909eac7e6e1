/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/child.h"
#include "agent/commands/audit_file.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "proto/kind.h"

/*
 * The audit
 *
 * STATE_DIR/audit.log holds one line for each state of each command, for each refusal, and for
 * each change of the keys, chained by SHA-256 (audit_line.h). The newest hash goes out with the
 * events of commands, so that the fleet's store holds points of the chain which whoever rewrites
 * the file can't reach.
 *
 * 1. A record is made into a line and chained at once, and queued.
 * 2. A forked child writes all that is queued and calls fdatasync; the loop hears of its exit.
 *    Then the head moves, and whoever waits is told. A command that changes something waits for its
 *    STARTED line before it does.
 * 3. Above max_bytes the child puts the file aside (audit.log.1, .2, ...) and begins a new one,
 *    whose first line repeats the hash that it goes on from.
 *
 * What may go wrong
 * - A write fails: the group is kept and tried again every 5 s; until then audit_error says why,
 * and commands above the viewer's role are refused; halt is not.
 * - The queue is full: lines are dropped and counted, the next one that is taken says how many.
 * - Crash in a write: the torn line is cut off at the next start. Nothing that waited for it was
 *   done.
 * - Someone cut or altered the file: what follows is chained to what was here in memory, or after a
 *   restart to what is left; either way a check of the chain, or of its points in the store, fails.
 */
#define AUDIT_WRITE_TIMEOUT_NS (30 * CLOCK_NS_PER_S)
#define AUDIT_RETRY_S	       5.
#define AUDIT_TEXT_MAX	       1400 /* of a quoted text in a line: three fit */

struct audit_waiter {
	journal_done done;
	void *data;
	uint8_t id[16];
};

struct audit_group {
	struct buf bytes;
	bool rotate; /* bytes begin a new file */
	struct audit_link last;
	size_t n_waiters;
	struct audit_waiter waiters[AUDIT_MAX_WAITERS];
};

struct audit {
	struct ev_loop *loop;
	struct audit_options options;
	char *path;
	uint64_t size;		/* of the file, on stable storage */
	struct audit_link link; /* of the newest line, queued ones included */
	struct announce_head head;
	struct audit_group groups[2], *queued, *flying;
	struct child child;
	struct ev_timer retry;
	char *recent[AUDIT_MAX_RECENT];
	size_t n_recent, first_recent;
	char via[256], error[160];
	uint64_t untold; /* dropped since the last line */
	struct audit_stats stats;
};

static void audit_start_write(struct audit *audit);

/* Recent lines */

static void audit_remember(struct audit *audit, const char *line, size_t len)
{
	char *copy = strndup(line, len);
	size_t at = (audit->first_recent + audit->n_recent) % AUDIT_MAX_RECENT;

	if (!copy)
		return;
	if (audit->n_recent == AUDIT_MAX_RECENT) {
		free(audit->recent[audit->first_recent]);
		audit->first_recent = (audit->first_recent + 1) % AUDIT_MAX_RECENT;
	} else {
		audit->n_recent++;
	}
	audit->recent[at] = copy;
}

const char *audit_recent(const struct audit *audit, size_t index, uint64_t *ret_seq)
{
	const char *line;

	if (index >= audit->n_recent)
		return NULL;
	line = audit->recent[(audit->first_recent + index) % AUDIT_MAX_RECENT];
	*ret_seq = strtoull(line, NULL, 10);
	return line;
}

/* Writing */

static int audit_write(void *data)
{
	const struct audit *audit = data;
	const struct buf *bytes = &audit->flying->bytes;

	if (audit->flying->rotate)
		return -audit_file_rotate(audit->path, audit->options.n_files, bytes->data,
					  bytes->size);
	return -audit_file_append(audit->path, audit->size, bytes->data, bytes->size);
}

static void audit_tell(struct audit_group *group, int error)
{
	struct audit_waiter waiters[AUDIT_MAX_WAITERS];
	size_t n = group->n_waiters;

	memcpy(waiters, group->waiters, n * sizeof(waiters[0]));
	group->n_waiters = 0;
	for (size_t i = 0; i < n; i++)
		waiters[i].done(waiters[i].data, waiters[i].id, error);
}

static void audit_on_failed(struct audit *audit, int error)
{
	if (!audit->error[0])
		log_error("audit cannot be written file=%s error=\"%s\"", audit->path,
			  log_errno(error));
	snprintf(audit->error, sizeof(audit->error), "%s", log_errno(error));
	audit->stats.failures++;
	ev_timer_stop(audit->loop, &audit->retry);
	ev_timer_set(&audit->retry, AUDIT_RETRY_S, 0.);
	ev_timer_start(audit->loop, &audit->retry);
	/* what is queued waits behind it: nobody is to wait for a disk that may never come back */
	audit_tell(audit->flying, error);
	audit_tell(audit->queued, error);
}

static void audit_on_written(void *data, enum child_end end, int status)
{
	struct audit *audit = data;
	struct audit_group *group = audit->flying;

	if (end != CHILD_EXITED || status) {
		audit_on_failed(audit, end == CHILD_EXITED ? -status : -ETIMEDOUT);
		return;
	}
	audit->size = group->rotate ? group->bytes.size : audit->size + group->bytes.size;
	audit->stats.rotations += group->rotate;
	audit->head.seq = group->last.seq;
	memcpy(audit->head.hash, group->last.hash, sizeof(audit->head.hash));
	audit->flying = NULL;
	group->rotate = false;
	buf_reset(&group->bytes);
	if (audit->error[0])
		log_notice("audit is written again");
	audit->error[0] = 0;
	audit_tell(group, 0);
	audit_start_write(audit);
}

static void audit_on_reaped(void *data)
{
	audit_start_write(data);
}

static void audit_on_retry(EV_P_ struct ev_timer *timer, int revents)
{
	audit_start_write(timer->data);
}

/* What has failed goes first, as it is. */
static void audit_start_write(struct audit *audit)
{
	struct child_spec spec = {
		.run = audit_write,
		.data = audit,
		.timeout_ns = AUDIT_WRITE_TIMEOUT_NS,
		.ended = audit_on_written,
		.reaped = audit_on_reaped,
	};
	int r;

	if (child_is_running(&audit->child) || ev_is_active(&audit->retry))
		return;
	if (!audit->flying) {
		if (!audit->queued->bytes.size)
			return;
		audit->flying = audit->queued;
		audit->queued = &audit->groups[audit->queued == &audit->groups[0]];
	}
	r = child_start(&audit->child, audit->loop, &spec);
	if (r)
		audit_on_failed(audit, r);
}

/* Lines */

/* True: the line is queued. */
static bool audit_put(struct audit *audit, uint64_t now_ms, const char *body)
{
	struct audit_group *group = audit->queued;
	size_t before = group->bytes.size;

	if (audit_put_line(&group->bytes, &audit->link, now_ms, body)) {
		audit->stats.dropped++;
		audit->untold++;
		return false;
	}
	group->last = audit->link;
	audit->stats.records++;
	audit_remember(audit, (const char *)group->bytes.data + before,
		       group->bytes.size - before - 1);
	return true;
}

static void audit_begin_file(struct audit *audit, uint64_t now_ms)
{
	char body[2 * SHA256_SIZE + 64], hex[2 * SHA256_SIZE + 1];

	id_hex(audit->link.hash, SHA256_SIZE, hex);
	snprintf(body, sizeof(body), "begin prev=%s", hex);
	audit->queued->rotate = audit_put(audit, now_ms, body);
}

static void audit_say_dropped(struct audit *audit, uint64_t now_ms)
{
	char body[64];

	snprintf(body, sizeof(body), "dropped lines=%llu", (unsigned long long)audit->untold);
	if (audit_put(audit, now_ms, body))
		audit->untold = 0;
}

static bool audit_add(struct audit *audit, uint64_t now_ms, const char *body)
{
	bool rotating = audit->flying && audit->flying->rotate;

	if (!audit->queued->bytes.size && audit->size >= audit->options.max_bytes && !rotating)
		audit_begin_file(audit, now_ms);
	if (audit->untold && audit->queued->bytes.size + AUDIT_LINE_MAX < AUDIT_MAX_QUEUED)
		audit_say_dropped(audit, now_ms);
	return audit_put(audit, now_ms, body);
}

void audit_note(struct audit *audit, uint64_t now_ms, const char *body)
{
	audit_add(audit, now_ms, body);
	audit_start_write(audit);
}

static int audit_put_entry(struct audit *audit, const struct entry *entry, const char *keys,
			   struct buf *out)
{
	char id[ID_TEXT_SIZE];
	int r;

	id_format(entry->id, id);
	r = buf_printf(out, "command id=%s life=%s verb=%s", id, command_life_name(entry->life),
		       command_verb_name(entry->verb));
	if (r == 0 && entry->refusal)
		r = buf_printf(out, " refusal=%s", command_refusal_name(entry->refusal));
	if (r == 0 && entry->error_number)
		r = buf_printf(out, " errno=%d", entry->error_number);
	if (r == 0 && entry->dry_run)
		r = buf_printf(out, " dry_run=true");
	if (r == 0 && entry->duration_ms)
		r = buf_printf(out, " duration_ms=%u", entry->duration_ms);
	if (r == 0 && entry->campaign_id[0])
		r = buf_printf(out, " campaign=%s", entry->campaign_id);
	if (r == 0)
		r = buf_printf(out, " keys=%s", keys ? keys : entry->key_id);
	if (r == 0)
		r = audit_put_text(out, "issuer", entry->issuer, AUDIT_TEXT_MAX / 4);
	if (r == 0 && entry->object[0])
		r = audit_put_text(out, "object", entry->object, AUDIT_TEXT_MAX / 2);
	if (r == 0 && audit->via[0])
		r = audit_put_text(out, "via", audit->via, AUDIT_TEXT_MAX / 4);
	if (r == 0 && entry->detail[0])
		r = audit_put_text(out, "detail", entry->detail, AUDIT_TEXT_MAX);
	return r ? r : buf_append(out, "", 1);
}

void audit_entry(struct audit *audit, const struct entry *entry, const char *keys, uint64_t now_ms,
		 journal_done done, void *data)
{
	struct buf body = { .max = 2 * AUDIT_LINE_MAX };
	struct audit_group *group = audit->queued;
	struct audit_waiter waiter = { .done = done, .data = data };
	bool room = !done || group->n_waiters < AUDIT_MAX_WAITERS;
	bool queued = room && audit_put_entry(audit, entry, keys, &body) == 0 &&
		      audit_add(audit, now_ms, (const char *)body.data);

	buf_deinit(&body);
	if (done && (!queued || audit->error[0])) {
		done(data, entry->id, queued ? -EIO : -ENOBUFS);
		return;
	}
	if (done) {
		memcpy(waiter.id, entry->id, 16);
		group->waiters[group->n_waiters++] = waiter;
	}
	audit_start_write(audit);
}

/* Opening */

static void audit_take_line(void *data, const char *line, size_t len)
{
	audit_remember(data, line, len);
}

int audit_open(struct audit **ret_audit, struct ev_loop *loop, const struct audit_options *options,
	       uint64_t now_ms)
{
	struct audit *audit = calloc(1, sizeof(*audit));
	int r;

	if (!audit)
		return -ENOMEM;
	audit->loop = loop;
	audit->options = *options;
	audit->queued = &audit->groups[0];
	audit->groups[0].bytes.max = audit->groups[1].bytes.max = AUDIT_MAX_QUEUED;
	ev_init(&audit->retry, audit_on_retry);
	audit->retry.data = audit;
	if (asprintf(&audit->path, "%s/audit.log", options->dir) < 0) {
		audit->path = NULL;
		audit_close(audit);
		return -ENOMEM;
	}
	r = audit_file_load(audit->path, &audit->link, &audit->size, audit_take_line, audit);
	if (r < 0)
		log_error("cannot read the audit file=%s error=\"%s\"", audit->path, log_errno(r));
	audit->head.seq = audit->link.seq;
	memcpy(audit->head.hash, audit->link.hash, sizeof(audit->head.hash));
	if (audit->size == 0)
		audit_begin_file(audit, now_ms);
	if (r > 0)
		audit_note(audit, now_ms, "damaged what=\"the end of the file did not fit\"");
	audit_note(audit, now_ms, "agent what=start version=" PATHBELL_VERSION);
	*ret_audit = audit;
	return 0;
}

struct audit *audit_close(struct audit *audit)
{
	if (!audit)
		return NULL;
	child_deinit(&audit->child);
	ev_timer_stop(audit->loop, &audit->retry);
	for (size_t i = 0; i < AUDIT_MAX_RECENT; i++)
		free(audit->recent[i]);
	buf_deinit(&audit->groups[0].bytes);
	buf_deinit(&audit->groups[1].bytes);
	free(audit->path);
	free(audit);
	return NULL;
}

void audit_configure(struct audit *audit, uint64_t max_bytes, unsigned n_files)
{
	audit->options.max_bytes = max_bytes;
	audit->options.n_files = n_files;
}

void audit_set_via(struct audit *audit, const char *via)
{
	snprintf(audit->via, sizeof(audit->via), "%s", via);
}

const char *audit_error(const struct audit *audit)
{
	if (audit->error[0])
		return audit->error;
	return audit->untold ? "its queue is full" : NULL;
}

const struct announce_head *audit_head(const struct audit *audit)
{
	return &audit->head;
}

void audit_stats(const struct audit *audit, struct audit_stats *ret_stats)
{
	*ret_stats = audit->stats;
	ret_stats->bytes = audit->size;
}
