/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a start makes of the folder. The state slots give epochs, acked positions and totals; the
 * segments give records (by their seals, else by a scan); the live file says what was offered
 * before a crash of this boot.
 * 1. A seq below `known` (durable for sure: the slots, the live file, or a later record says so)
 * that no file holds is a tombstone: explained by a cover of the slots, else CORRUPT_RECORD.
 * 2. Above `known` records count up to the first hole; the rest belongs to a group whose fdatasync
 * never came back: cut off, never offered. After a cut everything is read again.
 * 3. The epoch goes on after a clean stop, or after a crash within this boot when nothing is
 * missing of what was offered; else a new one begins.
 */
#include "agent/spool/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/spool/disk.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/id.h"
#include "pathbell/v1/ingest.pb-c.h"

#define RECOVER_CORRUPT PATHBELL__V1__GONE_REASON__GONE_REASON_CORRUPT_RECORD
#define RECOVER_ROUNDS	4

static int recover_read_state(struct recover *recover, unsigned dir)
{
	uint8_t *bytes = calloc(2, SLOT_SIZE);
	struct slot *slot = malloc(sizeof(*slot));
	int fd = openat(recover->spool->dirfds[dir], SLOT_FILE,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = 0;
	int r = 0;

	if (bytes == NULL || slot == NULL) {
		r = -ENOMEM;
	} else if (fd >= 0) {
		n = disk_read_all(&disk_real, fd, bytes, (size_t)2 * SLOT_SIZE, 0);
		if (n > 0 && slot_choose(bytes, (size_t)2 * SLOT_SIZE, slot)) {
			if (!recover->have_slot || slot->generation > recover->slot->generation)
				*recover->slot = *slot;
			recover->have_slot = true;
		} else if (n != 0) {
			for (size_t i = 0; i < (size_t)2 * SLOT_SIZE; i++)
				recover->state_damaged = recover->state_damaged || bytes[i] != 0;
		}
	} else if (errno != ENOENT) {
		recover->state_damaged = true;
	}
	fd_close(fd);
	free(bytes);
	free(slot);
	return r;
}

static struct epoch *recover_epoch(struct recover *recover, const uint8_t id[16])
{
	struct spool *spool = recover->spool;
	struct epoch *epoch;

	for (size_t i = 0; i < spool->n_epochs; i++)
		if (memcmp(spool->epochs[i]->id, id, 16) == 0)
			return spool->epochs[i];
	if (spool->n_epochs == SPOOL_MAX_EPOCHS)
		return NULL;
	epoch = epoch_new(id);
	if (epoch != NULL)
		spool->epochs[spool->n_epochs++] = epoch;
	return epoch;
}

static int recover_from_slot(struct recover *recover)
{
	struct spool *spool = recover->spool;
	const struct slot *slot = recover->slot;

	spool->generation = slot->generation;
	spool->next_number = slot->next_number;
	spool->base_captured = slot->base_captured;
	spool->base_gone = slot->base_gone;
	memcpy(spool->gone_by_reason, slot->gone_by_reason, sizeof(spool->gone_by_reason));
	memcpy(spool->durable_cursors, slot->cursors, sizeof(spool->durable_cursors));
	for (uint32_t i = 0; i < slot->n_cursors; i++)
		memcpy(spool->cursors[i].name, slot->names[i], SLOT_NAME_SIZE);
	for (uint32_t i = 0; i < slot->n_epochs; i++) {
		const struct slot_epoch *in = &slot->epochs[i];
		struct epoch *epoch = recover_epoch(recover, in->id);

		if (epoch == NULL)
			return -ENOMEM;
		epoch->settled = in->settled;
		epoch->settled_gone = in->settled_gone;
		epoch->durable = in->tail;
		memcpy(epoch->acked, in->acked, sizeof(epoch->acked));
	}
	for (uint32_t i = 0; i < slot->n_covers; i++)
		epoch_cover(spool->epochs[slot->covers[i].epoch], slot->covers[i].first,
			    slot->covers[i].last, slot->covers[i].reason);
	return 0;
}

/* Without slots the headers say from where on an epoch had something unacked. */
static void recover_guess_settled(struct recover *recover, struct epoch *epoch)
{
	uint64_t first = UINT64_MAX, settled = 0;

	for (size_t i = 0; i < recover->n_files; i++) {
		const struct layout_header *header = &recover->files[i].header;

		if (!recover->files[i].header_ok || memcmp(header->epoch, epoch->id, 16) != 0)
			continue;
		first = header->first_seq < first ? header->first_seq : first;
		settled = header->settled > settled ? header->settled : settled;
	}
	if (first != UINT64_MAX && first > 0 && settled < first - 1)
		settled = first - 1;
	epoch->settled = epoch->durable = settled;
	for (unsigned k = 0; k < SPOOL_MAX_CURSORS; k++)
		epoch->acked[k] = settled;
}

static int recover_make_epochs(struct recover *recover)
{
	struct spool *spool = recover->spool;
	size_t n_listed = spool->n_epochs;

	for (size_t i = 0; i < recover->n_files; i++) {
		struct recover_file *file = &recover->files[i];

		if (file->number >= spool->next_number)
			spool->next_number = file->number + 1;
		if (!file->header_ok)
			continue;
		if (recover_epoch(recover, file->header.epoch) == NULL &&
		    spool->n_epochs < SPOOL_MAX_EPOCHS)
			return -ENOMEM;
		for (unsigned k = 0; k <= SPOOL_MAX_SOURCES; k++)
			if (file->header.cursors[k] > spool->durable_cursors[k])
				spool->durable_cursors[k] = file->header.cursors[k];
	}
	for (size_t i = 0; i < spool->n_epochs; i++) {
		struct epoch *epoch = spool->epochs[i];
		uint64_t base;
		int r;

		if (i >= n_listed)
			recover_guess_settled(recover, epoch);
		base = epoch->settled + 1;
		for (size_t k = 0; k < recover->n_files; k++)
			if (recover->files[k].header_ok &&
			    recover->files[k].header.first_seq < base &&
			    memcmp(recover->files[k].header.epoch, epoch->id, 16) == 0)
				base = recover->files[k].header.first_seq;
		r = recover_extend(epoch, base);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Rule 2 of the essay. Returns 1 when something was cut. */
static int recover_cut_holes(struct recover *recover, struct epoch *epoch)
{
	uint64_t known = epoch->durable > epoch->settled ? epoch->durable : epoch->settled;
	uint64_t hole = known + 1;
	int r = 0;

	if (epoch->tail <= known)
		return 0;
	if (!seqmap_get(&epoch->map, SEQMAP_GONE, hole))
		hole = seqmap_run(&epoch->map, SEQMAP_GONE, hole, epoch->tail) + 1;
	if (hole > epoch->tail)
		return 0;
	recover_finding(recover, "records from seq %llu on were not complete and are removed",
			(unsigned long long)hole);
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		struct segment *segment;

		TAILQ_FOREACH (segment, &epoch->segments[lane], link)
			if (r == 0 && segment->durable_last >= hole)
				r = recover_cut(recover, segment, hole);
	}
	return r < 0 ? r : 1;
}

/* Counters and map of one epoch, once all its files are read. */
static int recover_finish_epoch(struct recover *recover, struct epoch *epoch, uint64_t offered)
{
	uint64_t tail = epoch->tail;
	int r;

	if (epoch->durable > tail)
		tail = epoch->durable;
	if (offered > tail) {
		epoch_cover(epoch, tail + 1, offered,
			    PATHBELL__V1__GONE_REASON__GONE_REASON_EPOCH_RESET);
		tail = offered;
	}
	if (epoch->settled > tail)
		tail = epoch->settled;
	r = tail > 0 ? recover_extend(epoch, tail) : 0;
	if (r < 0)
		return r;
	r = seqmap_set(&epoch->map, SEQMAP_GONE, tail + 1, UINT64_MAX, false);
	epoch->tail = epoch->planned = epoch->durable = tail;
	epoch->n_gone = seqmap_count(&epoch->map, SEQMAP_GONE, epoch->settled + 1, tail);
	for (unsigned k = 0; k < SPOOL_MAX_CURSORS; k++)
		epoch->sent[k] = epoch->acked[k];
	return r;
}

/* What is gone and was not when the slots were written is news; what came back is taken off. */
static void recover_count_gone(struct recover *recover)
{
	struct spool *spool = recover->spool;
	uint64_t now = spool->base_gone, then = 0;

	for (size_t i = 0; i < spool->n_epochs; i++)
		now += spool->epochs[i]->settled_gone + spool->epochs[i]->n_gone;
	for (unsigned i = 0; i < 16; i++)
		then += spool->gone_by_reason[i];
	if (now > then) {
		spool->gone_by_reason[RECOVER_CORRUPT] += now - then;
		spool->lost_news[RECOVER_CORRUPT] += now - then;
		spool->corrupt_records += now - then;
	}
	for (unsigned i = 16; i-- > 0 && then > now;) {
		uint64_t less = then - now < spool->gone_by_reason[i] ? then - now
								      : spool->gone_by_reason[i];

		spool->gone_by_reason[i] -= less;
		then -= less;
	}
}

static bool recover_may_go_on(const struct recover *recover, const struct epoch *epoch,
			      uint64_t found_tail)
{
	if (recover->have_slot && recover->slot->clean && recover->slot->n_epochs > 0 &&
	    memcmp(recover->slot->epochs[recover->slot->n_epochs - 1].id, epoch->id, 16) == 0)
		return true;
	if (!recover->have_live || memcmp(recover->live.boot, id_boot(), 16) != 0)
		return false;
	return memcmp(recover->live.epoch, epoch->id, 16) != 0 ||
	       found_tail >= recover->live.offered;
}

static void recover_reset(struct recover *recover)
{
	struct spool *spool = recover->spool;

	for (size_t i = 0; i < spool->n_epochs; i++)
		epoch_free(spool->epochs[i]);
	spool->n_epochs = 0;
	spool->bytes_used = 0;
	spool->n_segments = 0;
	spool->next_number = 1;
	memset(spool->durable_cursors, 0, sizeof(spool->durable_cursors));
	recover->have_slot = false;
}

static uint64_t recover_offered(const struct recover *recover, const struct epoch *epoch)
{
	if (recover->have_live && memcmp(recover->live.boot, id_boot(), 16) == 0 &&
	    memcmp(recover->live.epoch, epoch->id, 16) == 0)
		return recover->live.offered;
	return 0;
}

static int recover_read_all(struct recover *recover)
{
	struct spool *spool = recover->spool;
	int r = 0;

	recover_reset(recover);
	for (unsigned dir = 0; r == 0 && dir < WRITER_N_DIRS; dir++)
		if (spool->dirfds[dir] >= 0)
			r = recover_read_state(recover, dir);
	if (r == 0)
		r = recover_list(recover);
	if (r == 0 && recover->have_slot)
		r = recover_from_slot(recover);
	if (r == 0)
		r = recover_make_epochs(recover);
	/* Newest first: what they know to be durable lets the seals of the older ones be believed.
	 */
	for (size_t i = recover->n_files; r == 0 && i-- > 0;)
		r = recover_load(recover, &recover->files[i]);
	return r;
}

static int recover_rounds(struct recover *recover)
{
	struct spool *spool = recover->spool;

	for (unsigned round = 0; round < RECOVER_ROUNDS; round++) {
		int r = recover_read_all(recover);

		recover->cut = false;
		for (size_t i = 0; r >= 0 && i < spool->n_epochs; i++) {
			struct epoch *epoch = spool->epochs[i];
			uint64_t sure = recover_offered(recover, epoch);

			if (sure > epoch->tail)
				sure = epoch->tail;
			if (sure > epoch->durable)
				epoch->durable = sure;
			r = recover_cut_holes(recover, epoch);
			recover->cut = recover->cut || r != 0;
		}
		/* A cut that fails leaves records whose seq must not be used again: a new epoch
		 * sees to it. */
		if (r == -ENOMEM || !recover->cut)
			return r == -ENOMEM ? r : 0;
		if (r < 0)
			return 0;
	}
	return 0;
}

static int recover_settle_epochs(struct recover *recover)
{
	struct spool *spool = recover->spool;
	struct epoch *current = spool->n_epochs > 0 ? spool_current(spool) : NULL;
	bool go_on = current != NULL && !recover->cut &&
		     recover_may_go_on(recover, current,
				       current->tail > current->durable ? current->tail
									: current->durable);
	int r = 0;

	for (size_t i = 0; r == 0 && i < spool->n_epochs; i++)
		r = recover_finish_epoch(recover, spool->epochs[i],
					 recover_offered(recover, spool->epochs[i]));
	if (r < 0)
		return r;
	recover_count_gone(recover);
	return go_on ? 0 : settle_begin_epoch(spool);
}

/* Now, before anything is offered or appended: a crash from here on is not a clean stop. */
static int recover_mark_dirty(struct spool *spool)
{
	struct writer_files *files = writer_files_new(spool->dirfds);
	struct job *job = job_new(NULL, NULL);
	int r = files != NULL && job != NULL ? state_add(spool, job) : -ENOMEM;

	if (r == 0 && writer_run_op(files, job, &job->ops[0]) < 0)
		spool->disk_errors++;
	job_free(job);
	writer_files_free(files);
	return r;
}

int recover_run(struct spool *spool, struct errmsg *err)
{
	struct recover recover = { .spool = spool };
	int r;

	recover.slot = calloc(1, sizeof(*recover.slot));
	if (recover.slot == NULL) {
		errmsg_set(err, "out of memory");
		return -ENOMEM;
	}
	if (live_open(spool) < 0)
		recover_finding(&recover,
				"the live file cannot be opened; every crash begins a new epoch");
	recover.have_live = live_read(spool, &recover.live);
	r = recover_rounds(&recover);
	if (recover.state_damaged && !recover.have_slot)
		recover_finding(&recover,
				"both state slots are damaged: acked records may be sent again");
	if (r == 0)
		r = recover_settle_epochs(&recover);
	memcpy(spool->appended_cursors, spool->durable_cursors, sizeof(spool->appended_cursors));
	if (r == 0)
		r = recover_mark_dirty(spool);
	if (r == 0)
		live_offer(spool, spool_current(spool), spool_current(spool)->tail);
	else
		errmsg_set(err, "spool %s cannot be recovered: %s", spool->options.dir,
			   strerror(-r));
	free(recover.files);
	free(recover.slot);
	return r;
}
