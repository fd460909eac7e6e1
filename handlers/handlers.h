/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/errmsg.h"

/*
 * Hardware handlers: what an array's own habits mean for a path (device-mapper's hardware handlers
 * of 2005, in user space). A type is registered by name; an instance (handler.h) is made with its
 * own arguments. One thread.
 */

/* What an error means for the path, the group, the request. */
#define HANDLER_FAIL_PATH 1U
#define HANDLER_BYPASS_PG 2U /* path group: try another one */
#define HANDLER_ERROR_IO  4U /* do not retry on another path */

enum handler_source {
	HANDLER_FROM_SENSE,  /* sense_key, asc, ascq */
	HANDLER_FROM_STATUS, /* host_byte, status: no sense came */
	HANDLER_FROM_NVME,   /* nvme_status */
	HANDLER_FROM_ERRNO,  /* error: all that the block layer tells */
	HANDLER_UNDECODABLE, /* there was sense, but sense_parse refused it */
};

struct handler_error {
	enum handler_source source;
	uint8_t sense_key, asc, ascq;
	uint8_t host_byte, status;
	uint16_t nvme_status; /* SCT in bits 10:8, SC in bits 7:0; others are ignored */
	int error;	      /* errno of either sign; 0 = unknown status */
};

struct handler_verdict {
	unsigned flags;	    /* HANDLER_FAIL_PATH ...; 0 = nothing to do, or retried on the path */
	const char *reason; /* a constant */
};

enum handler_status { HANDLER_INFO, HANDLER_TABLE };

struct handler;

struct handler_type {
	const char *name; /* 1 to HANDLERS_NAME_MAX characters without blanks */
	const char *help;
	/* NULL: takes no arguments. 0, -EINVAL with @err, -ENOMEM. */
	int (*ctr)(struct handler *handler, size_t argc, const char *const *argv,
		   struct errmsg *err);
	void (*dtr)(struct handler *handler); /* NULL: nothing to free */
	/*
	 * NULL: a group is ready as it is. Starts to make the group of @path usable and returns at
	 * once; handler_pg_init_complete comes later. 0, -errno.
	 */
	int (*pg_init)(struct handler *handler, bool bypassed, const char *path);
	/* Must be set. */
	void (*error)(const struct handler_error *error, struct handler_verdict *ret_verdict);
	/* "N arg1 ... argN " into @text; NULL: "0 " (INFO), "1 NAME " (TABLE). */
	void (*status)(const struct handler *handler, enum handler_status what, char *text,
		       size_t size);
};

#define HANDLERS_MAX	  16
#define HANDLERS_NAME_MAX 15

struct handlers {
	struct {
		const struct handler_type *type; /* NULL = free */
		unsigned n_uses;
	} slots[HANDLERS_MAX];
};

/* With the built-in types: scsi, alua, rdac, emc, hp_sw, nvme, none. */
void handlers_init(struct handlers *handlers);
/* @type must outlive its registration. 0, -EEXIST (name taken), -EINVAL (not a type), -ENOSPC. */
int handlers_register(struct handlers *handlers, const struct handler_type *type);
/* 0, -EINVAL (not registered), -ETXTBSY (in use). */
int handlers_unregister(struct handlers *handlers, const struct handler_type *type);
/* Counts a use; NULL = no such name. */
const struct handler_type *handlers_get(struct handlers *handlers, const char *name);
/* 0, -EINVAL (not registered, or not in use). NULL is accepted. */
int handlers_put(struct handlers *handlers, const struct handler_type *type);
unsigned handlers_uses(const struct handlers *handlers, const char *name);

/* A built-in type; "none" for a name that is not one. Never NULL, not counted. */
const struct handler_type *handlers_builtin(const char *name);
#define HANDLERS_N_BUILTIN 7
extern const struct handler_type *const handlers_builtins[HANDLERS_N_BUILTIN];
