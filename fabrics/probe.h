/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "fabrics/tid.h"

/*
 * Does an NVMe/TCP target answer? Opens a connection of its own, sends ICReq and waits for the
 * first byte of an answer (NVM Express TCP Transport Specification 1.0, 3.6.2.2), for @timeout_ms,
 * or as long as it takes (0). For children only.
 *
 * Why: the kernel makes one controller at a time (nvmf_dev_mutex is held all through
 * nvmf_create_ctrl; drivers/nvme/host/fabrics.c, Linux 5.10 to 6.12). A target that takes the
 * connection and is mute, or an address that swallows packets, would hold up every other connect
 * of this host, D state included. Here it holds up only its own child.
 *
 * 0: it answers, or it is not a TCP target with a numeric address (then the kernel finds out);
 * -errno of connect, send or receive (-ETIMEDOUT): it does not.
 */
int probe_tcp(const struct tid *tid, uint64_t timeout_ms);
