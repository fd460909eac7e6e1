/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/errmsg.h"

/*
 * A transport id: the address at which a controller of NVMe over Fabrics is reached, from which
 * side of this host, and the subsystem behind it. Pure, except tid_fill_source_iface. "" = not
 * given. Plain bytes without pointers.
 */
#define TID_NQN			 224 /* an NQN has at most 223 bytes, NVM Express Base 2.0, 4.5 */
#define TID_ADDRESS		 256 /* TRADDR of a discovery log entry, NVM Express Base 2.0, 5.16.1.23 */
#define TID_SERVICE		 33 /* TRSVCID there */
#define TID_IFACE		 32 /* IFNAMSIZ is 16 */
#define TID_TEXT		 1024
#define TID_WELL_KNOWN_DISCOVERY "nqn.2014-08.org.nvmexpress.discovery"

struct tid {
	char transport[16]; /* tcp, rdma, fc, loop */
	char traddr[TID_ADDRESS], trsvcid[TID_SERVICE];
	char host_traddr[TID_ADDRESS], host_iface[TID_IFACE];
	char nqn[TID_NQN], host_nqn[TID_NQN];
	/* Of a controller that exists only: */
	char source_addr[TID_ADDRESS]; /* src_addr: what the socket is bound to; tcp, Linux 6.1+ */
	char source_iface[TID_IFACE];  /* the interface that has it */
	bool discovery;		       /* cntrltype says so: its NQN may be a unique one (TP8013) */
};

/*
 * One field by the name that the kernel's option, nvme-cli and the uevent give it: transport or
 * trtype, traddr, trsvcid, host_traddr or host-traddr, host_iface or host-iface, nqn or subsysnqn,
 * hostnqn, src_addr; capitals and the prefix NVME_ of uevents are accepted. The values "none" and
 * "(null)" are "". 0; TID_E_KEY: no such field; -ENAMETOOLONG; -EINVAL: a control character, a
 * comma or a blank inside.
 */
#define TID_E_KEY 1
int tid_set(struct tid *tid, const char *key, const char *value);
/* "transport=tcp traddr=.. trsvcid=.. nqn=..", separated by blanks, commas or semicolons.
 * 0, -EINVAL with @err (which key, what is wrong). */
int tid_parse(const char *text, struct tid *ret_tid, struct errmsg *err);
/* The attribute `address` in sysfs (nvmf_get_address, drivers/nvme/host/fabrics.c, Linux 6.12):
 * what it has is set in @tid, unknown keys are passed over. */
void tid_take_address(const char *address, struct tid *tid);
/* One spelling: IPv4-mapped IPv6 is IPv4, IPv6 as inet_ntop writes it, FC names in lower case, the
 * default service where none is given (tcp 4420, of a discovery NQN 8009; rdma 4420), none for fc
 * and loop. */
void tid_normalise(struct tid *tid);
/* "transport=tcp traddr=.. trsvcid=.. [host_traddr=..] [host_iface=..]", without the NQN: as
 * Subject.transport_address has it. Always terminated. */
void tid_format(const struct tid *tid, char *ret_text, size_t size);

bool tid_is_discovery_nqn(const char *nqn);
/* 0, -EINVAL with @err: not enough for a connection, or a transport that has none. */
int tid_check(const struct tid *tid, struct errmsg *err);

/* The same in every field that names something (both normalised). */
bool tid_is_same(const struct tid *a, const struct tid *b);
/*
 * Is @existing the controller that @wanted asks for? Both normalised. Yes when all rows say yes:
 *
 *   field        @wanted            @existing                                   yes when
 *   transport    any                any                                         the same
 *   traddr       any                any                                         the same
 *   trsvcid      any                any                                         the same
 *   nqn          well-known         discovery controller                        always
 *                else                                                           the same
 *   host_nqn     one is not given                                               always
 *                given              given                                       the same
 *   host_traddr  not given          any                                         always
 *                given              given                                       the same
 *                given              not given, source_addr known                the same as that
 *                given              not given, not known (before Linux 6.1)     never
 *   host_iface   not given          any                                         always
 *                given              given                                       the same
 *                given              not given, source_iface known               the same as that
 *                given              not given, not known                        never
 *
 * "never" errs on the side of one connection too many: the kernel itself then refuses a duplicate
 * (nvmf_ip_options_match, drivers/nvme/host/fabrics.c, Linux 6.12), while a missing path would stay
 * unnoticed.
 */
bool tid_matches(const struct tid *wanted, const struct tid *existing);

/* source_iface from source_addr, by the interfaces of this network namespace. */
void tid_fill_source_iface(struct tid *tid);
