/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/buf.h"

/*
 * A forked child of a collector, for what may sleep in the kernel. It writes its answer into a pipe
 * and ends; whoever waits has a descriptor to poll. One that does not answer is killed; one in D
 * state dies when the kernel lets it, and nobody waits for it. In the agent libev's default loop
 * reaps it.
 */
struct offspring {
	int fd;	   /* read end; -1: none runs */
	int pidfd; /* -1 where there is none */
	pid_t pid;
	bool survives;
	struct buf answer; /* so far */
};

struct offspring_spec {
	const char *name; /* as ps shows it, at most 15 bytes */
	int keep;	  /* one more descriptor that the child keeps; -1 = none */
	bool survives;	  /* also the end of the agent, and SIGTERM */
	/* In the child: default signals, only 0 to 2, @out (blocking) and `keep` open. No log_*: a
	 * thread of the parent may have held that lock. Returns the exit status. */
	int (*run)(void *data, int out);
	void *data;
};

/* @max_answer bytes; 0: what buf takes at most. */
void offspring_init(struct offspring *offspring, size_t max_answer);
/* None runs. The answer is empty then. 0 or -errno. */
int offspring_start(struct offspring *offspring, const struct offspring_spec *spec);
bool offspring_is_running(const struct offspring *offspring);
/* Takes what there is. 0: not the end yet (*ret_progress: something came); OFFSPRING_E_DONE: the
 * answer is as complete as it will be, and no child runs; -errno: -ENOBUFS above the limit. */
#define OFFSPRING_E_DONE 1
int offspring_read(struct offspring *offspring, bool *ret_progress);
/* SIGKILL; its end is still to be read. */
void offspring_kill(const struct offspring *offspring);
/* Kills what runs and forgets it and the answer. */
void offspring_stop(struct offspring *offspring);
/* The child goes its own way; for one that survives. */
void offspring_leave(struct offspring *offspring);
/* At the very end of the program, when no loop runs any more: gives those that survive @timeout_ns
 * to end, because what started this program may kill what it leaves (KillMode=mixed,
 * systemd.kill(5)). Returns how many still run. */
size_t offspring_wait_left(uint64_t timeout_ns);
/* Frees the answer too. */
void offspring_deinit(struct offspring *offspring);
