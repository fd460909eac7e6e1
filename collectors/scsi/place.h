/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "collectors/scsi/decode.h"
#include "collectors/topology/topology.h"
#include "pathbell/v1/event.pb-c.h"

/* Whom a SCSI or Fibre Channel record is about. The texts point into the struct or the topology. */
struct place {
	char address[SCSI_ADDRESS_SIZE];
	char id[SCSI_ADDRESS_SIZE + 8];
	char host[24];
	char port[32];
};

/* The disk at H:C:T:L, else the SCSI device by its address alone. */
void place_of_device(struct place *place, struct topology *topology, const char *address,
		     Pathbell__V1__Subject *ret_subject);
/* @port_name 0: the port of the host itself, from sysfs. */
void place_of_port(struct place *place, struct topology *topology, uint16_t host,
		   uint64_t port_name, Pathbell__V1__Subject *ret_subject);
