/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "forwarders/frame/frame.h"
#include "script.h"

/* The uplink as a process between a scripted aggregator and the agent's end of its socket. */
struct world {
	struct pki pki;
	struct script script;
	struct script other; /* a second aggregator, when a test starts it */
	bool has_other;
	int fd;
	pid_t pid;
	uint8_t packet[FRAME_MAX];
	struct frame frame; /* the last one received */
	const char *certificate;
	uint64_t max_unacked;
	unsigned base_ms, cap_ms;
	uint64_t first_unacked, tail; /* for EPOCHS */
};

int world_setup(void **state);
int world_teardown(void **state); /* ends the process when the test has not */
void world_spawn(struct world *w);
void world_configure(struct world *w);
/* From the start to SESSION up. */
void world_up(struct world *w);
/* The next frame of that type; STATS, SESSION connecting and ALARM are passed over unless asked
 * for. Fails after 30 s. */
const struct frame *world_expect(struct world *w, enum frame_type type);
/* One of two types. */
const struct frame *world_expect_any(struct world *w, enum frame_type type, enum frame_type other);
const struct frame_session_state *world_expect_session(struct world *w, enum frame_session state);
void world_answer(struct world *w); /* EPOCHS */
/* Waits for SESSION_WANTED, answers, and waits for SESSION up. */
void world_greet(struct world *w);
void world_send(struct world *w, const struct frame *frame);
/* A batch of @count events of @size bytes each. */
void world_batch(struct world *w, uint64_t first_seq, uint32_t count, size_t size);
void world_expect_exit(struct world *w, int status);
bool world_text_is(struct frame_text text, const char *value);
void world_issue(struct world *w, const char *name, const char *uri, int from_s, int to_s);

extern const uint8_t world_epoch[16];
