/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "script.h"

/*
 * A Fleet service over rpc/ with a store in memory, for the client side's tests: it ends watch
 * streams when told to, so that reconnects are exercised without killing anything. Certificates are
 * made by ctl/certificate.
 */
struct fleet;

struct fleet *fleet_new(void);
struct fleet *fleet_free(struct fleet *fleet);
const char *fleet_config(const struct fleet *fleet); /* path of a pathbell.yaml for it */
const char *fleet_folder(const struct fleet *fleet);
void fleet_store(struct fleet *fleet, const char *host, size_t n);
/* Every watch stream ends as UNAVAILABLE after @n events; 0 = never. */
void fleet_break_watch_after(struct fleet *fleet, size_t n);
/* A watch stream that has caught up finds @n more, until there are as many as fleet_when_watched
 * says. */
void fleet_store_while_watching(struct fleet *fleet, size_t n);
/* When @total events are stored and watched, @done(data) is called, on the gRPC thread. */
void fleet_when_watched(struct fleet *fleet, size_t total, void (*done)(void *data), void *data);
/* What the next unary calls answer instead; 0 = normal. */
void fleet_refuse(struct fleet *fleet, int status, const char *details);
size_t fleet_watches(const struct fleet *fleet);
/* Answers that come before the store's; not to be changed while a call runs. */
struct script *fleet_script(struct fleet *fleet);
