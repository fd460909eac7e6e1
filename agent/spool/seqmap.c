/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/seqmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEQMAP_PAGE  4096
#define SEQMAP_WORDS (SEQMAP_PAGE / 64)
#define SEQMAP_MAX   (UINT64_C(1) << 32)

int seqmap_extend(struct seqmap *map, uint64_t seq)
{
	uint64_t page;

	if (map->n_pages == 0)
		map->base = seq & ~(uint64_t)(SEQMAP_PAGE - 1);
	if (seq < map->base || seq - map->base >= SEQMAP_MAX)
		return -ERANGE;
	page = (seq - map->base) / SEQMAP_PAGE;
	if (page < map->n_pages)
		return 0;
	if (page >= map->capacity) {
		size_t capacity = (page + 1) * 2;
		struct seqmap_page *pages = realloc(map->pages, capacity * sizeof(*pages));

		if (pages == NULL)
			return -ENOMEM;
		map->pages = pages;
		map->capacity = capacity;
	}
	memset(&map->pages[map->n_pages], 0, (page + 1 - map->n_pages) * sizeof(*map->pages));
	map->n_pages = page + 1;
	return 0;
}

static uint64_t seqmap_word(const struct seqmap_page *page, enum seqmap_plane plane, unsigned word)
{
	if (page->bits[plane] != NULL)
		return page->bits[plane][word];
	return page->n_set[plane] ? UINT64_MAX : 0;
}

static int seqmap_put_word(struct seqmap_page *page, enum seqmap_plane plane, unsigned word,
			   uint64_t value)
{
	uint64_t old = seqmap_word(page, plane, word);

	if (old == value)
		return 0;
	if (page->bits[plane] == NULL) {
		uint64_t *bits = malloc(SEQMAP_PAGE / 8);

		if (bits == NULL)
			return -ENOMEM;
		memset(bits, page->n_set[plane] ? 0xff : 0, SEQMAP_PAGE / 8);
		page->bits[plane] = bits;
	}
	page->bits[plane][word] = value;
	page->n_set[plane] = (uint16_t)(page->n_set[plane] + __builtin_popcountll(value) -
					__builtin_popcountll(old));
	if (page->n_set[plane] == 0 || page->n_set[plane] == SEQMAP_PAGE) {
		free(page->bits[plane]);
		page->bits[plane] = NULL;
	}
	return 0;
}

/* Walks first..last word by word: page, word and the mask of the bits that are meant. */
struct seqmap_walk {
	uint64_t pos, last; /* offsets from base */
	size_t page;
	unsigned word;
	uint64_t mask;
};

static bool seqmap_walk_begin(const struct seqmap *map, struct seqmap_walk *walk, uint64_t first,
			      uint64_t last)
{
	uint64_t end = map->base + map->n_pages * SEQMAP_PAGE;

	if (first < map->base)
		first = map->base;
	if (map->n_pages == 0 || first > last || first >= end)
		return false;
	if (last >= end)
		last = end - 1;
	walk->pos = first - map->base;
	walk->last = last - map->base;
	return true;
}

static bool seqmap_walk_next(struct seqmap_walk *walk)
{
	uint64_t bit = walk->pos % 64, end = walk->pos - bit + 63;

	if (walk->pos > walk->last)
		return false;
	walk->page = walk->pos / SEQMAP_PAGE;
	walk->word = (unsigned)(walk->pos % SEQMAP_PAGE / 64);
	walk->mask = UINT64_MAX << bit;
	if (end > walk->last)
		walk->mask &= UINT64_MAX >> (end - walk->last);
	walk->pos = end + 1;
	return true;
}

int seqmap_set(struct seqmap *map, enum seqmap_plane plane, uint64_t first, uint64_t last,
	       bool value)
{
	struct seqmap_walk walk;
	int r = 0;

	if (!seqmap_walk_begin(map, &walk, first, last))
		return 0;
	while (r == 0 && seqmap_walk_next(&walk)) {
		struct seqmap_page *page = &map->pages[walk.page];
		uint64_t word = seqmap_word(page, plane, walk.word);

		word = value ? word | walk.mask : word & ~walk.mask;
		r = seqmap_put_word(page, plane, walk.word, word);
	}
	return r;
}

bool seqmap_get(const struct seqmap *map, enum seqmap_plane plane, uint64_t seq)
{
	uint64_t pos = seq - map->base;

	if (seq < map->base || pos / SEQMAP_PAGE >= map->n_pages)
		return false;
	return seqmap_word(&map->pages[pos / SEQMAP_PAGE], plane,
			   (unsigned)(pos % SEQMAP_PAGE / 64)) >>
		       (pos % 64) &
	       1;
}

uint64_t seqmap_count(const struct seqmap *map, enum seqmap_plane plane, uint64_t first,
		      uint64_t last)
{
	struct seqmap_walk walk;
	uint64_t n = 0;

	if (!seqmap_walk_begin(map, &walk, first, last))
		return 0;
	while (seqmap_walk_next(&walk)) {
		uint64_t word = seqmap_word(&map->pages[walk.page], plane, walk.word);

		n += (uint64_t)__builtin_popcountll(word & walk.mask);
	}
	return n;
}

static uint64_t seqmap_live(const struct seqmap_page *page, unsigned lane, unsigned word)
{
	uint64_t lanes = seqmap_word(page, SEQMAP_LANE, word);

	return (lane ? lanes : ~lanes) & ~seqmap_word(page, SEQMAP_GONE, word);
}

int seqmap_drop_lane(struct seqmap *map, unsigned lane, uint64_t first, uint64_t last,
		     uint64_t *ret_n)
{
	struct seqmap_walk walk;
	uint64_t n = 0;
	int r = 0;

	if (seqmap_walk_begin(map, &walk, first, last)) {
		while (r == 0 && seqmap_walk_next(&walk)) {
			struct seqmap_page *page = &map->pages[walk.page];
			uint64_t live = seqmap_live(page, lane, walk.word) & walk.mask;
			uint64_t gone = seqmap_word(page, SEQMAP_GONE, walk.word);

			r = seqmap_put_word(page, SEQMAP_GONE, walk.word, gone | live);
			n += r == 0 ? (uint64_t)__builtin_popcountll(live) : 0;
		}
	}
	*ret_n = n;
	return r;
}

uint64_t seqmap_count_lane(const struct seqmap *map, unsigned lane, uint64_t first, uint64_t last)
{
	struct seqmap_walk walk;
	uint64_t n = 0;

	if (!seqmap_walk_begin(map, &walk, first, last))
		return 0;
	while (seqmap_walk_next(&walk))
		n += (uint64_t)__builtin_popcountll(
			seqmap_live(&map->pages[walk.page], lane, walk.word) & walk.mask);
	return n;
}

uint64_t seqmap_run(const struct seqmap *map, enum seqmap_plane plane, uint64_t first,
		    uint64_t last)
{
	bool value = seqmap_get(map, plane, first);
	struct seqmap_walk walk;

	if (!seqmap_walk_begin(map, &walk, first, last))
		return last;
	while (seqmap_walk_next(&walk)) {
		uint64_t word = seqmap_word(&map->pages[walk.page], plane, walk.word);
		uint64_t other = (value ? ~word : word) & walk.mask;

		if (other != 0)
			return map->base + (walk.pos - 64) + (uint64_t)__builtin_ctzll(other) - 1;
	}
	/* Behind the pages everything reads 0. */
	return value ? map->base + walk.last : last;
}

static void seqmap_page_deinit(struct seqmap_page *page)
{
	for (unsigned plane = 0; plane < SEQMAP_N_PLANES; plane++)
		free(page->bits[plane]);
}

void seqmap_trim(struct seqmap *map, uint64_t seq)
{
	uint64_t n = seq > map->base ? (seq - map->base) / SEQMAP_PAGE : 0;

	if (n > map->n_pages)
		n = map->n_pages;
	if (n == 0)
		return;
	for (uint64_t i = 0; i < n; i++)
		seqmap_page_deinit(&map->pages[i]);
	map->n_pages -= n;
	map->base += n * SEQMAP_PAGE;
	memmove(map->pages, map->pages + n, map->n_pages * sizeof(*map->pages));
}

void seqmap_deinit(struct seqmap *map)
{
	for (size_t i = 0; i < map->n_pages; i++)
		seqmap_page_deinit(&map->pages[i]);
	free(map->pages);
	memset(map, 0, sizeof(*map));
}
