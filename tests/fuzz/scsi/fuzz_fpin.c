/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "collectors/scsi/fpin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[8192];
	struct fpin_reader reader;
	struct fpin fpin;
	size_t n = 0;

	fpin_open(&reader, data, size);
	while (fpin_next(&reader, &fpin) == 0) {
		if (fpin.fpin.n_port_names > FPIN_MAX_PORTS || fpin.raw_size > FPIN_MAX_UNDECODED ||
		    pathbell__v1__fc_fpin__get_packed_size(&fpin.fpin) > sizeof(out))
			abort();
		(void)pathbell__v1__fc_fpin__pack(&fpin.fpin, out);
		(void)fpin_severity(&fpin.fpin);
		/* Each descriptor takes eight bytes at least. */
		if (++n > size / 8)
			abort();
	}
	return 0;
}
