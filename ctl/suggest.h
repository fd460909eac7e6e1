/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* The candidate nearest to what was typed (edit distance), or NULL when none is near. */
const char *suggest_nearest(const char *typed, const char *const *candidates, size_t n_candidates);
