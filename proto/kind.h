/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * Dotted names of kinds ("storage.block.error"), severities ("error"), classes, verbs
 * ("uplink.reconnect"), states: the one spelling used in YAML, CLI, JSON, metrics and the manual.
 * kind_name of an unknown number is "unknown.N" in a buffer of the caller's thread; never NULL.
 */
const char *kind_name(unsigned kind);
/* 0 = not known. */
unsigned kind_from_name(const char *name);
/* fnmatch-like on the dotted name: * matches any run, ? one character. NULL or "" matches all. */
bool kind_matches(unsigned kind, const char *glob);
/* All known numbers in order; *ret_n how many. */
const unsigned *kind_all(size_t *ret_n);

const char *
severity_name(unsigned severity); /* debug info notice warning error critical unspecified */
bool severity_from_name(const char *name, unsigned *ret_severity);
const char *block_error_class_name(unsigned error_class); /* critical_medium ... */
const char *command_life_name(unsigned life); /* SUCCEEDED ... (upper case, as ARCHITECTURE.md) */
bool command_life_is_final(unsigned life);    /* INDETERMINATE is not: it is resolved later */
const char *command_refusal_name(unsigned refusal); /* bad_signature ... */
const char *command_verb_name(unsigned verb); /* uplink.reconnect; unknown number -> "unknown" */
unsigned command_verb_from_name(const char *name); /* 0 = not known */
const char *gone_reason_name(unsigned reason);

/* Kinds that may be evicted last and are sent first by priority: commands, spool, faults. See
 * agent/spool. */
bool kind_is_important(unsigned kind);
