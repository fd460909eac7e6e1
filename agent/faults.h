/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * The faults that were told as RAISED and not yet as CLEARED. Each gets exactly one CLEARED twin,
 * also when it ended while nobody listened: before this start of the agent, or while its collector
 * was closed. faults.c tells how. Pure: no clock, no file.
 */
#define FAULTS_MAX	  4096
#define FAULTS_ENTRY_MAX  4096 /* bytes of one, encoded */
#define FAULTS_REASON_MAX 128

struct fault {
	uint32_t hash;		    /* of the id */
	bool doubted;		    /* not told again since its collector was opened */
	Pathbell__V1__Event *event; /* kind, time, source.collector, subject, fault_id; owned */
};

struct faults {
	struct fault *items;
	size_t n, capacity;
	uint64_t version;   /* grows with every change of what has to be kept */
	uint64_t untracked; /* faults above the limit, or too large: no twin is made for them */
};

void faults_deinit(struct faults *faults);

/* Before @event of a collector is encoded. A fault that is open is not raised a second time: the
 * phase becomes UNSPECIFIED (it still holds). collector.up ends what an earlier life raised of its
 * collector. */
void faults_amend(const struct faults *faults, Pathbell__V1__Event *event);
/* It was given to the spool; @kept false: dropped by a rule, so that it counts only as an end. */
void faults_note(struct faults *faults, const Pathbell__V1__Event *event, bool kept);

/* Collector @collector was opened: what it had raised may have ended. Its own state
 * ("collector:NAME") is the guard's and not doubted, but with @all. */
void faults_doubt(struct faults *faults, const char *collector, bool all);
/* The first one that is still in doubt; NULL: none. */
const struct fault *faults_next_doubted(const struct faults *faults, const char *collector);
/* The CLEARED twin of @fault, valid while both live. */
struct faults_twin {
	Pathbell__V1__Event event;
	Pathbell__V1__Source source;
	Pathbell__V1__Attribute attributes[2], *extra[2];
	char since[24];
};
void faults_make_twin(const struct fault *fault, const char *reason, struct faults_twin *ret_twin);
void faults_remove(struct faults *faults, const char *id);

/* The file (docs/formats/faults.md): all of them into @out. 0 or -errno. */
int faults_encode(const struct faults *faults, struct buf *out);
/* Adds what @data tells, in doubt. 0; FAULTS_E_BAD: damaged, nothing was added; -ENOMEM. */
#define FAULTS_E_BAD 1
int faults_decode(struct faults *faults, const void *data, size_t size);
