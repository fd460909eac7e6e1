/* SPDX-License-Identifier: Apache-2.0 */
/* A recording of any bytes: reads to an end or an error, twice the same. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collectors/replay/recording.h"
#include "proto/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_all(struct recording *recording, size_t limit, int *ret_r)
{
	const uint8_t *event;
	size_t event_size, n = 0;

	while ((*ret_r = recording_next(recording, &event, &event_size)) == 0 ||
	       *ret_r == RECORDING_E_BAD) {
		struct codec_event_head head;

		if (*ret_r == 0)
			(void)codec_event_head(event, event_size, &head);
		if (++n > limit)
			abort();
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("recording", MFD_CLOEXEC), r1, r2;
	struct recording *recording;
	size_t n;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
		abort();
	if (recording_open_fd(&recording, fd) != 0)
		return 0;
	n = read_all(recording, size, &r1);
	if (recording_rewind(recording) != 0 || read_all(recording, size, &r2) != n || r1 != r2)
		abort();
	recording_close(recording);
	return 0;
}
