/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/block/decode.h"

#include <errno.h>
#include <string.h>

/* dev_t inside the kernel: MINORBITS of include/linux/kdev_t.h, 5.10 to 6.18; not the encoding of
 * st_rdev. */
#define BLOCK_MINOR_BITS 20

#define BLOCK_CLASS(x)	   PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_##x
#define BLOCK_OPERATION(x) PATHBELL__V1__BLOCK_OPERATION__BLOCK_OPERATION_##x
#define BLOCK_SEVERITY(x)  PATHBELL__V1__SEVERITY__SEVERITY_##x

/*
 * The inverse of blk_errors[] in block/blk-core.c. The table is one to one, so errno gives the
 * status back; compared in 5.10, 6.1, 6.12 and 7.2. Status numbers moved between them, errno did
 * not. EIO is also what the kernel uses for a status outside the table.
 */
static const struct block_row {
	int error;
	Pathbell__V1__BlockErrorClass error_class;
	Pathbell__V1__Severity severity;
	const char *name;
} block_rows[] = {
	{ EIO, BLOCK_CLASS(IO), BLOCK_SEVERITY(ERROR), "EIO" },
	{ ENODATA, BLOCK_CLASS(CRITICAL_MEDIUM), BLOCK_SEVERITY(ERROR), "ENODATA" },
	{ EREMOTEIO, BLOCK_CLASS(CRITICAL_TARGET), BLOCK_SEVERITY(ERROR), "EREMOTEIO" },
	{ ENOLINK, BLOCK_CLASS(RECOVERABLE_TRANSPORT), BLOCK_SEVERITY(ERROR), "ENOLINK" },
	{ ETIMEDOUT, BLOCK_CLASS(TIMEOUT), BLOCK_SEVERITY(ERROR), "ETIMEDOUT" },
	{ EILSEQ, BLOCK_CLASS(PROTECTION), BLOCK_SEVERITY(ERROR), "EILSEQ" },
	{ EBADE, BLOCK_CLASS(CRITICAL_NEXUS), BLOCK_SEVERITY(WARNING), "EBADE" },
	{ ENOSPC, BLOCK_CLASS(NO_SPACE), BLOCK_SEVERITY(WARNING), "ENOSPC" },
	{ ENOMEM, BLOCK_CLASS(KERNEL_RESOURCE), BLOCK_SEVERITY(WARNING), "ENOMEM" },
	{ EBUSY, BLOCK_CLASS(DEVICE_RESOURCE), BLOCK_SEVERITY(WARNING), "EBUSY" },
	{ EOPNOTSUPP, BLOCK_CLASS(NOT_SUPPORTED), BLOCK_SEVERITY(NOTICE), "EOPNOTSUPP" },
	{ EREMCHG, BLOCK_CLASS(DM_REQUEUE), BLOCK_SEVERITY(NOTICE), "EREMCHG" },
	{ EAGAIN, BLOCK_CLASS(AGAIN), BLOCK_SEVERITY(NOTICE), "EAGAIN" },
	{ ETOOMANYREFS, BLOCK_CLASS(ZONE_OPEN_RESOURCE), BLOCK_SEVERITY(WARNING), "ETOOMANYREFS" },
	{ EOVERFLOW, BLOCK_CLASS(ZONE_ACTIVE_RESOURCE), BLOCK_SEVERITY(WARNING), "EOVERFLOW" },
	{ ENODEV, BLOCK_CLASS(OFFLINE), BLOCK_SEVERITY(ERROR), "ENODEV" },
	{ ETIME, BLOCK_CLASS(DURATION_LIMIT), BLOCK_SEVERITY(ERROR), "ETIME" },
	{ EINVAL, BLOCK_CLASS(INVALID), BLOCK_SEVERITY(NOTICE), "EINVAL" },
};

#define BLOCK_N_ROWS (sizeof(block_rows) / sizeof(block_rows[0]))

static const struct block_row *block_find(int32_t error)
{
	for (size_t i = 0; i < BLOCK_N_ROWS; i++) {
		if (block_rows[i].error == -(int64_t)error)
			return &block_rows[i];
	}
	return NULL;
}

Pathbell__V1__BlockErrorClass block_class(int32_t error)
{
	const struct block_row *row = block_find(error);

	/* 0: a status without a row in the kernel's own table. */
	if (error == 0)
		return BLOCK_CLASS(UNSPECIFIED);
	return row != NULL ? row->error_class : BLOCK_CLASS(OTHER);
}

int32_t block_class_error(Pathbell__V1__BlockErrorClass error_class)
{
	for (size_t i = 0; i < BLOCK_N_ROWS; i++) {
		if (block_rows[i].error_class == error_class)
			return -block_rows[i].error;
	}
	return 0;
}

Pathbell__V1__Severity block_severity(Pathbell__V1__BlockErrorClass error_class)
{
	for (size_t i = 0; i < BLOCK_N_ROWS; i++) {
		if (block_rows[i].error_class == error_class)
			return block_rows[i].severity;
	}
	return BLOCK_SEVERITY(ERROR);
}

/* blk_fill_rwbs in kernel/trace/blktrace.c, 6.1 and 6.12: [F]operation[F][A][S][M]; a leading F is
 * preflush. */
Pathbell__V1__BlockOperation block_operation(const char *rwbs)
{
	if (rwbs[0] == 'F' && rwbs[1] != '\0' && strchr("RWDFNZ", rwbs[1]) != NULL)
		rwbs++;
	switch (rwbs[0]) {
	case 'R':
		return BLOCK_OPERATION(READ);
	case 'W':
		return BLOCK_OPERATION(WRITE);
	case 'F':
		return BLOCK_OPERATION(FLUSH);
	case 'D':
		return rwbs[1] == 'E' ? BLOCK_OPERATION(SECURE_ERASE) : BLOCK_OPERATION(DISCARD);
	case 'Z':
		return BLOCK_OPERATION(ZONE);
	case '\0':
		return BLOCK_OPERATION(UNSPECIFIED);
	default:
		return BLOCK_OPERATION(OTHER);
	}
}

static int block_need(const struct format *format, const char *name, size_t min_size,
		      struct format_field *ret_field, struct errmsg *err)
{
	const struct format_field *field = format_find(format, name);

	if (field == NULL || field->kind != FORMAT_PLAIN || field->size < min_size) {
		errmsg_set(err, "trace event %s has no field %s as expected", format->event, name);
		return -EBADMSG;
	}
	*ret_field = *field;
	return 0;
}

int block_decoder_init(struct block_decoder *decoder, const struct format *format,
		       struct errmsg *err)
{
	const struct format_field *ioprio = format_find(format, "ioprio");

	*decoder = (struct block_decoder){ .type = (uint16_t)format->id };
	if (block_need(format, FORMAT_COMMON_TYPE, 2, &decoder->common_type, err) < 0 ||
	    block_need(format, "dev", 4, &decoder->dev, err) < 0 ||
	    block_need(format, "sector", 4, &decoder->sector, err) < 0 ||
	    block_need(format, "nr_sector", 4, &decoder->nr_sector, err) < 0 ||
	    block_need(format, "error", 4, &decoder->error, err) < 0 ||
	    block_need(format, "rwbs", 1, &decoder->rwbs, err) < 0)
		return -EBADMSG;
	if (ioprio != NULL)
		decoder->ioprio = *ioprio;
	return 0;
}

int block_decode(const struct block_decoder *decoder, const void *data, size_t size,
		 struct block_record *ret_record)
{
	uint64_t type, dev, sector, n_sectors, ioprio = 0;
	int64_t error;

	if (!format_uint(&decoder->common_type, data, size, &type))
		return -EBADMSG;
	if (type != decoder->type)
		return BLOCK_E_OTHER_EVENT;
	if (!format_uint(&decoder->dev, data, size, &dev) ||
	    !format_uint(&decoder->sector, data, size, &sector) ||
	    !format_uint(&decoder->nr_sector, data, size, &n_sectors) ||
	    !format_int(&decoder->error, data, size, &error) ||
	    !format_string(&decoder->rwbs, data, size, ret_record->rwbs, sizeof(ret_record->rwbs)))
		return -EBADMSG;
	if (decoder->ioprio.size != 0 && !format_uint(&decoder->ioprio, data, size, &ioprio))
		return -EBADMSG;
	ret_record->major = (uint32_t)(dev >> BLOCK_MINOR_BITS);
	ret_record->minor = (uint32_t)dev & ((1U << BLOCK_MINOR_BITS) - 1);
	ret_record->sector = sector;
	ret_record->n_sectors = (uint32_t)n_sectors;
	ret_record->error = (int32_t)error;
	ret_record->ioprio = (uint32_t)ioprio;
	/* The letters come from kernel memory that a module may have filled: protobuf wants UTF-8.
	 */
	for (char *c = ret_record->rwbs; *c != '\0'; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
	return 0;
}

void block_describe(const struct block_record *record, Pathbell__V1__BlockError *ret_error)
{
	const struct block_row *row = block_find(record->error);
	const char *name = row != NULL ? row->name : NULL;

	if (name == NULL && record->error < 0 && record->error > INT32_MIN)
		name = strerrorname_np(-record->error);
	pathbell__v1__block_error__init(ret_error);
	ret_error->error_class = block_class(record->error);
	ret_error->error_number = record->error;
	/* OpenTelemetry semantic conventions, error.type: _OTHER where no better value is known. */
	ret_error->error_type = (char *)(name != NULL ? name : "_OTHER");
	ret_error->sector = record->sector;
	ret_error->sector_count = record->n_sectors;
	ret_error->operation = block_operation(record->rwbs);
	ret_error->rwbs = (char *)record->rwbs;
	ret_error->io_priority = record->ioprio;
}
