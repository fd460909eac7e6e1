/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Asymmetric logical unit access: what an array tells of its target port groups, and what follows
 * from it for a path that is to take I/O. Pure. Bytes come from outside: nothing but their size is
 * believed. SPC-5: 6.7.2 (INQUIRY), 7.7.6 (page 83h), 6.36 (REPORT), 6.50 (SET TARGET PORT GROUPS).
 */
enum target_ports_state {
	TARGET_PORTS_OPTIMIZED = 0,
	TARGET_PORTS_NON_OPTIMIZED = 1,
	TARGET_PORTS_STANDBY = 2,
	TARGET_PORTS_UNAVAILABLE = 3,
	TARGET_PORTS_LBA_DEPENDENT = 4,
	TARGET_PORTS_OFFLINE = 0xe,
	TARGET_PORTS_TRANSITIONING = 0xf,
};
#define TARGET_PORTS_IMPLICIT 1 /* the array changes states by itself */
#define TARGET_PORTS_EXPLICIT 2 /* SET TARGET PORT GROUPS changes them */

struct target_ports {
	unsigned modes; /* TARGET_PORTS_IMPLICIT | TARGET_PORTS_EXPLICIT; 0 = no ALUA */
	unsigned group; /* the one that the path belongs to */
	unsigned state; /* enum target_ports_state, or another number below 16 */
	bool preferred;
};

/* TPGS of standard INQUIRY data. 0; -EBADMSG: too short. */
int target_ports_read_inquiry(struct target_ports *ports, const uint8_t *data, size_t size);
/* The group, of the designators of page 83h. 0; -EBADMSG: another page; -ENOENT: none is there. */
int target_ports_read_page(struct target_ports *ports, const uint8_t *data, size_t size);
/* State of ports->group, of a report without extended header. 0; -EBADMSG: too short; -ENOENT: the
 * report, or what of it fits @size, does not have the group. */
int target_ports_read_report(struct target_ports *ports, const uint8_t *data, size_t size);
/* "active/optimized"; never NULL. */
const char *target_ports_state_name(unsigned state);

enum target_ports_step {
	TARGET_PORTS_READY, /* takes I/O as it is */
	TARGET_PORTS_SET,   /* SET TARGET PORT GROUPS, then read the report again */
	TARGET_PORTS_WAIT,  /* read the report again: only the array can change it */
	TARGET_PORTS_FAIL,  /* no command makes it ready */
};

/* As the kernel decides (alua_stpg, drivers/scsi/device_handler/scsi_dh_alua.c, Linux 6.12).
 * @optimize: an array that moves states by itself may do so; a non-optimized group that it does not
 * prefer is left as it is. */
enum target_ports_step target_ports_next(const struct target_ports *ports, bool optimize);

/* Parameter list of SET TARGET PORT GROUPS: this group active/optimized. */
#define TARGET_PORTS_SET_SIZE 8
void target_ports_put_set(const struct target_ports *ports,
			  uint8_t ret_data[TARGET_PORTS_SET_SIZE]);
