/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/watch_queue/decode.h"
#include "collectors/watch_queue/filter.h"
#include "collectors/watch_queue/pipe.h"
#include "collectors/watch_queue/ring.h"
#include "collectors/watch_queue/watch_queue.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const options_pipe_dialects[] = { "mainline", "block", "mount_2020_02",
						     "mount_2020_08", NULL };
static const char *const options_ring_dialects[] = { "v1", "v3", "v5", "v8", NULL };

_Static_assert(NOTE_MOUNT_2020_08 == 3 && NOTE_RING_V1 == 4 && NOTE_RING_V8 == 7, "names above");

#define KEY(field) offsetof(struct watch_queue_key, field)
static const struct config_option options_key[] = {
	{ .name = "key",
	  .type = CONFIG_STRING,
	  .offset = KEY(key),
	  .min = 1,
	  .max = 256,
	  .required = true,
	  .help = "Key or keyring to watch: @s (session), @u (user), @us (user session), a serial "
		  "number, or TYPE:DESCRIPTION, which is looked for in these three." },
	{ .name = "name",
	  .type = CONFIG_STRING,
	  .offset = KEY(name),
	  .min = 1,
	  .max = 128,
	  .help = "Name under which events tell of it; absent: the same text as key." },
};
static const struct config_table options_key_table = { options_key, COUNT(options_key),
						       sizeof(struct watch_queue_key) };

#define DEVICES(field) offsetof(struct watch_queue_devices, field)
static const struct config_option options_devices[] = {
	{ .name = "syscall",
	  .type = CONFIG_UINT,
	  .offset = DEVICES(syscall),
	  .initial = "0",
	  .max = 511,
	  .help = "Number of watch_devices() on this kernel, 0 = it has none. No released kernel "
		  "has it; a number that belongs to another system call is refused." },
	{ .name = "dialect",
	  .type = CONFIG_ENUM,
	  .offset = DEVICES(dialect),
	  .initial = "mainline",
	  .names = options_pipe_dialects,
	  .help = "What the types beyond keys mean in the pipe of this kernel: block = block and "
		  "USB records, mount_* = mount and superblock records." },
};
static const struct config_table options_devices_table = { options_devices, COUNT(options_devices),
							   sizeof(struct watch_queue_devices) };

#define RING(field) offsetof(struct watch_queue_ring, field)
static const struct config_option options_ring[] = {
	{ .name = "path",
	  .type = CONFIG_PATH,
	  .offset = RING(path),
	  .help = "Device of the ring of kernels patched with the 2019 series, /dev/watch_queue or "
		  "/dev/event_queue; absent = none." },
	{ .name = "pages",
	  .type = CONFIG_UINT,
	  .offset = RING(pages),
	  .initial = "4",
	  .min = 1,
	  .max = RING_MAX_PAGES,
	  .help = "Size of the ring in pages; a power of two." },
	{ .name = "dialect",
	  .type = CONFIG_ENUM,
	  .offset = RING(dialect),
	  .initial = "v8",
	  .names = options_ring_dialects,
	  .help = "Version of the series: v1 (and v2), v3 (and v4), v5 (to v7), v8." },
};
static const struct config_table options_ring_table = { options_ring, COUNT(options_ring),
							sizeof(struct watch_queue_ring) };

#define ROOT(field) offsetof(struct watch_queue_config, field)
static const struct config_option options_root[] = {
	{ .name = "pipe_notes",
	  .type = CONFIG_UINT,
	  .offset = ROOT(pipe_notes),
	  .initial = "256",
	  .min = 1,
	  .max = PIPE_MAX_NOTES,
	  .help = "Records that the notification pipe holds; the kernel rounds up to 32. What does "
		  "not fit is told by a collector.gap event without a count." },
	{ .name = "keys",
	  .type = CONFIG_MAPS,
	  .offset = ROOT(keys),
	  .max = WATCH_QUEUE_MAX_KEYS,
	  .element = &options_key_table,
	  .help = "Keys and keyrings whose changes are events." },
	{ .name = "filters",
	  .type = CONFIG_MAPS,
	  .offset = ROOT(filters),
	  .max = FILTER_MAX_RULES,
	  .element = &filter_config_table,
	  .help = "Filter in the kernel; empty = everything. With any rule, what no rule lets "
		  "through is not queued." },
	{ .name = "devices",
	  .type = CONFIG_SECTION,
	  .offset = ROOT(devices),
	  .element = &options_devices_table,
	  .help = "Block records of patched kernels." },
	{ .name = "ring",
	  .type = CONFIG_SECTION,
	  .offset = ROOT(ring),
	  .element = &options_ring_table,
	  .help = "The queue's earlier form, a mapped device. With a path, block records are "
		  "asked for here." },
};

const struct config_table watch_queue_config_table = {
	.options = options_root,
	.n_options = COUNT(options_root),
	.size = sizeof(struct watch_queue_config),
};
