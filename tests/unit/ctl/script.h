/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "rpc/rpc.h"

/*
 * Answers that a test lays down for a method before it is called. Each call takes the next one; the
 * last one stays. What came is kept.
 */
#define SCRIPT_MAX_ANSWERS 32
#define SCRIPT_MAX_REPLIES 8

struct script_answer {
	const char *method; /* part of its name */
	struct {
		uint8_t *data;
		size_t size;
	} replies[SCRIPT_MAX_REPLIES];
	size_t n_replies;
	int status; /* the call's end; -1 = it stays open */
	void (*then)(void);
	bool used;
};

struct script {
	struct script_answer answers[SCRIPT_MAX_ANSWERS];
	size_t n_answers;
	struct {
		const char *method;
		uint8_t *data;
		size_t size;
	} calls[256];
	size_t n_calls;
};

/* The answer's first reply; script_more adds further ones, of a stream. */
struct script_answer *script_add(struct script *script, const char *method, int status,
				 const ProtobufCMessage *reply);
void script_more(struct script_answer *answer, const ProtobufCMessage *reply);
/* A reply of raw bytes instead. */
void script_raw(struct script_answer *answer, const void *data, size_t size);
void script_reset(struct script *script);
/* On the gRPC thread. False: no answer for this method. */
bool script_play(struct script *script, struct rpc_call *call, const uint8_t *data, size_t size);
/* How many calls of a method came; the last one's bytes. */
size_t script_calls(const struct script *script, const char *method, const uint8_t **ret_data,
		    size_t *ret_size);
