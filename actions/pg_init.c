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
#include "core/log.h"
#include "handlers/choose.h"
#include "handlers/handler.h"
#include "handlers/sense.h"
#include "handlers/target_ports.h"

/*
 * What is sent
 *
 *   alua   REPORT TARGET PORT GROUPS tells the state of the path's group. Explicit ALUA: SET TARGET
 *          PORT GROUPS to active/optimized where it is not, then the report again until it is
 *          (handlers/target_ports.h). Implicit only: the array decides by itself, so an active
 * group is ready as it is, and pg_init_check refuses one that is not. emc    MODE SELECT of the
 * trespass page 22h, short or long. hp_sw  START STOP UNIT with START. rdac   nothing: MODE SELECT
 * of page 2Ch needs the controller's own numbering of LUNs, which the kernel's handler keeps;
 * device-mapper has it activate the group with the switch.
 *
 * Layouts and the meaning of answers: drivers/scsi/device_handler/scsi_dh_{alua,emc,hp_sw,rdac}.c,
 * Linux 6.12. alua is tested with scsi_debug (implicit only) and by the decoders' unit tests; emc
 * and hp_sw by the bytes of their commands only.
 */
#define PG_INIT_MAX_ROUNDS  60
#define PG_INIT_REPORT_SIZE 4096 /* of 8 bytes a group and 4 a port */
#define PG_INIT_PAUSE_S	    2 /* ALUA_RTPG_DELAY_MSECS and pg_init_delay_msecs are of that order */

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

static int pg_init_report_groups(int fd, struct target_ports *ports)
{
	uint8_t data[PG_INIT_REPORT_SIZE] = { 0 };
	struct scsi_command command = {
		.cdb = { 0xa3, 0x0a, 0, 0, 0, 0, 0, 0, sizeof(data) >> 8, sizeof(data) & 0xff },
		.cdb_len = 12,
		.data = data,
		.data_size = sizeof(data),
	};
	int r = scsi_command_run(fd, &command);

	if (r)
		return r < 0 ? r : -EIO;
	return target_ports_read_report(ports, data, sizeof(data));
}

static int pg_init_read_alua(int fd, struct target_ports *ports)
{
	uint8_t data[252];
	int r = pg_init_inquiry(fd, false, 0, data, 96);

	if (r == 0)
		r = target_ports_read_inquiry(ports, data, 96);
	if (r == 0)
		r = pg_init_inquiry(fd, true, 0x83, data, sizeof(data));
	if (r == 0)
		r = target_ports_read_page(ports, data, sizeof(data));
	if (r)
		return r < 0 ? r : -EIO;
	return pg_init_report_groups(fd, ports);
}

int pg_init_check(const struct action_host *host, const struct status_path *path,
		  const struct map_path *device, char *ret_text, size_t size)
{
	struct target_ports ports = { 0 };
	enum target_ports_step next;
	_cleanup_fd_ int fd = -1;
	bool is_explicit;
	int r;

	ret_text[0] = '\0';
	if (strcmp(pg_init_type(host, device)->name, "alua") != 0)
		return 0;
	fd = pg_init_open(host, device);
	r = fd < 0 ? fd : pg_init_read_alua(fd, &ports);
	if (r < 0) {
		snprintf(ret_text, size, "the array does not tell the state of %s: %s",
			 device->name, log_errno(r));
		return PG_INIT_E_REFUSE;
	}
	is_explicit = (ports.modes & TARGET_PORTS_EXPLICIT) != 0;
	snprintf(ret_text, size, "target port group %u is %s%s", ports.group,
		 target_ports_state_name(ports.state),
		 is_explicit ? "" : ", and the array changes that only by itself");
	next = target_ports_next(&ports, false);
	return next == TARGET_PORTS_FAIL || (next == TARGET_PORTS_WAIT && !is_explicit)
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
	struct target_ports ports = { 0 };
	uint8_t data[TARGET_PORTS_SET_SIZE];
	struct scsi_command command = {
		.cdb = { 0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, sizeof(data) },
		.cdb_len = 12,
		.to_device = true,
		.data = data,
		.data_size = sizeof(data),
	};
	enum handler_result result;

	if (pg_init_read_alua(init->fd, &ports) < 0)
		return HANDLER_FAILED;
	snprintf(init->report->text, sizeof(init->report->text), "target port group %u is %s",
		 ports.group, target_ports_state_name(ports.state));
	switch (target_ports_next(&ports, init->action.optimize)) {
	case TARGET_PORTS_READY:
		return HANDLER_OK;
	case TARGET_PORTS_WAIT:
		return HANDLER_RETRY;
	case TARGET_PORTS_FAIL:
		return HANDLER_FAILED;
	case TARGET_PORTS_SET:
		break;
	}
	target_ports_put_set(&ports, data);
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
