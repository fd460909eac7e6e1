/* SPDX-License-Identifier: Apache-2.0 */
#include "recording_make.h"

#include <stdio.h>

#include "collectors/block/decode.h"
#include "pathbell/v1/event.pb-c.h"

#define MAKE_N_DISKS  16
#define MAKE_START_NS UINT64_C(1795226400000000000) /* 2026-11-21T02:00:00Z */
#define MAKE_STEP_NS  UINT64_C(1000000)

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t make_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* The texts of one event; its messages point here. */
struct make_event {
	Pathbell__V1__Event event;
	Pathbell__V1__Source source;
	Pathbell__V1__Subject subject;
	Pathbell__V1__BlockError block;
	Pathbell__V1__MultipathEvent multipath;
	Pathbell__V1__NvmeEvent nvme;
	struct block_record record;
	char id[96], name[16], wwid[64], serial[32], address[16], map[16], controller[16];
	char transport[96];
	char *holders[2];
	uint8_t boot_id[16];
};

static void make_disk(struct make_event *make, unsigned disk)
{
	Pathbell__V1__Subject *subject = &make->subject;

	snprintf(make->name, sizeof(make->name), "sd%c", 'a' + (char)(disk % 16));
	snprintf(make->wwid, sizeof(make->wwid), "naa.60000000000000000e0000000001%04x", disk / 2);
	snprintf(make->id, sizeof(make->id), "wwid:%s", make->wwid);
	snprintf(make->serial, sizeof(make->serial), "PB%010u", disk / 2);
	snprintf(make->address, sizeof(make->address), "%u:0:0:%u", 2 + disk % 2, disk / 2);
	snprintf(make->map, sizeof(make->map), "mpath%c", 'a' + (char)(disk / 2 % 8));
	make->holders[0] = make->map;
	subject->type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_DISK;
	subject->id = make->id;
	subject->name = make->name;
	subject->major = 8;
	subject->minor = disk * 16;
	subject->wwid = make->wwid;
	subject->serial = make->serial;
	subject->model = (char *)"VIRTUAL-DISK";
	subject->vendor = (char *)"PATHBELL";
	subject->bus_address = make->address;
	subject->holders = make->holders;
	subject->n_holders = 1;
	subject->generation = disk + 1;
}

static void make_block(struct make_event *make, uint64_t *random)
{
	static const int errors[] = { -61, -61, -5, -5, -121, -67, -28, -84 };
	static const char *const letters[] = { "RS", "WS", "RA", "WFS" };

	make->record.error = errors[make_random(random) % 8];
	make->record.sector = make_random(random) % (UINT64_C(1) << 31) & ~UINT64_C(7);
	make->record.n_sectors = 8U << (make_random(random) % 5);
	make->record.ioprio = 4;
	snprintf(make->record.rwbs, sizeof(make->record.rwbs), "%s",
		 letters[make_random(random) % 4]);
	block_describe(&make->record, &make->block);
	make->source.interface = (char *)"tracefs:block_rq_error";
	make->source.cpu = 1 + (uint32_t)(make_random(random) % 2);
	make->event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR;
	make->event.severity = block_severity(make->block.error_class);
	make->event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR;
	make->event.block_error = &make->block;
}

static void make_path(struct make_event *make, uint64_t *random)
{
	Pathbell__V1__MultipathEvent *path = &make->multipath;
	uint64_t failed = make_random(random) % 2;

	pathbell__v1__multipath_event__init(path);
	path->map_name = make->map;
	path->event_nr = (uint32_t)(make_random(random) % 1000);
	path->path = make->name;
	path->path_major = 8;
	path->path_minor = make->subject.minor;
	path->valid_paths = failed ? 1 : 2;
	path->total_paths = 2;
	path->group = 1;
	path->action = (char *)(failed ? "PATH_FAILED" : "PATH_REINSTATED");
	make->subject.type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_PATH;
	make->source.interface = (char *)"netlink:uevent";
	make->event.kind = failed ? PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_PATH_FAILED
				  : PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_PATH_REINSTATED;
	make->event.severity = failed ? PATHBELL__V1__SEVERITY__SEVERITY_ERROR
				      : PATHBELL__V1__SEVERITY__SEVERITY_INFO;
	make->event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_MULTIPATH;
	make->event.multipath = path;
}

static void make_nvme(struct make_event *make, unsigned number, uint64_t *random)
{
	Pathbell__V1__NvmeEvent *nvme = &make->nvme;
	uint64_t lost = make_random(random) % 2;

	pathbell__v1__nvme_event__init(nvme);
	snprintf(make->controller, sizeof(make->controller), "nvme%u", number);
	snprintf(make->transport, sizeof(make->transport),
		 "transport=tcp traddr=192.0.2.%u trsvcid=4420", 10 + number);
	nvme->controller = make->controller;
	nvme->transport = (char *)"tcp";
	nvme->subsystem_nqn = (char *)"nqn.2026-01.org.example:subsystem";
	nvme->state = (char *)(lost ? "connecting" : "live");
	nvme->previous_state = (char *)(lost ? "live" : "connecting");
	pathbell__v1__subject__init(&make->subject);
	make->subject.type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_NVME_CONTROLLER;
	make->subject.id = (char *)"nqn:nqn.2026-01.org.example:subsystem";
	make->subject.nqn = nvme->subsystem_nqn;
	make->subject.name = make->controller;
	make->subject.transport_address = make->transport;
	make->source.interface = (char *)"netlink:uevent";
	make->event.kind = lost ? PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_CONTROLLER_RECONNECTING
				: PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_CONTROLLER_CONNECTED;
	make->event.severity = lost ? PATHBELL__V1__SEVERITY__SEVERITY_WARNING
				    : PATHBELL__V1__SEVERITY__SEVERITY_INFO;
	make->event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_NVME;
	make->event.nvme = nvme;
}

size_t recording_make(uint64_t seed, uint64_t index, uint8_t ret_data[RECORDING_MAKE_MAX])
{
	uint64_t random = seed * UINT64_C(0x2545f4914f6cdd1d) + index, what;
	struct make_event make = { 0 };

	pathbell__v1__event__init(&make.event);
	pathbell__v1__source__init(&make.source);
	pathbell__v1__subject__init(&make.subject);
	make.event.source = &make.source;
	make.event.subject = &make.subject;
	make.source.seq = index;
	make.event.time_unix_ns = MAKE_START_NS + index * MAKE_STEP_NS;
	make.event.source_clock_ns = index * MAKE_STEP_NS;
	make.event.boot_id.data = make.boot_id;
	make.event.boot_id.len = sizeof(make.boot_id);
	what = make_random(&random) % 20;
	make_disk(&make, (unsigned)(make_random(&random) % MAKE_N_DISKS));
	if (what < 17)
		make_block(&make, &random);
	else if (what < 19)
		make_path(&make, &random);
	else
		make_nvme(&make, (unsigned)(make_random(&random) % 4), &random);
	if (pathbell__v1__event__get_packed_size(&make.event) > RECORDING_MAKE_MAX)
		return 0;
	return pathbell__v1__event__pack(&make.event, ret_data);
}
