/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/cxl/capi_afu.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fd.h"
#include "core/file.h"

/*
 * open   The node of an AFU (afuC.Sd, afuC.Sm, afuC.Ss: dedicated, master, shared; cxl_dev_node in
 *	  drivers/misc/cxl/file.c 6.12) gives a context of its own. START_WORK attaches it to this
 *	  process, therefore it is done here and not in a child; without it only a context that
 *	  somebody else started (the descriptor of a proxy) has anything to tell.
 * read   One event for each read, checked in the order of afu_read: EIO link down, EINVAL buffer
 *	  too small, EAGAIN nothing pending, EIO closed, EFAULT copy failed.
 */
#define CAPI_INTERRUPTED 3 /* EINTR in a row: then the next turn of the loop */

/* struct cxl_ioctl_start_work and its flags, include/uapi/misc/cxl.h 6.12. */
struct capi_start_work {
	uint64_t flags, wed, amr;
	int16_t n_interrupts;
	uint16_t tid;
	int32_t reserved1;
	uint64_t reserved[4];
};
#define CAPI_START_NUM_IRQS UINT64_C(2)
/* Direction bits differ between architectures: 0x8040ca00 on powerpc, 0x4040ca00 on x86. The macro
 * knows. */
#define CAPI_START_WORK _IOW(0xCA, 0x00, struct capi_start_work)

_Static_assert(sizeof(struct capi_start_work) == 64, "cxl_ioctl_start_work");
#if defined(__powerpc__)
_Static_assert(CAPI_START_WORK == 0x8040ca00, "CXL_IOCTL_START_WORK");
#elif defined(__x86_64__)
_Static_assert(CAPI_START_WORK == 0x4040ca00, "CXL_IOCTL_START_WORK");
#endif

static const struct backoff_options capi_backoff = {
	.base_ns = CLOCK_NS_PER_S,
	.cap_ns = 300 * CLOCK_NS_PER_S,
	.healthy_ns = 60 * CLOCK_NS_PER_S,
};

static void capi_clean(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

void capi_afu_init(struct capi_afu *afu, const char *path)
{
	const char *name = strrchr(path, '/');

	*afu = (struct capi_afu){ .fd = -1 };
	snprintf(afu->path, sizeof(afu->path), "%s", path);
	snprintf(afu->identity.name, sizeof(afu->identity.name), "%s", name ? name + 1 : path);
	capi_clean(afu->identity.name);
	snprintf(afu->identity.id, sizeof(afu->identity.id), "afu:%s", afu->identity.name);
	backoff_init(&afu->backoff, &capi_backoff, clock_monotonic_ns() | 1);
}

void capi_afu_close(struct capi_afu *afu)
{
	afu->fd = fd_close(afu->fd);
}

/* /sys/class/cxl/cardC/device is the PCI device: the stable part of the identity, because card
 * numbers are recycled. */
static void capi_afu_find_address(struct capi_afu *afu, const char *sysfs_path)
{
	struct capi_identity *identity = &afu->identity;
	char path[PATH_MAX], target[PATH_MAX], *slash, rest[CAPI_NAME_SIZE];
	unsigned card;
	ssize_t n;

	if (sscanf(identity->name, "afu%u.%63s", &card, rest) != 2)
		return;
	snprintf(path, sizeof(path), "%s/class/cxl/card%u/device", sysfs_path, card);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	slash = strrchr(target, '/');
	snprintf(identity->address, sizeof(identity->address), "%.63s", slash ? slash + 1 : target);
	capi_clean(identity->address);
	snprintf(identity->id, sizeof(identity->id), "afu:%s/%s", identity->address, rest);
}

static int capi_afu_start(const struct capi_afu *afu, const struct capi_afu_options *options)
{
	struct capi_start_work work = { .wed = options->wed };

	if (options->irqs > 0) {
		work.flags |= CAPI_START_NUM_IRQS;
		work.n_interrupts = (int16_t)options->irqs;
	}
	return ioctl(afu->fd, CAPI_START_WORK, &work) < 0 ? -errno : 0;
}

static int capi_afu_try(struct capi_afu *afu, const struct capi_afu_options *options,
			const char **ret_what)
{
	struct stat st;

	*ret_what = "opening";
	afu->fd = open(afu->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (afu->fd < 0)
		return -errno;
	if (fstat(afu->fd, &st) < 0)
		return -errno;
	if (S_ISCHR(st.st_mode)) {
		afu->identity.major = major(st.st_rdev);
		afu->identity.minor = minor(st.st_rdev);
	}
	capi_afu_find_address(afu, options->sysfs_path);
	*ret_what = "starting work on";
	return options->start_work ? capi_afu_start(afu, options) : 0;
}

/* What open and read say when the device is no longer there: EIO from the driver; the others from
 * the layers that may stand between (a removed character device, a FUSE or CUSE server that went).
 */
static bool capi_is_down(int error)
{
	return error == EIO || error == ENODEV || error == ENXIO || error == ENOTCONN ||
	       error == ECONNABORTED;
}

/* When it is worth trying again: a node that is gone comes back with a sign. */
static void capi_afu_wait(struct capi_afu *afu, int error)
{
	uint64_t next_ns = backoff_down(&afu->backoff, clock_monotonic_ns());

	capi_afu_close(afu);
	afu->error = error;
	afu->tell_down |= capi_is_down(-error);
	afu->retry_ns = error == -ENOENT ? UINT64_MAX : next_ns;
}

int capi_afu_open(struct capi_afu *afu, const struct capi_afu_options *options,
		  const char **ret_what)
{
	int r = capi_afu_try(afu, options, ret_what);

	if (r < 0) {
		capi_afu_wait(afu, r);
		return r;
	}
	backoff_up(&afu->backoff, clock_monotonic_ns());
	return 0;
}

int capi_afu_read(struct capi_afu *afu, uint8_t buffer[CAPI_READ_SIZE], size_t *ret_size)
{
	ssize_t n = -1;

	for (int tries = 0; tries < CAPI_INTERRUPTED; tries++) {
		n = read(afu->fd, buffer, CAPI_READ_SIZE);
		if (n >= 0 || errno != EINTR)
			break;
	}
	if (n > 0) {
		*ret_size = (size_t)n;
		return 0;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CAPI_AFU_E_EMPTY;
	if (n < 0 && errno == EFAULT)
		return CAPI_AFU_E_OVERSIZE;
	if (n < 0 && capi_is_down(errno)) {
		capi_afu_wait(afu, -errno);
		return CAPI_AFU_E_DOWN;
	}
	/* EINVAL: it wants a larger buffer than any AFU does. 0: a plain file. */
	capi_afu_wait(afu, n < 0 ? -errno : -ENOTTY);
	return afu->error;
}

void capi_afu_fault_id(const struct capi_identity *identity, char *ret_text, size_t size)
{
	snprintf(ret_text, size, "capi:%s", identity->id);
}
