/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/guard.h"
#include "collectors/topology/topology.h"

/* A guard with a sink that keeps every event, and a loop that runs until something is true. */
#define HARNESS_MAX_EVENTS 65536

struct harness {
	struct ev_loop *loop;
	struct topology *topology;
	struct guard *guard;
	struct collector_ops ops; /* the collector's, with read wrapped */
	const struct collector_ops *inner;
	unsigned budget;
	size_t room; /* events that the sink still takes */
	size_t n_events;
	Pathbell__V1__Event *events[HARNESS_MAX_EVENTS];
	uint64_t cursors[HARNESS_MAX_EVENTS];
	size_t max_in_call; /* most events that one read published */
	size_t n_reads;
	bool is_open; /* between the collector's open and close */
	size_t n_after_close;
	struct collector_fd fd; /* as open left it */
};

/* Config is the collector's struct; budget 0 = the guard's default. Everything is freed by
 * harness_close. */
void harness_open(struct harness *harness, const struct collector_ops *ops, const void *config,
		  const char *tracefs_path, unsigned budget, uint64_t resume_cursor);
void harness_close(struct harness *harness);

size_t harness_count(const struct harness *harness, unsigned kind);
/* The newest of @kind; NULL = none. */
const Pathbell__V1__Event *harness_last(const struct harness *harness, unsigned kind);
enum guard_state harness_state(const struct harness *harness);

/* Runs the loop until @is_true; false after 20 s, which no working machine needs. */
bool harness_run(struct harness *harness, bool (*is_true)(const struct harness *harness, size_t n),
		 size_t n);
bool harness_has_events(const struct harness *harness, size_t n); /* in total */
bool harness_has_blocks(const struct harness *harness, size_t n); /* storage.block.error */
bool harness_is_state(const struct harness *harness, size_t state);
bool harness_has_snapshots(const struct harness *harness, size_t n); /* finished */
/* Runs turns of the loop without waiting until nothing happens in one. */
void harness_settle(struct harness *harness);
