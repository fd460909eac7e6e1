/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "handlers/handlers.h"
#include "handlers/sense.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sense sense;
	struct handler_error error = { .source = HANDLER_FROM_SENSE };

	if (sense_parse(data, size, &sense) != 0)
		return 0;
	if (sense.key > 15 || sense.response_code < 0x70)
		abort();
	error.sense_key = sense.key;
	error.asc = sense.asc;
	error.ascq = sense.ascq;
	for (size_t i = 0; i < HANDLERS_N_BUILTIN; i++) {
		struct handler_verdict verdict;

		handlers_builtins[i]->error(&error, &verdict);
		if (verdict.flags > 7 || verdict.reason == NULL || verdict.reason[0] == '\0')
			abort();
	}
	return 0;
}
