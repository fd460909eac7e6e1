/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/choose.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/hctl.h"

/* scsi_dh_blist, drivers/scsi/scsi_dh.c, Linux 6.12: prefixes of the INQUIRY texts. */
static const struct choose_row {
	const char *vendor, *model, *handler;
} choose_rows[] = {
	{ "DGC", "RAID", "emc" },
	{ "DGC", "DISK", "emc" },
	{ "DGC", "VRAID", "emc" },
	{ "COMPAQ", "MSA1000 VOLUME", "hp_sw" },
	{ "COMPAQ", "HSV110", "hp_sw" },
	{ "HP", "HSV100", "hp_sw" },
	{ "DEC", "HSG80", "hp_sw" },
	{ "IBM", "1722", "rdac" },
	{ "IBM", "1724", "rdac" },
	{ "IBM", "1726", "rdac" },
	{ "IBM", "1742", "rdac" },
	{ "IBM", "1745", "rdac" },
	{ "IBM", "1746", "rdac" },
	{ "IBM", "1813", "rdac" },
	{ "IBM", "1814", "rdac" },
	{ "IBM", "1815", "rdac" },
	{ "IBM", "1818", "rdac" },
	{ "IBM", "3526", "rdac" },
	{ "IBM", "3542", "rdac" },
	{ "IBM", "3552", "rdac" },
	{ "SGI", "TP9300", "rdac" },
	{ "SGI", "TP9400", "rdac" },
	{ "SGI", "TP9500", "rdac" },
	{ "SGI", "TP9700", "rdac" },
	{ "SGI", "IS", "rdac" },
	{ "STK", "OPENstorage", "rdac" },
	{ "STK", "FLEXLINE 380", "rdac" },
	{ "STK", "BladeCtlr", "rdac" },
	{ "SUN", "CSM", "rdac" },
	{ "SUN", "LCSM100", "rdac" },
	{ "SUN", "STK6580_6780", "rdac" },
	{ "SUN", "SUN_6180", "rdac" },
	{ "SUN", "ArrayStorage", "rdac" },
	{ "DELL", "MD3", "rdac" },
	{ "NETAPP", "INF-01-00", "rdac" },
	{ "LSI", "INF-01-00", "rdac" },
	{ "ENGENIO", "INF-01-00", "rdac" },
	{ "LENOVO", "DE_Series", "rdac" },
	{ "FUJITSU", "ETERNUS_AHB", "rdac" },
};

/* The vendor is the whole text, the model a prefix. */
static bool choose_matches(const struct choose_row *row, const char *vendor, const char *model)
{
	size_t len = strlen(row->vendor);

	return strncmp(vendor, row->vendor, len) == 0 &&
	       vendor[len + strspn(vendor + len, " ")] == '\0' &&
	       strncmp(model, row->model, strlen(row->model)) == 0;
}

const char *choose_by_model(const char *vendor, const char *model)
{
	for (size_t i = 0; i < sizeof(choose_rows) / sizeof(choose_rows[0]); i++) {
		if (choose_matches(&choose_rows[i], vendor != NULL ? vendor : "",
				   model != NULL ? model : ""))
			return choose_rows[i].handler;
	}
	return NULL;
}

/* "detached" and what we have no type for come back as "none". */
static const struct handler_type *choose_attached(const char *sysfs_path, const char *address)
{
	char path[256], name[32] = "";
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/bus/scsi/devices/%s/dh_state", sysfs_path, address);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, name, sizeof(name) - 1);
		close(fd);
	}
	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	return handlers_builtin(name);
}

const struct handler_type *choose_handler(const char *sysfs_path,
					  const Pathbell__V1__Subject *subject)
{
	const struct handler_type *type, *none = handlers_builtin("none");
	const char *by_model;

	if (subject->type == PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_NVME_NAMESPACE ||
	    (subject->name != NULL && strncmp(subject->name, "nvme", 4) == 0))
		return handlers_builtin("nvme");
	if (subject->bus_address == NULL || !hctl_is_valid(subject->bus_address))
		return none;
	type = choose_attached(sysfs_path, subject->bus_address);
	if (type != none)
		return type;
	by_model = choose_by_model(subject->vendor, subject->model);
	return handlers_builtin(by_model != NULL ? by_model : "scsi");
}

void choose_fill(const struct handler_type *type, const struct handler_error *error,
		 Pathbell__V1__ErrorVerdict *ret_verdict)
{
	struct handler_verdict verdict;

	type->error(error, &verdict);
	pathbell__v1__error_verdict__init(ret_verdict);
	ret_verdict->handler = (char *)type->name;
	ret_verdict->fail_path = verdict.flags & HANDLER_FAIL_PATH;
	ret_verdict->bypass_group = verdict.flags & HANDLER_BYPASS_PG;
	ret_verdict->error_io = verdict.flags & HANDLER_ERROR_IO;
	ret_verdict->reason = (char *)verdict.reason;
}

void choose_judge_errno(const char *sysfs_path, const Pathbell__V1__Subject *subject, int error,
			Pathbell__V1__ErrorVerdict *ret_verdict)
{
	const struct handler_error what = { .source = HANDLER_FROM_ERRNO, .error = error };

	choose_fill(choose_handler(sysfs_path, subject), &what, ret_verdict);
}
