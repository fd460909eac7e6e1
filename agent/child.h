/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/errmsg.h"

/*
 * A short-lived child: a program, or a function of our own that may sleep in the kernel. The loop
 * never waits for one: it ends by itself, or is killed at its deadline; one that does not even die
 * of SIGKILL (stuck in D state) is reported as STUCK once and reaped whenever the kernel lets it
 * go.
 *
 * In a function's child only the descriptors of `keep` are open besides 0 to 2; it must not log (a
 * thread of the parent may have held that lock) and ends by returning its exit status.
 */
enum child_end {
	CHILD_EXITED, /* status: exit status, or 128 + signal */
	CHILD_KILLED, /* deadline; reaped */
	CHILD_STUCK,  /* deadline; did not die: struct child stays in use until `reaped` */
};

#define CHILD_MAX_KEEP 4

struct child_user {
	bool change; /* false: stay as we are */
	uid_t uid;
	gid_t gid;
};

struct child_spec {
	/* Either a function ... */
	int (*run)(void *data);
	/* ... or a program, with fds[i] as its descriptor i (-1: /dev/null) and a minimal
	 * environment. */
	const char *program;
	const char *const *argv;
	const char *const *envp;
	int fds[CHILD_MAX_KEEP];
	size_t n_fds;
	int keep[CHILD_MAX_KEEP]; /* function only */
	size_t n_keep;

	struct child_user user;
	bool no_network;     /* own, empty network namespace where we may */
	bool sandbox;	     /* small resource limits: no files written, no core, 10 s of CPU */
	uint64_t timeout_ns; /* 0 = none */
	void *data;
	void (*ended)(void *data, enum child_end end, int status);
	void (*reaped)(void *data); /* after STUCK; may be NULL */
};

struct child {
	struct ev_loop *loop; /* the default loop: libev reaps there only */
	pid_t pid;	      /* 0: none runs */
	bool killed, stuck;
	struct child_spec spec;
	struct ev_child watcher;
	struct ev_timer timer;
};

/* @child zeroed or ended. 0 or -errno. @spec is copied; what it points to must live until the call
 * returns. */
int child_start(struct child *child, struct ev_loop *loop, const struct child_spec *spec);
bool child_is_running(const struct child *child);
/* SIGTERM or such; nothing when it does not run. */
void child_signal(struct child *child, int number);
/* Kills and forgets: no callback comes any more. */
void child_deinit(struct child *child);

/* User by name or number from /etc/passwd (no name service: it may block). 0, -ENOENT, -EINVAL,
 * -errno. */
int child_user_find(const char *name, struct child_user *ret_user);
int child_group_find(const char *name, gid_t *ret_gid);

/*
 * Where a program of ours is: @configured, else FALLBACK beside our own binary when it is there,
 * else in @libexec. @ret_path holds @size. 0 or -ENOENT, -ENAMETOOLONG.
 */
int child_program_find(const char *configured, const char *libexec, const char *name,
		       char *ret_path, size_t size);
