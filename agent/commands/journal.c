/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/child.h"
#include "agent/commands/journal_file.h"
#include "core/buf.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/file.h"

/*
 * The journal
 *
 * One append-only file, DIR/journal, of whole entries; the last record of an id is its state.
 *
 * 1. journal_record puts the entry into the table, so that a second copy of the command is
 * recognised at once, and its record into `queued`.
 * 2. A forked child writes all that is queued at the end of the file and calls fdatasync. The loop
 * goes on meanwhile; commands are rare (limited to some tens a minute), so a fork for each group is
 * cheap, and a disk that hangs holds up the child only.
 * 3. The child's exit status is the result; every `done` of the group is called with it.
 * 4. When the file has grown, the child writes a new one with only the entries still needed instead
 *    (temporary file, fsync, rename, fsync of the folder).
 *
 * What may go wrong
 * - Crash in the middle of a write: the tail is torn. Nothing in it was promised; it is cut off.
 * - Crash between write and `done`: the record counts. Who wrote it finds it at the next start.
 * - Failed write: `size` stays, the next child cuts the file to it first. The caller is told and
 * does not act.
 * - The file is missing or a record in its middle is bad: commands may have been executed that we
 * no longer know. HOLD: nothing executes until every command of that time has expired (lifetime of
 * 24 h at most, plus the clock error), also over restarts (DIR/hold keeps the time), or until an
 * operator creates DIR/release-hold and restarts or reloads. The damaged file is kept as
 * DIR/journal.bad.
 * - The clock jumps: an entry is forgotten only 24 h after its command has expired, and then the
 * floor rises to its time of issue: whatever was issued at or before the floor is refused, whatever
 * the clock says by then. A journal that begins on a new host has its floor at the time of its
 * birth, so that a state folder which vanished as a whole does not let old commands in.
 */
#define JOURNAL_WRITE_TIMEOUT_NS (30 * CLOCK_NS_PER_S)
#define JOURNAL_KEEP_MS		 (UINT64_C(24) * 3600 * 1000)

struct journal_waiter {
	journal_done done;
	void *data;
	uint8_t id[16];
};

struct journal_group {
	struct buf bytes;
	bool rewrite; /* bytes are the whole file */
	size_t n_waiters;
	struct journal_waiter waiters[JOURNAL_MAX_PENDING];
};

struct journal {
	struct ev_loop *loop;
	struct journal_options options;
	char *path, *hold_path, *release_path;
	int fd;
	uint64_t size;		 /* bytes on stable storage */
	uint64_t compacted_size; /* of the last rewritten file */
	uint64_t floor_ms;
	bool floor_moved; /* entries went that the file still has */
	struct entry *entries[JOURNAL_MAX_ENTRIES];
	size_t n_entries;
	struct journal_group *queued, *flying;
	struct child child;
	uint64_t hold_until_ms; /* 0 = none */
	bool hold_is_new;
	char hold_reason[256];
	struct journal_stats stats;
};

static void journal_start_write(struct journal *journal);

static struct entry **journal_slot(struct journal *journal, const uint8_t id[16])
{
	for (size_t i = journal->n_entries; i-- > 0;)
		if (memcmp(journal->entries[i]->id, id, 16) == 0)
			return &journal->entries[i];
	return NULL;
}

/* Takes what @entry owns on success. */
static int journal_put(struct journal *journal, struct entry *entry)
{
	struct entry **slot = journal_slot(journal, entry->id);
	struct entry *copy;

	if (!slot && journal->n_entries == JOURNAL_MAX_ENTRIES)
		return JOURNAL_E_FULL;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = *entry;
	entry->command = NULL;
	if (slot) {
		entry_deinit(*slot);
		free(*slot);
		*slot = copy;
	} else {
		journal->entries[journal->n_entries++] = copy;
	}
	return 0;
}

static void journal_remove(struct journal *journal, size_t index)
{
	entry_deinit(journal->entries[index]);
	free(journal->entries[index]);
	journal->n_entries--;
	memmove(&journal->entries[index], &journal->entries[index + 1],
		(journal->n_entries - index) *
			sizeof(struct entry *)); // NOLINT(bugprone-sizeof-expression)
}

static int journal_visit(void *data, struct entry *entry)
{
	return journal_put(data, entry);
}

/* Holds */

static int journal_begin_hold(struct journal *journal, uint64_t now_ms, const char *reason)
{
	char text[320];
	int len;

	journal->hold_until_ms =
		now_ms + JOURNAL_MAX_LIFETIME_MS + journal->options.max_clock_error_ms;
	snprintf(journal->hold_reason, sizeof(journal->hold_reason), "%s", reason);
	journal->hold_is_new = true;
	len = snprintf(text, sizeof(text), "%llu %s\n", (unsigned long long)journal->hold_until_ms,
		       reason);
	return file_replace(journal->hold_path, text, (size_t)len, 0600);
}

static void journal_read_hold(struct journal *journal)
{
	char *end;
	char line[320];

	if (file_read_line(AT_FDCWD, journal->hold_path, line, sizeof(line)))
		return;
	journal->hold_until_ms = strtoull(line, &end, 10);
	snprintf(journal->hold_reason, sizeof(journal->hold_reason), "%s",
		 *end == ' ' ? end + 1 : "the journal was lost");
	if (journal->hold_until_ms == 0)
		journal->hold_until_ms = UINT64_MAX; /* unreadable: until an operator says so */
	journal->hold_is_new = true;
}

static void journal_end_hold(struct journal *journal)
{
	journal->hold_until_ms = 0;
	unlink(journal->hold_path);
}

const char *journal_hold(struct journal *journal, uint64_t now_ms)
{
	if (journal->hold_until_ms && now_ms > journal->hold_until_ms)
		journal_end_hold(journal);
	return journal->hold_until_ms ? journal->hold_reason : NULL;
}

bool journal_hold_is_new(struct journal *journal)
{
	bool is_new = journal->hold_is_new && journal->hold_until_ms;

	journal->hold_is_new = false;
	return is_new;
}

bool journal_release(struct journal *journal)
{
	if (access(journal->release_path, F_OK))
		return false;
	unlink(journal->release_path);
	if (!journal->hold_until_ms)
		return false;
	journal_end_hold(journal);
	return true;
}

/* Opening */

static int journal_image(struct journal *journal, struct buf *out)
{
	int r = journal_put_header(journal->floor_ms, out);

	for (size_t i = 0; r == 0 && i < journal->n_entries; i++)
		r = entry_encode(journal->entries[i], out);
	return r;
}

static int journal_create(struct journal *journal)
{
	struct buf image = { .max = JOURNAL_FILE_MAX };
	int r = journal_image(journal, &image);

	if (r == 0)
		r = file_replace(journal->path, image.data, image.size, 0600);
	journal->size = image.size;
	buf_deinit(&image);
	return r;
}

/* Keeps the damaged file for whoever wants to know what happened. */
static void journal_set_aside(struct journal *journal)
{
	char bad[4200];

	snprintf(bad, sizeof(bad), "%s.bad", journal->path);
	rename(journal->path, bad);
}

static int journal_recover(struct journal *journal, uint64_t now_ms)
{
	_cleanup_free_ char *data = NULL;
	size_t size = 0, good = 0;
	int r = file_read(journal->path, JOURNAL_FILE_MAX, &data, &size);

	if (r == -ENOENT) {
		journal->floor_ms = now_ms;
		r = 0;
		if (!journal->options.first_start)
			r = journal_begin_hold(journal, now_ms, "the command journal is missing");
		return r ? r : journal_create(journal);
	}
	if (r && r != -EFBIG)
		return r;
	if (r == 0)
		r = journal_parse((uint8_t *)data, size, journal_visit, journal, &journal->floor_ms,
				  &good);
	journal->size = good;
	if (r == 0 || r == JOURNAL_E_TORN)
		return 0;
	if (r == -ENOMEM)
		return r;
	/* the hold first: were it lost, the new file would look like nothing ever happened */
	r = journal_begin_hold(journal, now_ms, "the command journal is damaged");
	if (r)
		return r;
	journal->floor_ms = now_ms;
	journal_set_aside(journal);
	return journal_create(journal);
}

static int journal_open_files(struct journal *journal, uint64_t now_ms, struct errmsg *err)
{
	const char *dir = journal->options.dir;
	int r;

	if (asprintf(&journal->path, "%s/journal", dir) < 0 ||
	    asprintf(&journal->hold_path, "%s/hold", dir) < 0 ||
	    asprintf(&journal->release_path, "%s/release-hold", dir) < 0)
		return -ENOMEM;
	journal_read_hold(journal);
	r = journal_recover(journal, now_ms);
	if (r) {
		errmsg_at(err, journal->path, 0, 0, "cannot use the command journal: %s",
			  strerror(-r)); // NOLINT(concurrency-mt-unsafe)
		return r;
	}
	journal->fd = open(journal->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (journal->fd < 0) {
		r = -errno;
		errmsg_at(err, journal->path, 0, 0, "cannot open the command journal");
		return r;
	}
	if (journal_release(journal))
		journal->hold_is_new = false;
	return 0;
}

int journal_open(struct journal **ret_journal, struct ev_loop *loop,
		 const struct journal_options *options, uint64_t now_ms, struct errmsg *err)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	int r = -ENOMEM;

	if (journal) {
		journal->loop = loop;
		journal->options = *options;
		journal->fd = -1;
		journal->queued = calloc(1, sizeof(*journal->queued));
		journal->flying = calloc(1, sizeof(*journal->flying));
		if (!journal->options.compact_bytes)
			journal->options.compact_bytes = JOURNAL_DEFAULT_COMPACT;
		if (journal->queued && journal->flying)
			r = journal_open_files(journal, now_ms, err);
	}
	if (r) {
		journal_close(journal);
		return r;
	}
	*ret_journal = journal;
	return 0;
}

struct journal *journal_close(struct journal *journal)
{
	if (!journal)
		return NULL;
	child_deinit(&journal->child);
	for (size_t i = 0; i < journal->n_entries; i++) {
		entry_deinit(journal->entries[i]);
		free(journal->entries[i]);
	}
	fd_close(journal->fd);
	if (journal->queued)
		buf_deinit(&journal->queued->bytes);
	if (journal->flying)
		buf_deinit(&journal->flying->bytes);
	free(journal->queued);
	free(journal->flying);
	free(journal->path);
	free(journal->hold_path);
	free(journal->release_path);
	free(journal);
	return NULL;
}

/* Writing */

/* In the child. Exit status: 0 or errno. */
static int journal_write(void *data)
{
	const struct journal *journal = data;
	const struct buf *bytes = &journal->flying->bytes;
	struct stat st;
	int r;

	if (journal->flying->rewrite)
		return -file_replace(journal->path, bytes->data, bytes->size, 0600);
	if (fstat(journal->fd, &st))
		return errno;
	if ((uint64_t)st.st_size != journal->size && ftruncate(journal->fd, (off_t)journal->size))
		return errno;
	if (lseek(journal->fd, (off_t)journal->size, SEEK_SET) < 0)
		return errno;
	r = fd_write_all(journal->fd, bytes->data, bytes->size);
	if (r)
		return -r;
	return fdatasync(journal->fd) ? errno : 0;
}

/* The new file has taken the old one's name: its dentry is in memory, opening it does not wait for
 * the disk. */
static int journal_reopen(struct journal *journal)
{
	int fd = open(journal->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	fd_close(journal->fd);
	journal->fd = fd;
	return 0;
}

static int journal_settle(struct journal *journal, enum child_end end, int status)
{
	struct journal_group *group = journal->flying;
	int error = end == CHILD_EXITED ? -status : -ETIMEDOUT;

	if (error == 0 && group->rewrite) {
		error = journal_reopen(journal);
		journal->stats.compactions++;
		if (error == 0) {
			journal->size = journal->compacted_size = group->bytes.size;
			journal->floor_moved = false;
		}
	} else if (error == 0) {
		journal->size += group->bytes.size;
	}
	if (error) {
		journal->stats.failures++;
		snprintf(journal->stats.error, sizeof(journal->stats.error), "%s",
			 strerror(-error)); // NOLINT(concurrency-mt-unsafe)
	} else {
		journal->stats.error[0] = 0;
	}
	return error;
}

static void journal_on_written(void *data, enum child_end end, int status)
{
	struct journal *journal = data;
	struct journal_group *group = journal->flying;
	struct journal_waiter waiters[JOURNAL_MAX_PENDING];
	size_t n_waiters = group->n_waiters;
	int error = journal_settle(journal, end, status);

	memcpy(waiters, group->waiters, n_waiters * sizeof(waiters[0]));
	group->n_waiters = 0;
	group->rewrite = false;
	buf_reset(&group->bytes);
	for (size_t i = 0; i < n_waiters; i++)
		if (waiters[i].done)
			waiters[i].done(waiters[i].data, waiters[i].id, error);
	journal_start_write(journal);
}

static void journal_on_reaped(void *data)
{
	journal_start_write(data);
}

/* Entries that no valid command can have any more. The floor remembers them all. */
static void journal_drop_old(struct journal *journal, uint64_t now_ms)
{
	for (size_t i = journal->n_entries; i-- > 0;) {
		const struct entry *entry = journal->entries[i];

		if (entry->command_size || !entry->reported)
			continue; /* not finished, or not known to be told */
		if (now_ms <
		    entry->expires_ms + journal->options.max_clock_error_ms + JOURNAL_KEEP_MS)
			continue;
		if (entry->issued_ms > journal->floor_ms)
			journal->floor_ms = entry->issued_ms;
		journal_remove(journal, i);
		journal->floor_moved = true;
		journal->stats.dropped++;
	}
}

/* Turns the queued group into a new file. On failure the records are appended as usual. */
static void journal_compact(struct journal *journal, uint64_t now_ms)
{
	struct buf image = { .max = JOURNAL_FILE_MAX };

	journal_drop_old(journal, now_ms);
	if (journal_image(journal, &image)) {
		buf_deinit(&image);
		return;
	}
	buf_deinit(&journal->queued->bytes);
	journal->queued->bytes = image;
	journal->queued->rewrite = true;
}

static bool journal_wants_compaction(const struct journal *journal)
{
	uint64_t limit = journal->options.compact_bytes;

	if (limit < 2 * journal->compacted_size)
		limit = 2 *
			journal->compacted_size; /* what is left is needed: no rewriting in vain */
	return journal->floor_moved || journal->size + journal->queued->bytes.size > limit;
}

static void journal_start_write(struct journal *journal)
{
	struct journal_group *group = journal->queued;
	struct child_spec spec = {
		.run = journal_write,
		.data = journal,
		.keep = { journal->fd },
		.n_keep = 1,
		.timeout_ns = JOURNAL_WRITE_TIMEOUT_NS,
		.ended = journal_on_written,
		.reaped = journal_on_reaped,
	};
	int r;

	if (child_is_running(&journal->child) || group->n_waiters == 0)
		return;
	if (journal_wants_compaction(journal))
		journal_compact(journal, clock_realtime_ns() / CLOCK_NS_PER_MS);
	journal->queued = journal->flying;
	journal->flying = group;
	journal->stats.writes++;
	r = child_start(&journal->child, journal->loop, &spec);
	if (r)
		journal_on_written(journal, CHILD_EXITED, -r);
}

int journal_record(struct journal *journal, const struct entry *entry, uint64_t now_ms,
		   journal_done done, void *data)
{
	struct journal_group *group = journal->queued;
	struct entry copy = *entry;
	size_t before;
	int r;

	if (group->n_waiters == JOURNAL_MAX_PENDING)
		return JOURNAL_E_FULL;
	if (journal->n_entries == JOURNAL_MAX_ENTRIES && !journal_slot(journal, entry->id))
		journal_drop_old(journal, now_ms);
	if (copy.command_size) {
		copy.command = malloc(copy.command_size);
		if (!copy.command)
			return JOURNAL_E_FULL;
		memcpy(copy.command, entry->command, copy.command_size);
	}
	group->bytes.max = JOURNAL_FILE_MAX;
	before = group->bytes.size;
	r = entry_encode(&copy, &group->bytes);
	if (r == 0)
		r = journal_put(journal, &copy);
	entry_deinit(&copy);
	if (r) {
		group->bytes.size = before;
		return JOURNAL_E_FULL;
	}
	group->waiters[group->n_waiters] = (struct journal_waiter){ .done = done, .data = data };
	memcpy(group->waiters[group->n_waiters++].id, entry->id, 16);
	journal_start_write(journal);
	return 0;
}

void journal_forget(struct journal *journal, const uint8_t id[16])
{
	for (size_t i = 0; i < journal->n_entries; i++) {
		if (memcmp(journal->entries[i]->id, id, 16) != 0)
			continue;
		journal_remove(journal, i);
		return;
	}
}

const struct entry *journal_find(const struct journal *journal, const uint8_t id[16])
{
	for (size_t i = journal->n_entries; i-- > 0;)
		if (memcmp(journal->entries[i]->id, id, 16) == 0)
			return journal->entries[i];
	return NULL;
}

const struct entry *journal_at(const struct journal *journal, size_t index)
{
	return index < journal->n_entries ? journal->entries[index] : NULL;
}

uint64_t journal_floor_ms(const struct journal *journal)
{
	return journal->floor_ms;
}

void journal_stats(const struct journal *journal, struct journal_stats *ret_stats)
{
	*ret_stats = journal->stats;
	ret_stats->entries = journal->n_entries;
	ret_stats->bytes = journal->size;
}
