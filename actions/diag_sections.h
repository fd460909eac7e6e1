/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "actions/action.h"
#include "actions/sheet.h"

/* What diag reads of the system. All may sleep in the kernel: in a child. */
void diag_kernel(const struct action_host *host, struct sheet *sheet);
/* Disks: size, state, identity, holders. */
void diag_block(const struct action_host *host, struct sheet *sheet);
/* SCSI and FC hosts and their states. */
void diag_scsi(const struct action_host *host, struct sheet *sheet);
/* Status and table lines of multipath maps. */
void diag_maps(const struct action_host *host, struct sheet *sheet);
/* NVMe controllers and subsystems. */
void diag_nvme(const struct action_host *host, struct sheet *sheet);
/* Device, type and place of each mount, without its options. */
void diag_mounts(const struct action_host *host, struct sheet *sheet);
