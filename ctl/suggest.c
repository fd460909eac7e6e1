/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/suggest.h"

#include <string.h>

#define SUGGEST_MAX_LEN 64

static unsigned suggest_min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Levenshtein distance, one row of the matrix at a time. */
static unsigned suggest_distance(const char *a, const char *b)
{
	unsigned row[SUGGEST_MAX_LEN + 1];
	size_t b_len = strnlen(b, SUGGEST_MAX_LEN);

	for (size_t j = 0; j <= b_len; j++)
		row[j] = (unsigned)j;
	for (size_t i = 0; a[i] && i < SUGGEST_MAX_LEN; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i + 1;
		for (size_t j = 0; j < b_len; j++) {
			unsigned change = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			row[j + 1] = suggest_min(change, suggest_min(row[j], diagonal) + 1);
		}
	}
	return row[b_len];
}

const char *suggest_nearest(const char *typed, const char *const *candidates, size_t n_candidates)
{
	const char *best = NULL;
	/* A third of the word may be wrong, at least one letter and a bit. */
	unsigned limit = (unsigned)strnlen(typed, SUGGEST_MAX_LEN) / 3 + 2;

	for (size_t i = 0; i < n_candidates; i++) {
		unsigned distance = suggest_distance(typed, candidates[i]);

		if (distance < limit) {
			limit = distance;
			best = candidates[i];
		}
	}
	return best;
}
