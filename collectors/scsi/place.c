/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/scsi/place.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/topology/sysfs.h"
#include "core/file.h"

static bool place_find_disk(const char *sysfs_path, const char *address, uint32_t *ret_major,
			    uint32_t *ret_minor)
{
	char path[512], line[32];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/bus/scsi/devices/%s/block", sysfs_path, address);
	dir = opendir(path);
	if (dir == NULL)
		return false;
	while (!found && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/dev", entry->d_name);
		found = file_read_line(dirfd(dir), path, line, sizeof(line)) >= 0 &&
			sysfs_parse_devt(line, ret_major, ret_minor);
	}
	closedir(dir);
	return found;
}

void place_of_device(struct place *place, struct topology *topology, const char *address,
		     Pathbell__V1__Subject *ret_subject)
{
	uint32_t major, minor;

	snprintf(place->address, sizeof(place->address), "%s", address);
	if (place_find_disk(topology_sysfs_path(topology), place->address, &major, &minor)) {
		topology_fill_subject(topology, major, minor, ret_subject);
		return;
	}
	pathbell__v1__subject__init(ret_subject);
	snprintf(place->id, sizeof(place->id), "scsi:%s", place->address);
	ret_subject->type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_SCSI_DEVICE;
	ret_subject->id = place->id;
	ret_subject->name = place->address;
	ret_subject->bus_address = place->address;
}

void place_of_port(struct place *place, struct topology *topology, uint16_t host,
		   uint64_t port_name, Pathbell__V1__Subject *ret_subject)
{
	char path[512], line[32];

	snprintf(place->host, sizeof(place->host), "host%u", host);
	if (port_name == 0) {
		snprintf(path, sizeof(path), "%s/class/fc_host/%s/port_name",
			 topology_sysfs_path(topology), place->host);
		if (file_read_line(AT_FDCWD, path, line, sizeof(line)) >= 0)
			port_name = strtoull(line, NULL, 16);
	}
	pathbell__v1__subject__init(ret_subject);
	ret_subject->type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_FC_PORT;
	if (port_name != 0)
		snprintf(place->port, sizeof(place->port), "wwpn:%016" PRIx64, port_name);
	else
		snprintf(place->port, sizeof(place->port), "fc:%s", place->host);
	ret_subject->id = place->port;
	ret_subject->name = place->host;
}
