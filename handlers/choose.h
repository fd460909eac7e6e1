/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "handlers/handlers.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * Which handler a device has, and what it says. The kernel's own choice (dh_state in sysfs) counts
 * first; where no handler is attached, the table of vendors and models by which the kernel would
 * load one.
 */

/* Pure. NULL: no entry. Both may have trailing blanks; NULL = "". */
const char *choose_by_model(const char *vendor, const char *model);

/* Reads one small file for a SCSI device, none else. Never NULL. */
const struct handler_type *choose_handler(const char *sysfs_path,
					  const Pathbell__V1__Subject *subject);

/* @ret_verdict points to constants. */
void choose_fill(const struct handler_type *type, const struct handler_error *error,
		 Pathbell__V1__ErrorVerdict *ret_verdict);
/* For a failed block request, of which only errno is known. */
void choose_judge_errno(const char *sysfs_path, const Pathbell__V1__Subject *subject, int error,
			Pathbell__V1__ErrorVerdict *ret_verdict);
