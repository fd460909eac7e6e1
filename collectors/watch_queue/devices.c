/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/watch_queue/devices.h"

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/log.h"

/*
 * The highest system call that a release has, from its arch/x86/entry/syscalls/syscall_64.tbl; the
 * same on all architectures since 5.1 except alpha, which adds 110. A row holds until the next one;
 * stable kernels and distributions do not add calls. A release behind the last row is refused,
 * because the table cannot know it.
 */
static const struct devices_row {
	unsigned major, minor, highest;
} devices_rows[] = {
	{ 5, 8, 439 },	/* faccessat2 */
	{ 5, 10, 440 }, /* process_madvise */
	{ 5, 11, 441 }, /* epoll_pwait2 */
	{ 5, 12, 442 }, /* mount_setattr */
	{ 5, 13, 446 }, /* landlock_restrict_self */
	{ 5, 14, 447 }, /* memfd_secret */
	{ 5, 15, 448 }, /* process_mrelease */
	{ 5, 16, 449 }, /* futex_waitv */
	{ 5, 17, 450 }, /* set_mempolicy_home_node */
	{ 6, 5, 451 },	/* cachestat */
	{ 6, 6, 453 },	/* fchmodat2, map_shadow_stack */
	{ 6, 7, 456 },	/* futex_wake, futex_wait, futex_requeue */
	{ 6, 8, 461 },	/* statmount, listmount, lsm_* */
	{ 6, 10, 462 }, /* mseal */
	{ 6, 13, 466 }, /* setxattrat ... removexattrat */
	{ 6, 15, 467 }, /* open_tree_attr */
	{ 6, 17, 469 }, /* file_getattr, file_setattr */
	{ 6, 19, 470 }, /* listns */
	{ 7, 0, 471 },	/* rseq_slice_yield */
};

#define DEVICES_LAST_MAJOR 7
#define DEVICES_LAST_MINOR 0
#define DEVICES_MAX_NUMBER 511 /* x86-64: x32 calls begin at 512 */
#define DEVICES_NEVER	   436 /* close_range */

/* Highest call of the release; 0 = the table does not know it. */
static unsigned devices_highest(unsigned major, unsigned minor)
{
	unsigned highest = 0;

	if (major > DEVICES_LAST_MAJOR ||
	    (major == DEVICES_LAST_MAJOR && minor > DEVICES_LAST_MINOR))
		return 0;
	for (size_t i = 0; i < sizeof(devices_rows) / sizeof(devices_rows[0]); i++) {
		const struct devices_row *row = &devices_rows[i];

		if (row->major < major || (row->major == major && row->minor <= minor))
			highest = row->highest;
	}
	return highest;
}

int devices_check(unsigned number, const char *release, struct errmsg *err)
{
	unsigned major, minor, highest;

#ifdef __alpha__
	errmsg_set(err, "devices.syscall: this architecture numbers its system calls apart");
	return -EINVAL;
#endif
	if (sscanf(release, "%u.%u", &major, &minor) != 2) {
		errmsg_set(err, "devices.syscall: cannot read the kernel release \"%s\"", release);
		return -EINVAL;
	}
	highest = devices_highest(major, minor);
	if (highest == 0)
		errmsg_set(err,
			   "devices.syscall: refused, because it is not known which system calls "
			   "kernel %s has (known: 5.8 to %d.%d)",
			   release, DEVICES_LAST_MAJOR, DEVICES_LAST_MINOR);
	else if (number == DEVICES_NEVER || number <= highest)
		errmsg_set(err,
			   "devices.syscall: %u is refused: on kernel %s the numbers up to %u are "
			   "other system calls (436 is close_range)",
			   number, release, highest);
	else if (number > DEVICES_MAX_NUMBER)
		errmsg_set(err, "devices.syscall: %u is above %d", number, DEVICES_MAX_NUMBER);
	else
		return 0;
	return -EINVAL;
}

int devices_watch(unsigned number, int queue_fd, int watch_id, struct errmsg *err)
{
	struct utsname kernel;
	int r;

	if (uname(&kernel) < 0)
		return -errno;
	r = devices_check(number, kernel.release, err);
	if (r < 0)
		return r;
	if (syscall((long)number, queue_fd, watch_id, 0) >= 0)
		return 0;
	r = -errno;
	errmsg_set(err, "watch_devices as system call %u: %s", number, log_errno(r));
	return r == -ENOSYS ? DEVICES_E_ABSENT : r;
}
