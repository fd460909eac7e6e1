/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fabrics/tid.h"

/*
 * What sysfs says of one controller (/sys/class/nvme/nvmeN; drivers/nvme/host/sysfs.c, Linux 6.12).
 * Every attribute that is read here returns without waiting for the device. One does take a lock of
 * the connection, `address` of the tcp transport (6.1+): it is read only while the controller is
 * live, when that lock is not held for long.
 */
#define LOOK_NAME      32
#define LOOK_NQN       224 /* NVMF_NQN_FIELD_LEN is 256, an NQN at most 223 bytes */
#define LOOK_ADDRESS   512
#define LOOK_MAX_PATHS 64
#define LOOK_FOREVER   (-1)

struct look_path {
	char name[LOOK_NAME];  /* nvme0c0n1, or nvme0n1 without native multipath */
	char state[LOOK_NAME]; /* optimized, non-optimized, inaccessible, persistent-loss, change */
	uint32_t group;
};

struct look {
	char name[LOOK_NAME];
	uint64_t inode; /* of the controller's folder: tells two users of one name apart */
	char state[LOOK_NAME];
	char transport[16];
	char address[LOOK_ADDRESS]; /* "" unless live */
	char nqn[LOOK_NQN];	    /* "" while the kernel cannot tell it */
	char cntrltype[16];	    /* io, discovery, admin; "" before 5.17 */
	uint32_t major, minor;
	uint32_t cntlid;
	uint32_t kato; /* seconds; 0 = off or not told */
	bool has_loss_timeout;
	int32_t ctrl_loss_tmo; /* seconds, LOOK_FOREVER */
	uint32_t reconnect_delay;
	size_t n_paths;
	struct look_path paths[LOOK_MAX_PATHS];
	size_t n_paths_unseen; /* above LOOK_MAX_PATHS */
};

/* 0, LOOK_E_GONE, -errno. */
#define LOOK_E_GONE 1
int look_read(const char *sysfs_path, const char *name, struct look *ret_look);
/*
 * The transport id of what @look holds, normalised: with its NQN, the host's NQN and, for tcp since
 * 6.1, the interface that it leaves by. Reads `address` in every state (sleeps for a lock of the
 * connection): for children only.
 */
void look_tid(const char *sysfs_path, const struct look *look, struct tid *ret_tid);
/* Only the state: one attribute. */
int look_read_state(const char *sysfs_path, const char *name, char ret_state[LOOK_NAME]);
/* False: there is no such folder, or it is another one. */
bool look_is_same(const char *sysfs_path, const char *name, uint64_t inode);

/* Names of all controllers. At most @max; *ret_n_unseen are more. 0 (also without the driver) or
 * -errno. */
int look_list(const char *sysfs_path, size_t max, char (*ret_names)[LOOK_NAME], size_t *ret_n,
	      size_t *ret_n_unseen);
