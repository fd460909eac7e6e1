/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/id.h"

/*
 * The halt: nothing but resume, halt, probe and diag executes while it is in effect. It is in
 *effect from the moment a halt is accepted, in memory; the verb's child makes it durable in
 * STATE_DIR/halted (actions/halt.c), which is read at start. One line:
 *	SINCE_MS COMMAND_ID ISSUER
 */
#define HALT_ISSUER_SIZE 257
#define HALT_REASON_SIZE (HALT_ISSUER_SIZE + 128)

struct halt {
	bool active;
	uint64_t since_ms;
	char id[ID_TEXT_SIZE];
	char issuer[HALT_ISSUER_SIZE];
	char reason[HALT_REASON_SIZE]; /* one sentence */
};

/* Pure. A line that cannot be read halts all the same: someone wanted it. */
void halt_parse(const char *line, struct halt *ret_halt);
/* Reads @path; no file: not halted; any other error: halted, with that as the reason. May wait for
 * the disk: at start only. */
void halt_load(const char *path, struct halt *ret_halt);
void halt_begin(struct halt *halt, uint64_t now_ms, const uint8_t id[16], const char *issuer);
void halt_end(struct halt *halt);
