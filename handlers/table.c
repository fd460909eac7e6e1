/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/table.h"

#include <errno.h>
#include <stdlib.h>

#include "handlers/sense.h"

#define NOTHING	  0
#define FAIL_PATH HANDLER_FAIL_PATH
#define ERROR_IO  HANDLER_ERROR_IO

#define TABLE_N(rows) (sizeof(rows) / sizeof((rows)[0]))

/* The default of the 2005 design. There it stood in a disabled block, so that every error failed
 * the path; here it is in force. */
static const struct table_row table_unit_attention[] = {
	{ TABLE_KEY(SENSE_UNIT_ATTENTION),
	  0x04,
	  0x01,
	  { NOTHING, "unit attention: becoming ready" } },
};

static const struct handler_verdict table_keys[16] = {
	[SENSE_NO_SENSE] = { NOTHING, "no sense: nothing wrong" },
	[SENSE_RECOVERED_ERROR] = { NOTHING, "recovered error: the data is good" },
	[SENSE_NOT_READY] = { FAIL_PATH, "not ready" },
	[SENSE_MEDIUM_ERROR] = { ERROR_IO, "medium error: the same on every path" },
	[SENSE_HARDWARE_ERROR] = { FAIL_PATH, "hardware error" },
	[SENSE_ILLEGAL_REQUEST] = { ERROR_IO, "illegal request: the same on every path" },
	[SENSE_UNIT_ATTENTION] = { FAIL_PATH, "unit attention" },
	[SENSE_DATA_PROTECT] = { ERROR_IO, "data protect: the same on every path" },
	[SENSE_BLANK_CHECK] = { ERROR_IO, "blank check: the same on every path" },
	[SENSE_VENDOR_SPECIFIC] = { FAIL_PATH, "vendor specific sense key" },
	[SENSE_COPY_ABORTED] = { ERROR_IO, "copy aborted: the same on every path" },
	[SENSE_ABORTED_COMMAND] = { FAIL_PATH, "aborted command" },
	[0xc] = { ERROR_IO, "reserved sense key Ch" },
	[SENSE_VOLUME_OVERFLOW] = { ERROR_IO, "volume overflow: the same on every path" },
	[SENSE_MISCOMPARE] = { ERROR_IO, "miscompare: the same on every path" },
	[SENSE_COMPLETED] = { ERROR_IO, "completed with sense" },
};

struct table_number {
	int number;
	struct handler_verdict verdict;
};

/* blk_path_error, include/linux/blk_types.h, 6.1 to 7.2: these say nothing against the path. */
static const struct table_number table_errnos[] = {
	{ EOPNOTSUPP, { ERROR_IO, "EOPNOTSUPP: operation not supported on any path" } },
	{ ENOSPC, { ERROR_IO, "ENOSPC: no space in the device" } },
	{ EREMOTEIO, { ERROR_IO, "EREMOTEIO: the target refused it" } },
	{ EBADE, { ERROR_IO, "EBADE: reservation conflict" } },
	{ ENODATA, { ERROR_IO, "ENODATA: the medium is bad on every path" } },
	{ EILSEQ, { ERROR_IO, "EILSEQ: protection information does not match" } },
	{ ETIMEDOUT, { FAIL_PATH, "ETIMEDOUT: no answer on this path" } },
	{ ENOLINK, { FAIL_PATH, "ENOLINK: transport failure" } },
	{ EIO, { FAIL_PATH, "EIO: path error unless sense says otherwise" } },
	{ ENODEV, { FAIL_PATH, "ENODEV: the path's device is offline" } },
};

/* Host bytes: include/scsi/scsi_status.h, Linux 6.12. What the midlayer retries by itself is
 * nothing yet. */
static const struct table_number table_hosts[] = {
	{ 0x01, { FAIL_PATH, "DID_NO_CONNECT: no connection" } },
	{ 0x02, { FAIL_PATH, "DID_BUS_BUSY: bus stayed busy" } },
	{ 0x03, { FAIL_PATH, "DID_TIME_OUT: no answer" } },
	{ 0x04, { FAIL_PATH, "DID_BAD_TARGET: no such target" } },
	{ 0x05, { FAIL_PATH, "DID_ABORT: aborted" } },
	{ 0x06, { FAIL_PATH, "DID_PARITY: parity error" } },
	{ 0x07, { FAIL_PATH, "DID_ERROR: internal error" } },
	{ 0x08, { FAIL_PATH, "DID_RESET: reset" } },
	{ 0x09, { FAIL_PATH, "DID_BAD_INTR: unexpected interrupt" } },
	{ 0x0a, { NOTHING, "DID_PASSTHROUGH: the sender judges" } },
	{ 0x0b, { NOTHING, "DID_SOFT_ERROR: retried by the kernel" } },
	{ 0x0c, { NOTHING, "DID_IMM_RETRY: retried by the kernel" } },
	{ 0x0d, { NOTHING, "DID_REQUEUE: retried by the kernel" } },
	{ 0x0e, { FAIL_PATH, "DID_TRANSPORT_DISRUPTED: transport disrupted" } },
	{ 0x0f, { FAIL_PATH, "DID_TRANSPORT_FAILFAST: transport is down" } },
	{ 0x10, { ERROR_IO, "DID_TARGET_FAILURE: the same on every path" } },
	{ 0x11, { ERROR_IO, "DID_NEXUS_FAILURE: reservation conflict" } },
	{ 0x12, { ERROR_IO, "DID_ALLOC_FAILURE: no space in the device" } },
	{ 0x13, { ERROR_IO, "DID_MEDIUM_ERROR: the same on every path" } },
	{ 0x14, { FAIL_PATH, "DID_TRANSPORT_MARGINAL: the path is marginal" } },
};

/* SAM-6 section 5.3.1. */
static const struct table_number table_statuses[] = {
	{ 0x00, { NOTHING, "good" } },
	{ 0x02, { FAIL_PATH, "check condition without sense data" } },
	{ 0x04, { NOTHING, "condition met" } },
	{ 0x08, { NOTHING, "busy: retried by the kernel" } },
	{ 0x18, { ERROR_IO, "reservation conflict" } },
	{ 0x28, { NOTHING, "task set full: retried by the kernel" } },
	{ 0x30, { FAIL_PATH, "ACA active" } },
	{ 0x40, { FAIL_PATH, "task aborted" } },
};

/* NVM Express Base 2.0 section 3.3.3.2.1; what is a path error: nvme_error_status with
 * blk_path_error, drivers/nvme/host/core.c, Linux 6.12. All of type 3 is (nvme_is_path_error). */
static const struct table_number table_nvme[] = {
	{ 0x000, { NOTHING, "successful completion" } },
	{ 0x001, { ERROR_IO, "invalid command opcode" } },
	{ 0x002, { ERROR_IO, "invalid field in command" } },
	{ 0x004, { FAIL_PATH, "data transfer error" } },
	{ 0x005, { FAIL_PATH, "aborted: power loss" } },
	{ 0x006, { FAIL_PATH, "internal error of the controller" } },
	{ 0x007, { FAIL_PATH, "abort requested" } },
	{ 0x008, { FAIL_PATH, "aborted: queue deleted" } },
	{ 0x00b, { ERROR_IO, "invalid namespace or format" } },
	{ 0x021, { ERROR_IO, "command interrupted" } },
	{ 0x080, { ERROR_IO, "LBA out of range" } },
	{ 0x081, { ERROR_IO, "capacity exceeded" } },
	{ 0x082, { ERROR_IO, "namespace not ready" } },
	{ 0x083, { ERROR_IO, "reservation conflict" } },
	{ 0x180, { ERROR_IO, "conflicting attributes" } },
	{ 0x181, { ERROR_IO, "invalid protection information" } },
	{ 0x182, { ERROR_IO, "write to a read-only range" } },
	{ 0x183, { ERROR_IO, "optional command not supported" } },
	{ 0x280, { ERROR_IO, "write fault: the same on every path" } },
	{ 0x281, { ERROR_IO, "unrecovered read error: the same on every path" } },
	{ 0x282, { ERROR_IO, "end-to-end guard check failed" } },
	{ 0x283, { ERROR_IO, "end-to-end application tag check failed" } },
	{ 0x284, { ERROR_IO, "end-to-end reference tag check failed" } },
	{ 0x285, { ERROR_IO, "compare failed" } },
	{ 0x286, { ERROR_IO, "access denied" } },
	{ 0x287, { ERROR_IO, "deallocated or unwritten block" } },
	{ 0x300, { FAIL_PATH, "internal path error" } },
	{ 0x301, { FAIL_PATH, "ANA: persistent loss" } },
	{ 0x302, { FAIL_PATH, "ANA: inaccessible" } },
	{ 0x303, { FAIL_PATH, "ANA: transition" } },
	{ 0x360, { FAIL_PATH, "controller pathing error" } },
	{ 0x370, { FAIL_PATH, "host pathing error" } },
	{ 0x371, { FAIL_PATH, "aborted by the host" } },
};
#define TABLE_NVME_STATUS 0x7ff

static const struct handler_verdict table_unknown_errno = { FAIL_PATH, "an errno that says nothing "
								       "else: path error" };
static const struct handler_verdict table_unknown_host = { FAIL_PATH, "unknown host byte" };
static const struct handler_verdict table_unknown_status = { FAIL_PATH, "unknown status" };
static const struct handler_verdict table_unknown_nvme = { FAIL_PATH,
							   "NVMe status that says nothing "
							   "else: path error" };
static const struct handler_verdict table_undecodable = { FAIL_PATH,
							  "sense data that can't be decoded" };

static const struct handler_verdict *table_find(const struct table_number *rows, size_t n_rows,
						int number, const struct handler_verdict *other)
{
	for (size_t i = 0; i < n_rows; i++) {
		if (rows[i].number == number)
			return &rows[i].verdict;
	}
	return other;
}

static const struct handler_verdict *table_find_sense(const struct table_row *rows, size_t n_rows,
						      const struct handler_error *error)
{
	for (size_t i = 0; i < n_rows; i++) {
		if ((rows[i].keys & TABLE_KEY(error->sense_key & 0x0f)) &&
		    (rows[i].asc == TABLE_ANY || rows[i].asc == error->asc) &&
		    (rows[i].ascq == TABLE_ANY || rows[i].ascq == error->ascq))
			return &rows[i].verdict;
	}
	return NULL;
}

static const struct handler_verdict *table_judge_sense(const struct table_row *rows, size_t n_rows,
						       const struct handler_error *error)
{
	const struct handler_verdict *verdict = table_find_sense(rows, n_rows, error);

	if (verdict == NULL)
		verdict = table_find_sense(table_unit_attention, TABLE_N(table_unit_attention),
					   error);
	return verdict != NULL ? verdict : &table_keys[error->sense_key & 0x0f];
}

static const struct handler_verdict *table_judge_status(const struct handler_error *error)
{
	if (error->host_byte != 0)
		return table_find(table_hosts, TABLE_N(table_hosts), error->host_byte,
				  &table_unknown_host);
	return table_find(table_statuses, TABLE_N(table_statuses), error->status,
			  &table_unknown_status);
}

void table_judge(const struct table_row *rows, size_t n_rows, const struct handler_error *error,
		 struct handler_verdict *ret_verdict)
{
	switch (error->source) {
	case HANDLER_FROM_SENSE:
		*ret_verdict = *table_judge_sense(rows, n_rows, error);
		break;
	case HANDLER_FROM_STATUS:
		*ret_verdict = *table_judge_status(error);
		break;
	case HANDLER_FROM_NVME:
		*ret_verdict =
			*table_find(table_nvme, TABLE_N(table_nvme),
				    error->nvme_status & TABLE_NVME_STATUS, &table_unknown_nvme);
		break;
	case HANDLER_FROM_ERRNO:
		*ret_verdict = *table_find(table_errnos, TABLE_N(table_errnos),
					   error->error == INT32_MIN ? 0 : abs(error->error),
					   &table_unknown_errno);
		break;
	default:
		*ret_verdict = table_undecodable;
		break;
	}
}
