/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/block/merge.h"

static struct merge merge_process;

struct merge *merge_shared(void)
{
	return &merge_process;
}

void merge_init(struct merge *merge)
{
	*merge = (struct merge){ 0 };
}

static enum merge_source merge_other(enum merge_source source)
{
	return source == MERGE_TRACE ? MERGE_PIPE : MERGE_TRACE;
}

static void merge_remove(struct merge *merge, size_t index)
{
	merge->items[index] = merge->items[--merge->n_items];
}

static void merge_wake(const struct merge *merge, enum merge_source source)
{
	if (merge->sources[source].is_up && merge->sources[source].wake != NULL)
		merge->sources[source].wake(merge->sources[source].data);
}

void merge_up(struct merge *merge, enum merge_source source, void (*wake)(void *data), void *data)
{
	merge->sources[source].is_up = true;
	merge->sources[source].wake = wake;
	merge->sources[source].data = data;
}

size_t merge_down(struct merge *merge, enum merge_source source)
{
	size_t n_waiting = 0;

	merge->sources[source].is_up = false;
	for (size_t i = merge->n_items; i-- > 0;) {
		if (merge->items[i].source != source)
			continue;
		n_waiting += merge->items[i].state != MERGE_REMEMBERED;
		merge_remove(merge, i);
	}
	/* What waits there for this source waits in vain. */
	merge_wake(merge, merge_other(source));
	return n_waiting;
}

static bool merge_is_same(const struct merge_report *a, const struct merge_report *b)
{
	return a->record.sector == b->record.sector && a->record.major == b->record.major &&
	       a->record.minor == b->record.minor && a->error_class == b->error_class;
}

static void merge_forget(struct merge *merge, uint64_t now_ns)
{
	for (size_t i = merge->n_items; i-- > 0;) {
		const struct merge_item *item = &merge->items[i];

		if (item->state == MERGE_REMEMBERED && item->until_ns <= now_ns)
			merge_remove(merge, i);
	}
}

/* The oldest report of @source that is the same fault and has no twin yet. */
static struct merge_item *merge_find(struct merge *merge, enum merge_source source,
				     const struct merge_report *report)
{
	struct merge_item *found = NULL;

	for (size_t i = 0; i < merge->n_items; i++) {
		struct merge_item *item = &merge->items[i];

		if (item->source == source && item->state != MERGE_CONFIRMED &&
		    (found == NULL || item->order < found->order) &&
		    merge_is_same(&item->report, report))
			found = item;
	}
	return found;
}

static bool merge_make_room(struct merge *merge)
{
	size_t oldest = MERGE_MAX_ITEMS;

	if (merge->n_items < MERGE_MAX_ITEMS)
		return true;
	for (size_t i = 0; i < merge->n_items; i++) {
		const struct merge_item *item = &merge->items[i];

		if (item->state == MERGE_REMEMBERED &&
		    (oldest == MERGE_MAX_ITEMS || item->order < merge->items[oldest].order))
			oldest = i;
	}
	if (oldest == MERGE_MAX_ITEMS)
		return false;
	merge_remove(merge, oldest);
	return true;
}

static enum merge_verdict merge_wait(struct merge *merge, enum merge_source source,
				     const struct merge_report *report, uint64_t now_ns)
{
	if (!merge_make_room(merge)) {
		merge->overflow++;
		return MERGE_PUBLISH;
	}
	merge->items[merge->n_items++] = (struct merge_item){ .report = *report,
							      .source = source,
							      .state = MERGE_WAITING,
							      .until_ns = now_ns + MERGE_HOLD_NS,
							      .order = ++merge->order };
	return MERGE_WAIT;
}

enum merge_verdict merge_offer(struct merge *merge, enum merge_source source,
			       const struct merge_report *report, uint64_t now_ns)
{
	struct merge_item *twin;

	merge_forget(merge, now_ns);
	if (report->error_class > PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_IO ||
	    report->error_class == PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_UNSPECIFIED)
		return MERGE_PUBLISH;
	twin = merge_find(merge, merge_other(source), report);
	if (twin == NULL && !merge->sources[merge_other(source)].is_up)
		return MERGE_PUBLISH;
	if (twin == NULL)
		return merge_wait(merge, source, report, now_ns);
	if (twin->state == MERGE_REMEMBERED) {
		merge->late++;
		merge_remove(merge, (size_t)(twin - merge->items));
		return MERGE_DROP;
	}
	merge->paired++;
	if (source == MERGE_TRACE) {
		merge_remove(merge, (size_t)(twin - merge->items));
		return MERGE_PUBLISH_BOTH;
	}
	twin->state = MERGE_CONFIRMED;
	merge_wake(merge, MERGE_TRACE);
	return MERGE_DROP;
}

const struct merge_item *merge_next(const struct merge *merge, enum merge_source source,
				    uint64_t now_ns)
{
	bool alone = !merge->sources[merge_other(source)].is_up;
	const struct merge_item *next = NULL;

	for (size_t i = 0; i < merge->n_items; i++) {
		const struct merge_item *item = &merge->items[i];

		if (item->source != source || item->state == MERGE_REMEMBERED)
			continue;
		if (item->state == MERGE_WAITING && item->until_ns > now_ns && !alone)
			continue;
		if (next == NULL || item->order < next->order)
			next = item;
	}
	return next;
}

void merge_published(struct merge *merge, const struct merge_item *item, uint64_t now_ns)
{
	size_t index = (size_t)(item - merge->items);

	if (item->state == MERGE_CONFIRMED || !merge->sources[merge_other(item->source)].is_up) {
		merge_remove(merge, index);
		return;
	}
	merge->items[index].state = MERGE_REMEMBERED;
	merge->items[index].until_ns = now_ns + MERGE_MEMORY_NS;
}

uint64_t merge_deadline(const struct merge *merge, enum merge_source source)
{
	uint64_t deadline_ns = UINT64_MAX;

	if (merge_next(merge, source, 0) != NULL)
		return 0;
	for (size_t i = 0; i < merge->n_items; i++) {
		const struct merge_item *item = &merge->items[i];

		if (item->source == source && item->state == MERGE_WAITING &&
		    item->until_ns < deadline_ns)
			deadline_ns = item->until_ns;
	}
	return deadline_ns;
}
