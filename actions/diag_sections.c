/* SPDX-License-Identifier: Apache-2.0 */
#include "actions/diag_sections.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/fd.h"
#include "core/file.h"
#include "core/log.h"
#include "mapper/dm.h"

#define DIAG_MAX_ENTRIES 4096 /* of one folder */
#define DIAG_MAX_MAPS	 512

struct diag_folder {
	struct sheet *sheet;
	const char *const *attributes; /* NULL-terminated */
	unsigned n;
};

static void diag_attribute(struct sheet *sheet, const char *dir, const char *name)
{
	char path[768], line[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (file_read_line(AT_FDCWD, path, line, sizeof(line)) == 0 && line[0])
		sheet_print(sheet, " %s=\"%s\"", name, line);
}

static bool diag_entry(void *data, const char *path, const char *name)
{
	struct diag_folder *folder = data;
	char dir[512];

	if (snprintf(dir, sizeof(dir), "%s/%s", path, name) >= (int)sizeof(dir))
		return false;
	sheet_print(folder->sheet, "%s", name);
	for (size_t i = 0; folder->attributes[i]; i++)
		diag_attribute(folder->sheet, dir, folder->attributes[i]);
	sheet_print(folder->sheet, "\n");
	return ++folder->n == DIAG_MAX_ENTRIES;
}

/* One line for each entry of a folder of sysfs. */
static void diag_folder(const struct action_host *host, const char *name,
			const char *const *attributes, struct sheet *sheet)
{
	struct diag_folder folder = { .sheet = sheet, .attributes = attributes };
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", host->sysfs, name);
	if (file_any(path, diag_entry, &folder))
		sheet_print(sheet, "[more than %d]\n", DIAG_MAX_ENTRIES);
}

void diag_kernel(const struct action_host *host, struct sheet *sheet)
{
	static const char *const names[] = { "uptime", "loadavg", "sys/kernel/tainted" };
	const char *proc = host->proc ? host->proc : "/proc";
	struct utsname name;
	char path[256], line[256];

	if (uname(&name) == 0)
		sheet_print(sheet, "%s %s %s\n", name.release, name.version, name.machine);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", proc, names[i]);
		if (file_read_line(AT_FDCWD, path, line, sizeof(line)) == 0)
			sheet_print(sheet, "%s %s\n", names[i], line);
	}
}

void diag_block(const struct action_host *host, struct sheet *sheet)
{
	static const char *const attributes[] = {
		"dev",	    "diskseq",	    "size",	    "ro",	   "removable",
		"inflight", "device/state", "device/model", "device/wwid", "wwid",
		"dm/name",  "dm/uuid",	    "dm/suspended", NULL
	};

	diag_folder(host, "block", attributes, sheet);
}

void diag_scsi(const struct action_host *host, struct sheet *sheet)
{
	static const char *const scsi[] = { "proc_name", "state", "host_busy", NULL };
	static const char *const fc[] = { "port_name", "port_state", "speed", "fabric_name", NULL };
	static const char *const rport[] = { "port_name", "port_state", "roles", NULL };

	diag_folder(host, "class/scsi_host", scsi, sheet);
	diag_folder(host, "class/fc_host", fc, sheet);
	diag_folder(host, "class/fc_remote_ports", rport, sheet);
}

void diag_nvme(const struct action_host *host, struct sheet *sheet)
{
	static const char *const controller[] = {
		"state",	"transport", "address",		"subsysnqn", "model",
		"firmware_rev", "cntrltype", "ctrl_loss_tmo",	"kato",	     "queue_count",
		"sqsize",	"numa_node", "reconnect_delay", NULL
	};
	static const char *const subsystem[] = { "subsysnqn", "iopolicy", "model", "subsystype",
						 NULL };

	diag_folder(host, "class/nvme", controller, sheet);
	diag_folder(host, "class/nvme-subsystem", subsystem, sheet);
}

static void diag_map(int fd, struct dm_buffer *buffer, const struct dm_entry *entry,
		     struct sheet *sheet)
{
	struct dm_status status;

	for (int table = 0; table < 2; table++) {
		if (dm_table_status(fd, buffer, entry->major, entry->minor, table, &status) ||
		    strcmp(status.target, "multipath") != 0)
			return;
		if (!table)
			sheet_print(sheet, "%s uuid=\"%s\" dev=%u:%u suspended=%d event_nr=%u\n",
				    status.name, status.uuid, entry->major, entry->minor,
				    status.suspended, entry->event_nr);
		sheet_print(sheet, "  %s: %s\n", table ? "table" : "status", status.text);
	}
}

void diag_maps(const struct action_host *host, struct sheet *sheet)
{
	struct dm_buffer list = { 0 }, buffer = { 0 };
	struct dm_entry entry;
	size_t offset = 0, n = 0;
	_cleanup_fd_ int fd = dm_is_present() ? dm_open() : -1;
	int r;

	if (fd < 0) {
		sheet_print(sheet, "device-mapper is not there\n");
		return;
	}
	r = dm_list(fd, &list);
	if (r)
		sheet_print(sheet, "cannot list maps: %s\n", log_errno(r));
	while (r == 0 && n++ < DIAG_MAX_MAPS && dm_list_next(&list, &offset, &entry))
		diag_map(fd, &buffer, &entry, sheet);
	dm_buffer_free(&list);
	dm_buffer_free(&buffer);
}

/*
 * mountinfo (proc_pid_mountinfo(5)): id parent major:minor root place options ... - type source
 * super-options. Options are left out: some file systems put names of users there.
 */
static void diag_mount(char *line, struct sheet *sheet)
{
	char dev[32], place[1024], type[64], source[1024];
	char *dash = strstr(line, " - ");

	if (!dash || sscanf(line, "%*u %*u %31s %*s %1023s", dev, place) != 2 ||
	    sscanf(dash + 3, "%63s %1023s", type, source) != 2)
		return;
	sheet_print(sheet, "%s %s %s %s\n", dev, type, source, place);
}

void diag_mounts(const struct action_host *host, struct sheet *sheet)
{
	char path[256], line[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/self/mountinfo", host->proc ? host->proc : "/proc");
	file = fopen(path, "re");
	if (!file)
		return;
	for (unsigned n = 0; n < DIAG_MAX_ENTRIES && fgets(line, sizeof(line), file); n++)
		diag_mount(line, sheet);
	fclose(file);
}
