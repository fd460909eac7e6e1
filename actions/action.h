/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "actions/device.h"
#include "fabrics/tid.h"
#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * What a command does on the host. Each verb is three functions: plan (reads only; what a dry run
 * does), apply, verify (did the effect show?). A verb whose steps may sleep in the kernel runs in a
 * forked child with a deadline; one that only touches the agent's own parts runs on the loop.
 *
 * Every function returns 0 to go on, ACTION_E_DONE when *result is final, or, from verify on the
 * loop only, ACTION_E_WAIT: ask again when something has changed.
 */
#define ACTION_E_DONE 1
#define ACTION_E_WAIT 2

enum action_place { ACTION_IN_CHILD, ACTION_ON_LOOP };

#define ACTION_DETAIL_SIZE 1024

/* Plain bytes without pointers: a child hands it to the agent as it is. */
struct action_result {
	uint32_t life;	      /* Pathbell__V1__CommandLife; starts as SUCCEEDED */
	uint32_t refusal;     /* Pathbell__V1__CommandRefusal, why it FAILED, where one fits */
	int32_t error_number; /* errno, positive; 0 = none */
	bool has_device;      /* device and state are to be published as storage.device.state */
	char object[257];     /* stable identity of what the verb acts on; "" = the host itself */
	char detail[ACTION_DETAIL_SIZE];
	struct device device;
	struct device_state state;
};

#define ACTION_E_ABSENT	   3 /* nothing fits the target */
#define ACTION_E_AMBIGUOUS 4 /* more than one thing fits */
#define ACTION_E_UNKNOWN   5 /* no collector or address of that name; *ret_name says which */

struct sheet;

/* What the agent offers. `find` may be called in a child; the others are for the loop. */
struct action_host {
	void *data;
	const char *sysfs, *dev;	       /* /sys, /dev */
	const char *nvme_conf, *nvme_registry; /* /etc/nvme, /run/nvme/registry */
	const char *proc;		       /* NULL: /proc */
	const char *halt_file;		       /* STATE_DIR/halted */
	/* 0, ACTION_E_ABSENT, ACTION_E_AMBIGUOUS, -errno. */
	int (*find)(void *data, const Pathbell__V1__CommandTarget *target,
		    struct device *ret_device);
	/* Snapshot of the named collectors, all when n is 0. *ret_n: how many did. 0,
	 * ACTION_E_UNKNOWN. */
	int (*resync)(void *data, char *const *names, size_t n_names, size_t *ret_n,
		      const char **ret_name);
	/* Is @address (empty: any) one that the uplink may use? 0, ACTION_E_UNKNOWN,
	 * ACTION_E_ABSENT (no uplink runs). */
	int (*may_reconnect)(void *data, const char *address);
	/* *ret_token tells the session that is to end from the next one. 0, ACTION_E_ABSENT. */
	int (*reconnect)(void *data, const char *address, uint64_t *ret_token);
	/* A session younger than the token is up. */
	bool (*is_reconnected)(void *data, uint64_t token);
	/* The monitor is to want this connection from now on, or to let it be. 0 or -errno. NULL:
	 * there is no monitor. */
	int (*nvme_want)(void *data, const struct tid *tid);
	void (*nvme_forget)(void *data, const struct tid *tid);
	/* Writes one of the agent's own sections of diag. NULL: there are none. */
	void (*describe)(void *data, const char *section, struct sheet *sheet);
};

struct action {
	const struct action_host *host;
	const Pathbell__V1__Command *command;
	struct action_result *result;
	uint64_t token;	      /* verb's own, kept between its steps */
	struct sheet *sheet;  /* text to be returned, from prepare; NULL = none. The runner's */
	uint64_t deadline_ns; /* monotonic: when who runs it gives up; 0 = waits for nothing */
};

struct action_verb {
	unsigned verb; /* Pathbell__V1__CommandVerb */
	enum action_place place;
	int (*plan)(struct action *action);
	/* On the loop, right before apply's child is made: what the child must not do. NULL:
	 * nothing. */
	void (*prepare)(struct action *action);
	int (*apply)(struct action *action);
	int (*verify)(struct action *action);
	/* After a crash between start and result: finds out how things are, by reading only. */
	int (*resolve)(struct action *action);
	/* On the loop, once a child has ended with its result: what it means for the agent's own
	 * parts. May change the result. NULL: nothing. Not after a dry run. */
	void (*settle)(struct action *action);
};

/* The explicit table. NULL: this agent does not have the verb. */
const struct action_verb *action_find(unsigned verb);
/* The target of the command: of its arguments, else its own. NULL = none given. */
const Pathbell__V1__CommandTarget *action_target(const Pathbell__V1__Command *command);
/* The target in words, for details and lists; always terminated. */
void action_target_format(const Pathbell__V1__CommandTarget *target, char *ret_text, size_t size);

/*
 * A plan that refuses: nothing was done. Life REJECTED with @refusal (Pathbell__V1__CommandRefusal)
 * and one sentence; returns ACTION_E_DONE.
 */
int action_refuse(struct action *action, unsigned refusal, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The verify of a verb whose apply looks at the effect itself, while it has the thing open. */
int action_is_told(struct action *action);
/* Sets life, errno and one sentence; returns ACTION_E_DONE. */
int action_finish(struct action *action, unsigned life, int error_number, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * For the end of resolve: a command that has started is not REJECTED any more, whatever became of
 * its target. It has FAILED then, for the reason that the plan gave. Returns @r.
 */
int action_end_resolve(struct action *action, int r);

/*
 * All steps of a verb; only plan for a dry run. ACTION_E_DONE: @result is final; ACTION_E_WAIT:
 * from verify.
 */
int action_run(const struct action_verb *verb, struct action *action);

extern const struct action_verb action_probe;
extern const struct action_verb action_resync;
extern const struct action_verb action_reconnect;
extern const struct action_verb action_multipath_reinstate;
extern const struct action_verb action_multipath_fail;
extern const struct action_verb action_multipath_switch_group;
extern const struct action_verb action_scsi_rescan;
extern const struct action_verb action_nvme_connect;
extern const struct action_verb action_nvme_discover;
extern const struct action_verb action_nvme_reset;
extern const struct action_verb action_nvme_rescan;
extern const struct action_verb action_nvme_disconnect;
extern const struct action_verb action_diag;
extern const struct action_verb action_halt;
extern const struct action_verb action_resume;
