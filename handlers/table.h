/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "handlers/handlers.h"

/*
 * The decisions as tables. Pure. table_judge answers for all sources; of sense, the rows of a
 * handler come first, then the default table by sense key.
 */
#define TABLE_ANY (-1)

struct table_row {
	unsigned keys; /* bit for each sense key */
	int asc, ascq; /* TABLE_ANY */
	struct handler_verdict verdict;
};

#define TABLE_KEY(key) (1U << (key))

void table_judge(const struct table_row *rows, size_t n_rows, const struct handler_error *error,
		 struct handler_verdict *ret_verdict);
