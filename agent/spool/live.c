/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/parts.h"
#include "core/fd.h"
#include "core/id.h"

/*
 * The live file is meant for tmpfs: it says, over a crash but not over a reboot, up to which seq
 * records were handed to forwarders. Written with pwrite: a mapping could raise SIGBUS when the
 * tmpfs is full.
 */
bool live_read(struct spool *spool, struct slot_live *ret_live)
{
	uint8_t bytes[SLOT_LIVE_SIZE];

	if (spool->live_fd < 0 || pread(spool->live_fd, bytes, sizeof(bytes), 0) != sizeof(bytes))
		return false;
	return slot_decode_live(bytes, ret_live);
}

int live_open(struct spool *spool)
{
	int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

	if (spool->options.live_path != NULL)
		spool->live_fd = open(spool->options.live_path, flags, 0600);
	else
		spool->live_fd = openat(spool->dirfds[SPOOL_DIR_MAIN], "live", flags, 0600);
	return spool->live_fd < 0 ? -errno : 0;
}

void live_offer(struct spool *spool, const struct epoch *epoch, uint64_t seq)
{
	uint8_t bytes[SLOT_LIVE_SIZE];

	if (epoch != spool_current(spool))
		return;
	if (memcmp(spool->live.epoch, epoch->id, 16) == 0 && seq <= spool->live.offered)
		return;
	/* All that is durable may follow without a word. */
	spool->live.offered = seq > epoch->durable ? seq : epoch->durable;
	memcpy(spool->live.epoch, epoch->id, 16);
	memcpy(spool->live.boot, id_boot(), 16);
	slot_encode_live(&spool->live, bytes);
	if (spool->live_fd < 0)
		return;
	if (pwrite(spool->live_fd, bytes, sizeof(bytes), 0) != sizeof(bytes)) {
		/* Without it the next crash begins a new epoch, which is always safe. */
		(void)!ftruncate(spool->live_fd, 0);
		spool->live_fd = fd_close(spool->live_fd);
	}
}
