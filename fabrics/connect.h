/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/errmsg.h"
#include "fabrics/tid.h"

/*
 * Making and ending controllers: /dev/nvme-fabrics takes one line of comma-separated options and
 * answers "instance=N,cntlid=M" (nvmf_parse_options and nvmf_dev_show, drivers/nvme/host/fabrics.c,
 * Linux 5.10 to 6.12); the rest is attributes in sysfs. Everything with "(sleeps)" waits in the
 * kernel, perhaps for ever in D state: for children only.
 */
#define CONNECT_DEVICE		     "/dev/nvme-fabrics"
#define CONNECT_DEFAULT		     INT32_MIN /* the kernel's own default */
#define CONNECT_SECRET		     208       /* DHHC-1:..: of a 64-byte key, with room */
#define CONNECT_LINE		     4096      /* MAX_OPT_LEN of the kernel is a page */
#define CONNECT_KEEP_ALIVE_DISCOVERY 30	       /* seconds, of a persistent discovery controller */

struct connect_options {
	int32_t ctrl_loss_tmo, reconnect_delay, fast_io_fail_tmo, keep_alive_tmo; /* seconds */
	int32_t nr_io_queues, nr_write_queues, nr_poll_queues, queue_size, tos;
	bool hdr_digest, data_digest, disable_sqflow, duplicate_connect, tls;
	bool persistent; /* of a discovery controller: it stays; not an option of the kernel */
	char host_id[40];
	char dhchap_secret[CONNECT_SECRET], dhchap_ctrl_secret[CONNECT_SECRET];
	char keyring[64], tls_key[64];
};

void connect_options_init(struct connect_options *options);
/*
 * One option by its name in the kernel or in nvme-cli ('-' or '_'). Flags take true, false, 1, 0 or
 * "". 0; CONNECT_E_KEY: no such option; -EINVAL: not a number, or out of its range; -ENAMETOOLONG.
 */
#define CONNECT_E_KEY 1
int connect_options_set(struct connect_options *options, const char *key, const char *value);

/* The names that this kernel knows, ",name,name,"; reading the device lists them (5.17+). 0;
 * CONNECT_E_UNKNOWN (older kernel: "" = assume all of 5.10); -errno: -ENOENT without nvme_fabrics.
 */
#define CONNECT_E_UNKNOWN 2
int connect_supported(const char *device, char *ret_names, size_t size);
/*
 * The line for @tid. What the kernel does not know is left out where it only tunes, and refused
 * where the connection would be another one without it (digests, secrets, TLS, the host's side).
 * 0, -EOPNOTSUPP or -EINVAL with @err, -ENOBUFS.
 */
int connect_line(const struct tid *tid, const struct connect_options *options,
		 const char *supported, char *ret_line, size_t size, struct errmsg *err);
/* (sleeps) 0, -EALREADY (that connection is there), -errno. */
int connect_write(const char *device, const char *line, uint32_t *ret_instance,
		  uint32_t *ret_cntlid);

/* (sleep) @sysfs: /sys; @name: nvme0. 0, -ENOENT (no such controller, or it has no such attribute),
 * -errno. */
int connect_delete(const char *sysfs, const char *name);
int connect_reset(const char *sysfs, const char *name);
int connect_rescan(const char *sysfs, const char *name);
