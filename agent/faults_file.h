/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdint.h>

#include "agent/faults.h"

/*
 * The open faults in STATE_DIR/faults. Written by a forked child, so that a disk that hangs holds
 * up nobody; at most once in a second.
 */
struct faults_file;

/* Reads what an earlier life left into @faults, which is watched from then on. A damaged file is
 * kept as faults.bad and told by a log line. 0 or -errno. */
int faults_file_open(struct faults_file **ret_file, struct ev_loop *loop, const char *state_dir,
		     struct faults *faults);
/* @faults may have changed. */
void faults_file_poke(struct faults_file *file);
/* Writes what has not been written, for at most @timeout_ns. */
struct faults_file *faults_file_close(struct faults_file *file, uint64_t timeout_ns);
