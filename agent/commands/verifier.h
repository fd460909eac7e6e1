/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/child.h"
#include "agent/verify/verify.h"
#include "core/buf.h"

/* Runs pathbell-verify, one at a time: an unprivileged child without network that has 5 s. */
struct verifier {
	struct ev_loop *loop;
	struct child child;
	struct buf request; /* what the child reads; the envelope lies in it */
	struct verify_request decoded;
	int reply; /* pipe */
	void *data;
	/* @reply NULL: the program failed, @why says how. */
	void (*done)(void *data, const struct verify_request *request,
		     const struct verify_reply *reply, const char *why);
};

void verifier_init(struct verifier *verifier, struct ev_loop *loop, void *data,
		   void (*done)(void *data, const struct verify_request *request,
				const struct verify_reply *reply, const char *why));
void verifier_deinit(struct verifier *verifier);
bool verifier_is_busy(const struct verifier *verifier);
/* 0 or -errno: then `done` does not come. */
int verifier_start(struct verifier *verifier, const char *program,
		   const struct verify_request *request);
