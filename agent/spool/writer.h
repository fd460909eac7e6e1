/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/*
 * The writer thread: does lists of file operations, one job after the other, and knows nothing of
 * records. All decisions are the loop's. A job that the thread holds belongs to the thread; a
 * writer that hangs is orphaned: it keeps its descriptors, its job and the slabs under it, and
 * touches nothing else when it wakes.
 */
struct slab;
struct writer;

enum op_kind {
	OP_OPENDIR, /* data: path. The folder was lost or comes back */
	OP_CREATE,  /* segment: open new, reserve `size`, write header `data` (LAYOUT_HEADER_SIZE),
		       fsync the folder */
	OP_ZERO,    /* offset, size: make the blocks real before they are needed */
	OP_WRITE,   /* data, size at offset */
	OP_SYNC,
	OP_SEAL,   /* data, size at offset; cut behind it; fdatasync; close */
	OP_STATE,  /* data, size at offset of the state file; fdatasync */
	OP_UNLINK, /* segment; missing is fine */
	OP_DIRSYNC,
	OP_READ, /* size at offset into owned; bytes in `result` */
	OP_COPY, /* segment from `dir` to `to_dir`, durable, `size` bytes */
};

struct op {
	enum op_kind kind;
	uint8_t dir, to_dir, lane;
	uint64_t number; /* segment */
	uint64_t offset;
	size_t size, result;
	const uint8_t *data;
	uint8_t *owned;	   /* freed with the job */
	struct slab *slab; /* one reference */
};

struct job {
	TAILQ_ENTRY(job) link;
	void (*done)(void *data, struct job *job); /* on the loop; frees the job */
	void *data;
	struct op *ops;
	size_t n_ops, capacity;
	/* result */
	int error; /* 0 or -errno of ops[n_done] */
	size_t n_done;
	uint64_t n_syncs, sync_ns;
};

#define WRITER_N_DIRS 2

/* NULL when out of memory. */
struct job *job_new(void (*done)(void *data, struct job *job), void *data);
/* The zeroed next op, or NULL. */
struct op *job_add(struct job *job, enum op_kind kind);
struct job *job_free(struct job *job); /* returns NULL */

/* @dirfds: -1 where there is none; duplicated. @async is sent when jobs are done. 0 or -errno. */
int writer_start(struct writer **ret_writer, const int dirfds[WRITER_N_DIRS], struct ev_loop *loop,
		 ev_async *async);
/* Takes the job. */
void writer_submit(struct writer *writer, struct job *job);
/* The next one that is done, or NULL; to be asked until NULL after @async. */
struct job *writer_take_done(struct writer *writer);
/* Grows with each operation that ends. */
uint64_t writer_progress(const struct writer *writer);
/* It hangs: from now on it is on its own. Jobs not yet begun and those done are freed. */
void writer_orphan(struct writer *writer);
/* An orphan has come back and is gone. */
bool writer_is_finished(const struct writer *writer);
/* Waits until @deadline_ns (monotonic) for all jobs; @ret_in_time may be NULL. Orphans the thread
 * if it is late. */
struct writer *writer_stop(struct writer *writer, uint64_t deadline_ns, bool *ret_in_time);
/* Lets go of an orphan. */
struct writer *writer_unref(struct writer *writer);

struct writer_files; /* the thread's descriptors */
struct writer_files *writer_files_new(const int dirfds[WRITER_N_DIRS]);
struct writer_files *writer_files_free(struct writer_files *files);
int writer_run_op(struct writer_files *files, struct job *job, struct op *op);
