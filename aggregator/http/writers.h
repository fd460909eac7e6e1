/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/settings.h"

/*
 * Who may write over HTTP: names and bearer tokens, read from their files at start and at each
 * reload. Only digests of the tokens are kept.
 */
struct writers;

/* NULL with @err: a file that cannot be read, that others can read, a token that is too short, a
 * name or a token twice. */
struct writers *writers_new(const struct settings_http *settings, struct errmsg *err);
struct writers *writers_free(struct writers *writers); /* returns NULL */
bool writers_any(const struct writers *writers);
/* The name for the value of an Authorization header ("Bearer TOKEN"), compared in a time that does
 * not depend on what is in it; NULL: none. */
const char *writers_find(const struct writers *writers, const char *authorization);
