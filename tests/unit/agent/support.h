/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/announce.h"
#include "pathbell/v1/event.pb-c.h"

/* A fresh folder, removed at exit. Not thread-safe, one per call. */
char *support_dir(void);
void support_write(const char *dir, const char *name, const void *data, size_t size);
/* DIR/NAME in a static buffer of 8 turns. */
const char *support_path(const char *dir, const char *name);
/* Whole file as a string ("" if it is not there); for free(). */
char *support_read(const char *path);

/* Runs the default loop until @done(@data) or 20 s; true if done. */
bool support_run(bool (*done)(void *data), void *data);

/* Records what is announced: "kind life refusal detail\n" each. */
struct support_events {
	char text[16384];
	size_t len;
	unsigned n;
	/* command.output: of the newest command, as one text */
	char output[512 * 1024];
	size_t output_size;
	unsigned n_chunks;
	bool output_ended;
	bool hold_sync;
	void (*done)(void *data);
	void *done_data;
};
struct announcer support_announcer(struct support_events *events);
bool support_has(const struct support_events *events, const char *text);
