/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The ownership registry of nvme-cli 3: /run/nvme/registry/nvmeN/owner names who made a controller
 * (stas, nbft, discoverd, autoconnect, ...), `seqnum` is /sys/kernel/uevent_seqnum of that moment,
 * because numbers of controllers are used again. Plain text, folders 0755, files 0644, each written
 * as a temporary file that is synced and renamed. No entry: nobody's. It lasts for one boot, and
 * holds by agreement only.
 */
#define OWNER_DIR  "/run/nvme/registry"
#define OWNER_SELF "pathbell"
#define OWNER_NAME 32

/* "" where nobody has it. A name of more than OWNER_NAME - 1 bytes is cut. 0 or -errno. */
int owner_read(const char *dir, const char *controller, char ret_owner[OWNER_NAME]);
/* @seqnum_path: /sys/kernel/uevent_seqnum. 0, -EINVAL (not a controller's name), -errno. */
int owner_write(const char *dir, const char *seqnum_path, const char *controller,
		const char *owner);
/* Which part of us made it: an attribute of our own beside the owner. "" where there is none. */
#define OWNER_MAKER_MONITOR "monitor"
int owner_read_maker(const char *dir, const char *controller, char ret_maker[OWNER_NAME]);
int owner_write_maker(const char *dir, const char *controller, const char *maker);
/*
 * Removes the entry of a controller that is gone. @seqnum: of its remove uevent; an entry that is
 * younger belongs to the next user of that number and stays. 0 (also: there was none), or
 * OWNER_E_YOUNGER, -errno.
 */
#define OWNER_E_YOUNGER 1
int owner_remove(const char *dir, const char *controller, uint64_t seqnum);
