/* SPDX-License-Identifier: Apache-2.0 */
/* One read of the notification pipe, first byte = dialect: the walk ends, and every record can be
 * described and encoded. */
#include <stdlib.h>
#include <string.h>

#include "collectors/watch_queue/describe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct note_watch watch = { "name", "keyring description" };
	static uint8_t encoded[8192];
	enum note_dialect dialect;
	struct note_event event;
	struct note note;

	if (size == 0)
		return 0;
	dialect = (enum note_dialect)(data[0] % NOTE_N_DIALECTS);
	for (size_t at = 1; note_decode(dialect, data + at, size - at, &note) == 0;
	     at += note.size) {
		if (note.size < NOTE_HEADER_SIZE || note.size > size - at)
			abort();
		if (note.kind == NOTE_SKIP || note.kind == NOTE_LOSS || note.kind == NOTE_DEVICE)
			continue;
		note_describe(&note, dialect, "pipe:watch_queue", &watch, 1, &event);
		if (pathbell__v1__event__get_packed_size(&event.event) > sizeof(encoded))
			abort();
		pathbell__v1__event__pack(&event.event, encoded);
	}
	return 0;
}
