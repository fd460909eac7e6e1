/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/slab.h"

#include <stdlib.h>

#include "agent/spool/layout.h"

struct slab *slab_new(size_t capacity, struct epoch *epoch)
{
	struct slab *slab = malloc(sizeof(*slab) + capacity);

	if (slab == NULL)
		return NULL;
	atomic_init(&slab->refs, 1);
	slab->epoch = epoch;
	slab->first_seq = slab->last_seq = 0;
	slab->used = 0;
	slab->capacity = capacity;
	return slab;
}

struct slab *slab_ref(struct slab *slab)
{
	atomic_fetch_add_explicit(&slab->refs, 1, memory_order_relaxed);
	return slab;
}

struct slab *slab_unref(struct slab *slab)
{
	if (slab != NULL && atomic_fetch_sub_explicit(&slab->refs, 1, memory_order_acq_rel) == 1)
		free(slab);
	return NULL;
}

size_t slab_seek(const struct slab *slab, uint64_t seq, size_t hint)
{
	size_t offset = hint;

	while (offset < slab->used) {
		struct layout_record record;

		layout_peek_record(slab->data + offset, &record);
		if (record.seq >= seq)
			break;
		offset += record.total;
	}
	return offset;
}
