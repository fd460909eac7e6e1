/* SPDX-License-Identifier: Apache-2.0 */
/* First a format file up to a NUL, then a record: block errors of any layout. */
#include <stdlib.h>
#include <string.h>

#include "collectors/block/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct format format;
	const uint8_t *end = memchr(data, '\0', size);
	struct block_decoder decoder;
	struct block_record record;
	Pathbell__V1__BlockError error;
	struct errmsg err = { 0 };
	size_t used, packed;
	uint8_t *out;

	if (end == NULL)
		return 0;
	used = (size_t)(end - data) + 1;
	if (format_parse((const char *)data, used - 1, &format, &err) != 0 ||
	    block_decoder_init(&decoder, &format, &err) != 0 ||
	    block_decode(&decoder, data + used, size - used, &record) != 0)
		return 0;
	block_describe(&record, &error);
	packed = pathbell__v1__block_error__get_packed_size(&error);
	out = malloc(packed);
	if (out != NULL && pathbell__v1__block_error__pack(&error, out) != packed)
		abort();
	free(out);
	return 0;
}
