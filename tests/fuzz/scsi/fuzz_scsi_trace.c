/* SPDX-License-Identifier: Apache-2.0 */
/* First a format file up to a NUL, then a record: failed commands of any layout. */
#include <stdlib.h>
#include <string.h>

#include "collectors/scsi/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct format format;
	const uint8_t *end = memchr(data, '\0', size);
	Pathbell__V1__ScsiCommandError error;
	struct handler_error question;
	struct scsi_decoder decoder;
	struct scsi_record record;
	struct errmsg err = { 0 };
	uint8_t out[256];
	size_t used;

	if (end == NULL)
		return 0;
	used = (size_t)(end - data) + 1;
	if (format_parse((const char *)data, used - 1, &format, &err) != 0 ||
	    scsi_decoder_init(&decoder, &format, &err) != 0 ||
	    scsi_decode(&decoder, data + used, size - used, &record) != 0)
		return 0;
	scsi_describe(&record, false, "0:0:0:0", &error);
	if (pathbell__v1__scsi_command_error__get_packed_size(&error) > sizeof(out))
		abort();
	(void)pathbell__v1__scsi_command_error__pack(&error, out);
	if (scsi_question(&record, false, &question) && question.sense_key > 15)
		abort();
	(void)scsi_severity(&record, true);
	return 0;
}
