/* SPDX-License-Identifier: Apache-2.0 */
/* A discovery log page from a target: header and entries; what is taken over is an address that can
 * be parsed again. */
#include <stdlib.h>

#include "fabrics/log_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_page_header header;
	struct log_page_entry entry;
	struct tid again;
	char text[TID_TEXT];

	(void)log_page_header(data, size, &header);
	if (log_page_entry(data, size, &entry) != 0)
		return 0;
	tid_format(&entry.tid, text, sizeof(text));
	if (tid_parse(text, &again, NULL) != 0)
		abort();
	return 0;
}
