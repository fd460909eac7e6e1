/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/watch_queue/describe.h"

#define KIND(x)	   PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x
#define PAYLOAD(x) PATHBELL__V1__EVENT__PAYLOAD_##x

static const struct note_watch ring = { "ring", "keyring pathbell" }, nothing = { NULL, NULL };

static void all_eight_subtypes(void **state)
{
	static const unsigned kinds[] = { KIND(KEY_INSTANTIATED), KIND(KEY_UPDATED),
					  KIND(KEY_LINKED),	  KIND(KEY_UNLINKED),
					  KIND(KEY_CLEARED),	  KIND(KEY_REVOKED),
					  KIND(KEY_INVALIDATED),  KIND(KEY_SETATTR) };

	for (uint32_t subtype = 0; subtype < 8; subtype++) {
		uint32_t words[4] = { 1 | subtype << 24, 16 | 3 << 8, 1000 + subtype, 7 };
		struct note_event e;
		struct note note;

		assert_int_equal(note_decode(NOTE_MAINLINE, words, sizeof(words), &note), 0);
		note_describe(&note, NOTE_MAINLINE, "pipe:watch_queue", &ring, 5, &e);
		assert_int_equal(e.event.kind, kinds[subtype]);
		assert_int_equal(e.event.payload_case, PAYLOAD(KEY_NOTIFICATION));
		assert_int_equal(e.event.time_unix_ns, 5);
		assert_int_equal(e.event.key_notification->subtype, subtype);
		assert_int_equal(e.event.key_notification->key_id, 1000 + subtype);
		assert_int_equal(e.event.key_notification->aux, 7);
		assert_int_equal(e.event.key_notification->watch_id, 3);
		assert_string_equal(e.event.key_notification->description, "keyring pathbell");
		assert_string_equal(e.event.subject->id, "key:ring");
		assert_string_equal(e.event.source->interface, "pipe:watch_queue");
	}
}

static void a_watch_without_a_name(void **state)
{
	uint32_t words[4] = { 0, 16 | 3 << 8, 4711, 0 };
	struct note_event e;
	struct note note;

	assert_int_equal(note_decode(NOTE_MAINLINE, words, sizeof(words), &note), 0);
	note_describe(&note, NOTE_MAINLINE, "pipe:watch_queue", &nothing, 5, &e);
	assert_int_equal(e.event.kind, KIND(WATCH_REMOVED));
	assert_string_equal(e.event.subject->id, "key:4711");
	assert_int_equal(e.event.watch_queue_meta->object_id, 4711);
}

static void long_names_are_cut(void **state)
{
	uint32_t words[4] = { 1, 16, 1, 0 };
	struct note_watch watch = { NULL, NULL };
	struct note_event e;
	struct note note;
	char name[1000];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	watch.name = name;
	assert_int_equal(note_decode(NOTE_MAINLINE, words, sizeof(words), &note), 0);
	note_describe(&note, NOTE_MAINLINE, "pipe:watch_queue", &watch, 5, &e);
	assert_true(strlen(e.event.subject->id) <= 256);
}

static void filesystems_and_mounts(void **state)
{
	uint32_t sb[6] = { 3 | 1 << 24, 24 | 1 << 16, 9, 0, 30, 77 };
	uint32_t mount[6] = { 2 | 1 << 24, 24, 3, 0, 4, 0 };
	struct note_event e;
	struct note note;

	assert_int_equal(note_decode(NOTE_MOUNT_2020_08, sb, sizeof(sb), &note), 0);
	note_describe(&note, NOTE_MOUNT_2020_08, "pipe:watch_queue", &nothing, 5, &e);
	assert_int_equal(e.event.kind, KIND(STORAGE_FILESYSTEM_ERROR));
	assert_string_equal(e.event.filesystem_error->action, "error");
	assert_int_equal(e.event.filesystem_error->error_number, 30);
	assert_int_equal(e.event.n_extra, 2);
	assert_string_equal(e.event.extra[0]->value, "77");
	assert_int_equal(note_decode(NOTE_MOUNT_2020_08, mount, sizeof(mount), &note), 0);
	note_describe(&note, NOTE_MOUNT_2020_08, "pipe:watch_queue", &nothing, 5, &e);
	assert_int_equal(e.event.kind, KIND(STORAGE_MOUNT_CHANGED));
	assert_string_equal(e.event.mount_notification->action, "unmount");
	assert_int_equal(e.event.mount_notification->changed_mount, 4);
}

static void unknown_records_travel_as_they_are(void **state)
{
	uint32_t words[4] = { 9 | 200u << 24, 16, 0xdead, 0xbeef };
	struct note_event e;
	struct note note;

	assert_int_equal(note_decode(NOTE_MAINLINE, words, sizeof(words), &note), 0);
	note_describe(&note, NOTE_MAINLINE, "pipe:watch_queue", &nothing, 5, &e);
	assert_int_equal(e.event.kind, KIND(COLLECTOR_SCHEMA_CHANGED));
	assert_int_equal(e.event.raw.len, 16);
	assert_memory_equal(e.event.raw.data, words, 16);
	assert_string_equal(e.event.extra[0]->value, "9");
	assert_string_equal(e.event.extra[1]->value, "200");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_eight_subtypes),
		cmocka_unit_test(a_watch_without_a_name),
		cmocka_unit_test(long_names_are_cut),
		cmocka_unit_test(filesystems_and_mounts),
		cmocka_unit_test(unknown_records_travel_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
