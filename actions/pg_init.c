/* SPDX-License-Identifier: Apache-2.0 */
#include "actions/pg_init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "actions/scsi_command.h"
#include "core/fd.h"
#include "core/file.h"
#include "handlers/choose.h"
#include "handlers/handler.h"
#include "handlers/sense.h"

/*
 * What is sent
 *   alua	REPORT TARGET PORT GROUPS tells the state of the path's group. Explicit ALUA: SET
 *TARGET PORT GROUPS to active/optimized where it is not (SPC-5 6.36, 6.50), then the report again
 *until it is. Implicit only: the array decides by itself, so an active group is ready as it is, and
 *		pg_init_check refuses one that is not.
 *   emc	MODE SELECT of the trespass page 22h, short or long.
 *   hp_sw	START STOP UNIT with START.
 *   rdac	nothing: MODE SELECT of page 2Ch needs the controller's own numbering of LUNs, which
 *the kernel's handler keeps; device-mapper has it activate the group with the switch. Layouts and
 *the meaning of answers: drivers/scsi/device_handler/scsi_dh_{alua,emc,hp_sw,rdac}.c, Linux 6.12.
 *alua is tested with scsi_debug; emc and hp_sw by the bytes of their commands only.
 */
#define PG_INIT_MAX_ROUNDS 60
#define PG_INIT_PAUSE_S	   2 /* ALUA_RTPG_DELAY_MSECS and pg_init_delay_msecs are of that order */

enum pg_init_access { /* SPC-5 table "ASYMMETRIC ACCESS STATE" */
		      PG_INIT_OPTIMIZED = 0,
		      PG_INIT_NON_OPTIMIZED = 1,
		      PG_INIT_STANDBY = 2,
		      PG_INIT_UNAVAILABLE = 3,
		      PG_INIT_OFFLINE = 0xe,
		      PG_INIT_TRANSITIONING = 0xf,
};
#define PG_INIT_IMPLICIT 1 /* TPGS field of INQUIRY, SPC-5 6.7.2 */
#define PG_INIT_EXPLICIT 2

struct pg_init {
	const char *sysfs;
	int fd;
	struct handler_action action;
	bool is_waiting; /* the handler waits for the answer to `action` */
	bool is_done;
	struct pg_init_report *report;
};

static int pg_init_open(const struct action_host *host, const struct map_path *device)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", host->dev, device->name);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static const struct handler_type *pg_init_type(const struct action_host *host,
					       const struct map_path *device)
{
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	char path[160], vendor[64] = "", model[64] = "";

	snprintf(path, sizeof(path), "%s/block/%s/device/vendor", host->sysfs, device->name);
	(void)file_read_line(AT_FDCWD, path, vendor, sizeof(vendor));
	snprintf(path, sizeof(path), "%s/block/%s/device/model", host->sysfs, device->name);
	(void)file_read_line(AT_FDCWD, path, model, sizeof(model));
	subject.name = (char *)device->name;
	subject.bus_address = (char *)device->hctl;
	subject.vendor = vendor;
	subject.model = model;
	return choose_handler(host->sysfs, &subject);
}

/* ALUA */

struct pg_init_alua {
	unsigned tpgs, group, state;
	bool preferred;
};

static int pg_init_inquiry(int fd, bool vpd, uint8_t page, uint8_t *data, uint32_t size)
{
	struct scsi_command command = {
		.cdb = { 0x12, vpd, page, (uint8_t)(size >> 8), (uint8_t)size, 0 },
		.cdb_len = 6,
		.data = data,
		.data_size = size,
	};

	memset(data, 0, size);
	return scsi_command_run(fd, &command);
}

/* Designator of type 5 in VPD page 83h: the target port group (SPC-5 7.7.6.8). */
static int pg_init_group_of(const uint8_t *page, size_t size, unsigned *ret_group)
{
	size_t end = 4 + ((size_t)page[2] << 8 | page[3]);

	if (end > size)
		end = size;
	for (size_t at = 4; at + 4 <= end; at += 4 + page[at + 3]) {
		if ((page[at + 1] & 0x0f) != 5 || page[at + 3] != 4 || at + 8 > end)
			continue;
		*ret_group = (unsigned)page[at + 6] << 8 | page[at + 7];
		return 0;
	}
	return -ENOENT;
}

static int pg_init_report_groups(int fd, struct pg_init_alua *alua)
{
	uint8_t data[1024] = { 0 };
	struct scsi_command command = {
		.cdb = { 0xa3, 0x0a, 0, 0, 0, 0, 0, 0, sizeof(data) >> 8, sizeof(data) & 0xff },
		.cdb_len = 12,
		.data = data,
		.data_size = sizeof(data),
	};
	size_t end;
	int r = scsi_command_run(fd, &command);

	if (r)
		return r < 0 ? r : -EIO;
	end = 4 + ((size_t)data[0] << 24 | (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3]);
	if (end > sizeof(data))
		end = sizeof(data);
	for (size_t at = 4; at + 8 <= end; at += 8 + 4 * (size_t)data[at + 7]) {
		if (((unsigned)data[at + 2] << 8 | data[at + 3]) != alua->group)
			continue;
		alua->state = data[at] & 0x0f;
		alua->preferred = (data[at] & 0x80) != 0;
		return 0;
	}
	return -ENOENT;
}

static int pg_init_read_alua(int fd, struct pg_init_alua *alua)
{
	uint8_t data[252];
	int r = pg_init_inquiry(fd, false, 0, data, 96);

	if (r)
		return r < 0 ? r : -EIO;
	alua->tpgs = data[5] >> 4 & 3;
	r = pg_init_inquiry(fd, true, 0x83, data, sizeof(data));
	if (r)
		return r < 0 ? r : -EIO;
	r = pg_init_group_of(data, sizeof(data), &alua->group);
	return r ? r : pg_init_report_groups(fd, alua);
}

static const char *pg_init_state_name(unsigned state)
{
	switch (state) {
	case PG_INIT_OPTIMIZED:
		return "active/optimized";
	case PG_INIT_NON_OPTIMIZED:
		return "active/non-optimized";
	case PG_INIT_STANDBY:
		return "standby";
	case PG_INIT_UNAVAILABLE:
		return "unavailable";
	case PG_INIT_OFFLINE:
		return "offline";
	case PG_INIT_TRANSITIONING:
		return "transitioning";
	default:
		return "in an unknown state";
	}
}

int pg_init_check(const struct action_host *host, const struct status_path *path,
		  const struct map_path *device, char *ret_text, size_t size)
{
	struct pg_init_alua alua = { 0 };
	_cleanup_fd_ int fd = -1;
	int r;

	ret_text[0] = '\0';
	if (strcmp(pg_init_type(host, device)->name, "alua") != 0)
		return 0;
	fd = pg_init_open(host, device);
	r = fd < 0 ? fd : pg_init_read_alua(fd, &alua);
	if (r < 0) {
		snprintf(ret_text, size, "the array does not tell the state of %s: %s",
			 device->name, strerror(-r));
		return PG_INIT_E_REFUSE;
	}
	snprintf(ret_text, size, "target port group %u is %s%s", alua.group,
		 pg_init_state_name(alua.state),
		 alua.tpgs & PG_INIT_EXPLICIT ? "" : ", and the array changes that only by itself");
	if (alua.state == PG_INIT_OFFLINE)
		return PG_INIT_E_REFUSE;
	return alua.state > PG_INIT_NON_OPTIMIZED && !(alua.tpgs & PG_INIT_EXPLICIT)
		       ? PG_INIT_E_REFUSE
		       : 0;
}

/* Sense that says "again" (alua_check_sense and trespass_endio). */
static enum handler_result pg_init_judge(const struct scsi_command *command, int r)
{
	if (r == 0)
		return HANDLER_OK;
	if (r < 0)
		return HANDLER_DEV_TEMP_BUSY;
	if (!command->has_sense)
		return HANDLER_FAILED;
	if (command->sense_key == SENSE_UNIT_ATTENTION)
		return HANDLER_IMM_RETRY;
	if (command->sense_key == SENSE_NOT_READY && command->asc == 0x04 && command->ascq == 0x0a)
		return HANDLER_RETRY;
	if (command->sense_key == SENSE_ILLEGAL_REQUEST)
		return HANDLER_NOSYS;
	return HANDLER_FAILED;
}

static void pg_init_note(struct pg_init *init, const char *name, const struct scsi_command *command,
			 int r)
{
	char answer[64] = "";

	init->report->n_commands++;
	if (r > 0)
		scsi_command_describe(command, answer, sizeof(answer));
	snprintf(init->report->text, sizeof(init->report->text), "%s%s%s", name,
		 r ? ": " : " was accepted", r < 0 ? strerror(-r) : answer);
}

static enum handler_result pg_init_send(struct pg_init *init, const char *name,
					struct scsi_command *command)
{
	int r = scsi_command_run(init->fd, command);

	pg_init_note(init, name, command, r);
	return pg_init_judge(command, r);
}

static enum handler_result pg_init_set_groups(struct pg_init *init)
{
	struct pg_init_alua alua = { 0 };
	uint8_t data[8] = { 0 };
	struct scsi_command command = {
		.cdb = { 0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, sizeof(data) },
		.cdb_len = 12,
		.to_device = true,
		.data = data,
		.data_size = sizeof(data),
	};
	enum handler_result result;

	if (pg_init_read_alua(init->fd, &alua) < 0)
		return HANDLER_FAILED;
	snprintf(init->report->text, sizeof(init->report->text), "target port group %u is %s",
		 alua.group, pg_init_state_name(alua.state));
	if (alua.state == PG_INIT_OPTIMIZED)
		return HANDLER_OK;
	if (alua.state == PG_INIT_OFFLINE)
		return HANDLER_FAILED;
	if (!(alua.tpgs & PG_INIT_EXPLICIT))
		return alua.state == PG_INIT_NON_OPTIMIZED ? HANDLER_OK : HANDLER_RETRY;
	if (alua.state == PG_INIT_NON_OPTIMIZED && init->action.optimize && !alua.preferred &&
	    (alua.tpgs & PG_INIT_IMPLICIT))
		return HANDLER_OK;
	if (alua.state == PG_INIT_TRANSITIONING)
		return HANDLER_RETRY;
	data[4] = PG_INIT_OPTIMIZED;
	data[6] = (uint8_t)(alua.group >> 8);
	data[7] = (uint8_t)alua.group;
	result = pg_init_send(init, "SET TARGET PORT GROUPS", &command);
	/* Whether it has come about is for the next report to say. */
	return result == HANDLER_OK ? HANDLER_IMM_RETRY : result;
}

static enum handler_result pg_init_trespass(struct pg_init *init)
{
	uint8_t honor = init->action.honor_reservations ? 0 : 0x80;
	uint8_t short_page[8] = { 0, 0, 0, 0, 0x22, 0x02, 0x01 | honor, 0xff };
	uint8_t long_page[19] = { 0, 0, 0, 0, 0, 0, 0, 0, 0x22, 0x09, 0x01 | honor, 0xff, 0xff };
	bool is_short = init->action.short_trespass;
	struct scsi_command command = {
		.cdb = { is_short ? 0x15 : 0x55, is_short ? 0x10 : 0 },
		.cdb_len = is_short ? 6 : 10,
		.to_device = true,
		.data = is_short ? short_page : long_page,
		.data_size = is_short ? sizeof(short_page) : sizeof(long_page),
	};

	command.cdb[is_short ? 4 : 8] = (uint8_t)command.data_size;
	return pg_init_send(init, "MODE SELECT of the trespass page", &command);
}

static enum handler_result pg_init_start_unit(struct pg_init *init)
{
	struct scsi_command command = { .cdb = { 0x1b, 0, 0, 0, 1 }, .cdb_len = 6 };

	return pg_init_send(init, "START UNIT", &command);
}

static enum handler_result pg_init_perform(struct pg_init *init)
{
	switch (init->action.command) {
	case HANDLER_SET_TARGET_PORT_GROUPS:
		return pg_init_set_groups(init);
	case HANDLER_TRESPASS:
		return pg_init_trespass(init);
	case HANDLER_START_UNIT:
		return pg_init_start_unit(init);
	case HANDLER_REDUNDANT_CONTROLLER:
		break;
	}
	snprintf(init->report->text, sizeof(init->report->text),
		 "left to the kernel's handler rdac");
	return HANDLER_OK;
}

static int pg_init_on_act(void *data, const struct handler_action *action)
{
	struct pg_init *init = data;

	init->action = *action;
	init->is_waiting = true;
	return 0;
}

static void pg_init_on_done(void *data, unsigned flags)
{
	struct pg_init *init = data;

	init->report->flags = flags;
	init->is_done = true;
}

static void pg_init_rounds(struct pg_init *init, struct handler *handler)
{
	for (unsigned i = 0; init->is_waiting && !init->is_done && i < PG_INIT_MAX_ROUNDS; i++) {
		const struct timespec pause = { .tv_sec = PG_INIT_PAUSE_S };

		init->is_waiting = false;
		if (init->action.delayed)
			(void)nanosleep(&pause, NULL);
		(void)handler_action_done(handler, init->action.ticket, pg_init_perform(init));
	}
}

int pg_init_run(const struct action_host *host, const struct status_path *path,
		const struct map_path *device, bool bypassed, struct pg_init_report *ret_report)
{
	struct pg_init init = { .sysfs = host->sysfs, .report = ret_report };
	const struct handler_options options = { .pg_init_retries = 5,
						 .act = pg_init_on_act,
						 .act_data = &init };
	const struct handler_type *type = pg_init_type(host, device);
	_cleanup_fd_ int fd = pg_init_open(host, device);
	struct handlers handlers;
	struct handler *handler = NULL;
	int r;

	*ret_report = (struct pg_init_report){ .handler = type->name };
	if (fd < 0)
		return fd;
	init.fd = fd;
	handlers_init(&handlers);
	r = handler_new(&handler, &handlers, type->name, &options, NULL);
	if (r < 0)
		return r;
	r = handler_pg_init(handler, bypassed, device->name, pg_init_on_done, &init);
	if (r == 0)
		pg_init_rounds(&init, handler);
	/* An end of its own, if there was none in PG_INIT_MAX_ROUNDS: FAIL_PATH. */
	handler_free(handler);
	return r < 0 ? r : 0;
}
