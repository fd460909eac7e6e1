/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Structured, lossy log. One call, one line: "message key=value key=value". Under systemd the line
 * goes to the journal with the keys as fields; else to standard error. A sink that would block
 * costs the message, never the caller: it is counted in log_dropped(). Control characters of values
 * are escaped. The last lines are kept in a ring for `pathbell local log`. Thread-safe.
 */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* @program is kept (not copied). Called once, early in main. */
void log_open(const char *program, enum log_level max_level);
void log_set_level(enum log_level max_level);
/* "error", "warning", "notice", "info", "debug" -> true and *ret_level. */
bool log_level_from_name(const char *name, enum log_level *ret_level);

/* @format makes the whole line; write keys as key=value, quote values that may hold blanks with
 * "%s" inside \"\". */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)	 log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)	 log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	 log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/*
 * At most one line per 10 s for each error class; the next line that passes says how many were
 * suppressed. Zero-initialised, one per class, owned by the caller; not thread-safe.
 */
struct log_limit {
	uint64_t next_ns; /* CLOCK_MONOTONIC */
	uint64_t suppressed;
};

void log_limited(struct log_limit *limit, enum log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

uint64_t log_dropped(void);

/* Copies the newest lines, oldest first, at most @max, each freshly allocated; returns how many. */
size_t log_recent(char **ret_lines, size_t max);

/* strerror that is thread-safe and takes a negative or positive errno; never NULL. */
const char *log_errno(int error);
