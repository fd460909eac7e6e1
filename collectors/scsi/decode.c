/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/scsi/decode.h"

#include <errno.h>
#include <string.h>

#include "core/hctl.h"
#include "handlers/sense.h"

#define SEVERITY(x) PATHBELL__V1__SEVERITY__SEVERITY_##x

#define SCSI_CHECK_CONDITION 0x02 /* SAM-6 5.3.1 */
#define SCSI_DID_TIME_OUT    0x03 /* include/scsi/scsi_status.h, Linux 6.12 */

static int scsi_need(const struct format *format, const char *name, struct format_field *ret_field,
		     struct errmsg *err)
{
	const struct format_field *field = format_find(format, name);

	if (field == NULL || field->kind != FORMAT_PLAIN || field->size < 2) {
		errmsg_set(err, "trace event %s has no field %s as expected", format->event, name);
		return -EBADMSG;
	}
	*ret_field = *field;
	return 0;
}

static void scsi_want(const struct format *format, const char *name, struct format_field *ret_field)
{
	const struct format_field *field = format_find(format, name);

	if (field != NULL)
		*ret_field = *field;
}

int scsi_decoder_init(struct scsi_decoder *decoder, const struct format *format, struct errmsg *err)
{
	*decoder = (struct scsi_decoder){ .type = (uint16_t)format->id };
	if (scsi_need(format, FORMAT_COMMON_TYPE, &decoder->common_type, err) < 0 ||
	    scsi_need(format, "host_no", &decoder->host, err) < 0 ||
	    scsi_need(format, "channel", &decoder->channel, err) < 0 ||
	    scsi_need(format, "id", &decoder->id, err) < 0 ||
	    scsi_need(format, "lun", &decoder->lun, err) < 0 ||
	    scsi_need(format, "result", &decoder->result, err) < 0 ||
	    scsi_need(format, "opcode", &decoder->opcode, err) < 0)
		return -EBADMSG;
	scsi_want(format, "cmnd", &decoder->cdb);
	scsi_want(format, "sense_key", &decoder->sense_key);
	scsi_want(format, "asc", &decoder->asc);
	scsi_want(format, "ascq", &decoder->ascq);
	return 0;
}

static bool scsi_take(const struct format_field *field, const void *data, size_t size,
		      uint32_t *ret_value)
{
	uint64_t value;

	if (!format_uint(field, data, size, &value))
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

static int scsi_decode_sense(const struct scsi_decoder *decoder, const void *data, size_t size,
			     struct scsi_record *record)
{
	uint32_t key, asc, ascq;

	if (decoder->sense_key.size == 0 || decoder->asc.size == 0 || decoder->ascq.size == 0)
		return 0;
	if (!scsi_take(&decoder->sense_key, data, size, &key) ||
	    !scsi_take(&decoder->asc, data, size, &asc) ||
	    !scsi_take(&decoder->ascq, data, size, &ascq))
		return -EBADMSG;
	record->tells_sense = true;
	/* The kernel writes zeros where there is no valid sense data. */
	record->sense_valid = (key | asc | ascq) != 0;
	record->sense_key = key & 0x0f;
	record->asc = (uint8_t)asc;
	record->ascq = (uint8_t)ascq;
	return 0;
}

int scsi_decode(const struct scsi_decoder *decoder, const void *data, size_t size,
		struct scsi_record *ret_record)
{
	struct scsi_record record = { 0 };
	const uint8_t *cdb;
	uint32_t type, result;
	size_t cdb_size;

	if (!scsi_take(&decoder->common_type, data, size, &type))
		return -EBADMSG;
	if ((uint16_t)type != decoder->type)
		return SCSI_E_OTHER_EVENT;
	if (!scsi_take(&decoder->host, data, size, &record.host) ||
	    !scsi_take(&decoder->channel, data, size, &record.channel) ||
	    !scsi_take(&decoder->id, data, size, &record.id) ||
	    !scsi_take(&decoder->lun, data, size, &record.lun) ||
	    !scsi_take(&decoder->result, data, size, &result) ||
	    !scsi_take(&decoder->opcode, data, size, &record.opcode) ||
	    scsi_decode_sense(decoder, data, size, &record) < 0)
		return -EBADMSG;
	record.status = result & 0xff;
	record.host_byte = result >> 16 & 0xff;
	record.driver_byte = result >> 24 & 0xff;
	if (decoder->cdb.size != 0 && format_bytes(&decoder->cdb, data, size, &cdb, &cdb_size))
		scsi_decode_cdb(cdb, cdb_size, &record.lba, &record.length);
	*ret_record = record;
	return 0;
}

static uint64_t scsi_be(const uint8_t *data, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | data[i];
	return value;
}

/* SBC-4 section 5: where READ, WRITE, VERIFY and their kin keep address and length. */
static const struct {
	uint8_t opcode, size, lba, n_lba, length, n_length;
} scsi_cdbs[] = {
	{ 0x28, 10, 2, 4, 7, 2 },   { 0x2a, 10, 2, 4, 7, 2 },  { 0x2e, 10, 2, 4, 7, 2 },
	{ 0x2f, 10, 2, 4, 7, 2 },   { 0x35, 10, 2, 4, 7, 2 },  { 0x41, 10, 2, 4, 7, 2 },
	{ 0x88, 16, 2, 8, 10, 4 },  { 0x8a, 16, 2, 8, 10, 4 }, { 0x8e, 16, 2, 8, 10, 4 },
	{ 0x8f, 16, 2, 8, 10, 4 },  { 0x91, 16, 2, 8, 10, 4 }, { 0x93, 16, 2, 8, 10, 4 },
	{ 0xa8, 12, 2, 4, 6, 4 },   { 0xaa, 12, 2, 4, 6, 4 },  { 0xae, 12, 2, 4, 6, 4 },
	{ 0x7f, 32, 12, 8, 28, 4 },
};

void scsi_decode_cdb(const uint8_t *cdb, size_t size, uint64_t *ret_lba, uint32_t *ret_length)
{
	*ret_lba = 0;
	*ret_length = 0;
	if (size >= 6 && (cdb[0] == 0x08 || cdb[0] == 0x0a)) {
		*ret_lba = scsi_be(cdb + 1, 3) & 0x1fffff;
		*ret_length = cdb[4] != 0 ? cdb[4] : 256; /* SBC-4: 0 means 256 */
	}
	for (size_t i = 0; size > 0 && i < sizeof(scsi_cdbs) / sizeof(scsi_cdbs[0]); i++) {
		if (scsi_cdbs[i].opcode != cdb[0] || size < scsi_cdbs[i].size)
			continue;
		*ret_lba = scsi_be(cdb + scsi_cdbs[i].lba, scsi_cdbs[i].n_lba);
		*ret_length = (uint32_t)scsi_be(cdb + scsi_cdbs[i].length, scsi_cdbs[i].n_length);
	}
}

void scsi_describe(const struct scsi_record *record, bool timed_out, const char *address,
		   Pathbell__V1__ScsiCommandError *ret_error)
{
	pathbell__v1__scsi_command_error__init(ret_error);
	ret_error->address = (char *)address;
	ret_error->opcode = record->opcode;
	ret_error->host_byte = record->host_byte;
	ret_error->driver_byte = record->driver_byte;
	ret_error->status = record->status;
	ret_error->sense_valid = record->sense_valid;
	ret_error->sense_key = record->sense_key;
	ret_error->asc = record->asc;
	ret_error->ascq = record->ascq;
	ret_error->timed_out = timed_out;
	ret_error->lba = record->lba;
	ret_error->transfer_length = record->length;
}

bool scsi_question(const struct scsi_record *record, bool timed_out,
		   struct handler_error *ret_error)
{
	*ret_error = (struct handler_error){ .source = HANDLER_FROM_STATUS,
					     .host_byte = record->host_byte,
					     .status = record->status };
	if (timed_out) {
		ret_error->host_byte = SCSI_DID_TIME_OUT;
		return true;
	}
	if (record->host_byte != 0 || !record->sense_valid)
		return record->host_byte != 0 || record->tells_sense ||
		       record->status != SCSI_CHECK_CONDITION;
	ret_error->source = HANDLER_FROM_SENSE;
	ret_error->sense_key = record->sense_key;
	ret_error->asc = record->asc;
	ret_error->ascq = record->ascq;
	return true;
}

/* Refusals are how initiators find out what a device can do; they are errors for data only. */
Pathbell__V1__Severity scsi_severity(const struct scsi_record *record, bool timed_out)
{
	if (timed_out || record->host_byte != 0)
		return SEVERITY(ERROR);
	if (!record->sense_valid)
		return record->status == 0x18 ? SEVERITY(WARNING) : SEVERITY(ERROR);
	switch (record->sense_key) {
	case SENSE_NO_SENSE:
	case SENSE_UNIT_ATTENTION:
		return SEVERITY(NOTICE);
	case SENSE_RECOVERED_ERROR:
		return SEVERITY(WARNING);
	case SENSE_ILLEGAL_REQUEST:
		return record->length == 0 ? SEVERITY(NOTICE) : SEVERITY(ERROR);
	default:
		return SEVERITY(ERROR);
	}
}

/* scsi_evt_emit, drivers/scsi/scsi_lib.c, and scsi_report_sense, scsi_error.c, Linux 6.12.
 * Power-on has many qualifiers (29/xx): the uevent does not tell which. */
static const struct scsi_attention scsi_attentions[] = {
	{ "INQUIRY_DATA_HAS_CHANGED", 0x3f, 0x03, SEVERITY(NOTICE) },
	{ "CAPACITY_DATA_HAS_CHANGED", 0x2a, 0x09, SEVERITY(NOTICE) },
	{ "THIN_PROVISIONING_SOFT_THRESHOLD_REACHED", 0x38, 0x07, SEVERITY(WARNING) },
	{ "MODE_PARAMETERS_CHANGED", 0x2a, 0x01, SEVERITY(NOTICE) },
	{ "REPORTED_LUNS_DATA_HAS_CHANGED", 0x3f, 0x0e, SEVERITY(NOTICE) },
	{ "ASYMMETRIC_ACCESS_STATE_CHANGED", 0x2a, 0x06, SEVERITY(WARNING) },
	{ "POWER_ON_RESET_OCCURRED", 0x29, 0x00, SEVERITY(WARNING) },
};

const struct scsi_attention *scsi_attention_find(const char *name)
{
	for (size_t i = 0; i < sizeof(scsi_attentions) / sizeof(scsi_attentions[0]); i++) {
		if (strcmp(scsi_attentions[i].name, name) == 0)
			return &scsi_attentions[i];
	}
	return NULL;
}

const char *scsi_address_of(const char *devpath)
{
	const char *slash = strrchr(devpath, '/');
	const char *address = slash != NULL ? slash + 1 : devpath;

	if (strlen(address) >= SCSI_ADDRESS_SIZE || !hctl_is_valid(address))
		return NULL;
	return address;
}
