/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/watch_queue/decode.h"

#include <errno.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* dev_t inside the kernel: MINORBITS of include/linux/kdev_t.h, 5.10 to 6.18. */
#define NOTE_MINOR_BITS 20

/* Mainline include/uapi/linux/watch_queue.h: struct watch_notification, WATCH_INFO_*. */
#define NOTE_TYPE_MASK	   0x00ffffffu
#define NOTE_SUBTYPE_SHIFT 24
#define NOTE_INFO_LENGTH   0x0000007fu
#define NOTE_INFO_ID_SHIFT 8
#define NOTE_INFO_FLAGS	   16

/* The first layout, series v1 to v4. */
#define NOTE_OLD_OVERRUN     0x00000001u
#define NOTE_OLD_ENOMEM	     0x00000002u
#define NOTE_OLD_LENGTH	     0x000001f8u
#define NOTE_OLD_SUBTREE     0x00000200u
#define NOTE_OLD_ID_SHIFT    24
#define NOTE_SLOTS	     0x0000003fu
#define NOTE_SLOT_SIZE	     8
#define NOTE_N_TYPES	     6
#define NOTE_META	     0xff /* in the tables below; kind of its own, told by subtype */
#define NOTE_V5_REMOVAL_SIZE 64	  /* v5 put bytes where slots belong: the rest is garbage */

static const uint8_t note_types[NOTE_N_DIALECTS][NOTE_N_TYPES] = {
	[NOTE_MAINLINE] = { NOTE_META, NOTE_KEY },
	[NOTE_BLOCK] = { NOTE_META, NOTE_KEY, NOTE_DEVICE, NOTE_USB },
	[NOTE_MOUNT_2020_02] = { NOTE_META, NOTE_KEY, NOTE_MOUNT, NOTE_SUPERBLOCK },
	[NOTE_MOUNT_2020_08] = { NOTE_META, NOTE_KEY, NOTE_MOUNT, NOTE_SUPERBLOCK },
	[NOTE_RING_V1] = { NOTE_META, NOTE_MOUNT, NOTE_SUPERBLOCK, NOTE_KEY, NOTE_DEVICE },
	[NOTE_RING_V3] = { NOTE_META, NOTE_MOUNT, NOTE_SUPERBLOCK, NOTE_KEY, NOTE_DEVICE,
			   NOTE_USB },
	[NOTE_RING_V5] = { NOTE_META, NOTE_KEY, NOTE_DEVICE, NOTE_USB },
	[NOTE_RING_V8] = { NOTE_META, NOTE_KEY, NOTE_DEVICE, NOTE_USB },
};

static uint32_t note_u32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

static uint64_t note_u64(const uint8_t *data)
{
	uint64_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

bool note_is_ring(enum note_dialect dialect)
{
	return dialect >= NOTE_RING_V1;
}

static bool note_is_old(enum note_dialect dialect)
{
	return dialect == NOTE_RING_V1 || dialect == NOTE_RING_V3;
}

size_t note_length(enum note_dialect dialect, uint32_t info)
{
	if (note_is_old(dialect))
		return info & NOTE_OLD_LENGTH;
	if (note_is_ring(dialect))
		return (size_t)(info & NOTE_SLOTS) * NOTE_SLOT_SIZE;
	return info & NOTE_INFO_LENGTH;
}

/* Mainline counts REMOVAL 0, LOSS 1; the rings SKIP 0, REMOVAL 1, and keep loss in flags. */
static void note_decode_meta(enum note_dialect dialect, struct note *note)
{
	uint32_t removal = note_is_ring(dialect) ? 1 : 0;

	if (note->subtype == removal) {
		note->kind = NOTE_REMOVAL;
		note->object_id = 0;
		if (note->size >= 16 &&
		    !(dialect == NOTE_RING_V5 && note->size == NOTE_V5_REMOVAL_SIZE))
			note->object_id = note_u64(note->data + 8);
	} else if (note_is_ring(dialect) && note->subtype == 0) {
		note->kind = NOTE_SKIP;
	} else if (!note_is_ring(dialect) && note->subtype == 1) {
		note->kind = NOTE_LOSS;
	}
}

static bool note_decode_usb(struct note *note)
{
	size_t len;

	if (note->size < 17)
		return false;
	len = note->data[16];
	if (len >= NOTE_NAME_SIZE || 17 + len > note->size)
		return false;
	note->usb.error = note_u32(note->data + 8);
	for (size_t i = 0; i < len; i++) {
		char c = (char)note->data[17 + i];

		note->usb.name[i] = '?';
		if (c >= ' ' && c <= '~')
			note->usb.name[i] = c;
	}
	note->usb.name[len] = '\0';
	return true;
}

static bool note_decode_superblock(struct note *note)
{
	if (note->size < 16)
		return false;
	note->superblock.id = note_u64(note->data + 8);
	note->superblock.has_error = note->size >= 24;
	note->superblock.error = note->superblock.cookie = 0;
	if (note->superblock.has_error) {
		note->superblock.error = note_u32(note->data + 16);
		note->superblock.cookie = note_u32(note->data + 20);
	}
	return true;
}

static bool note_decode_mount(enum note_dialect dialect, struct note *note)
{
	bool wide = dialect == NOTE_MOUNT_2020_08;

	if (note->size < (wide ? 24 : 16))
		return false;
	note->mount.triggered_on = wide ? note_u64(note->data + 8) : note_u32(note->data + 8);
	note->mount.changed = wide ? note_u64(note->data + 16) : note_u32(note->data + 12);
	return true;
}

static bool note_decode_device(struct note *note)
{
	uint64_t dev;

	if (note->size < 24 || note->subtype < NOTE_DEVICE_FIRST ||
	    note->subtype > NOTE_DEVICE_LAST)
		return false;
	dev = note_u64(note->data + 8);
	/* The kernel's dev_t has 32 bits. */
	if (dev > UINT32_MAX)
		return false;
	note->device.major = (uint32_t)(dev >> NOTE_MINOR_BITS);
	note->device.minor = (uint32_t)dev & ((1u << NOTE_MINOR_BITS) - 1);
	note->device.sector = note_u64(note->data + 16);
	return true;
}

static bool note_decode_key(struct note *note)
{
	if (note->size < 16 || note->subtype > 7)
		return false;
	note->key.id = note_u32(note->data + 8);
	note->key.aux = note_u32(note->data + 12);
	return true;
}

static bool note_decode_body(enum note_dialect dialect, enum note_kind kind, struct note *note)
{
	switch (kind) {
	case NOTE_KEY:
		return note_decode_key(note);
	case NOTE_DEVICE:
		return note_decode_device(note);
	case NOTE_USB:
		return note_usb_action(dialect, note->subtype) != NULL && note_decode_usb(note);
	case NOTE_SUPERBLOCK:
		return note_superblock_action(note->subtype) != NULL &&
		       note_decode_superblock(note);
	case NOTE_MOUNT:
		return note_mount_action(note->subtype) != NULL && note_decode_mount(dialect, note);
	default:
		return false;
	}
}

int note_decode(enum note_dialect dialect, const void *data, size_t size, struct note *ret_note)
{
	struct note note = { .kind = NOTE_UNKNOWN, .data = data };
	uint32_t word;
	uint8_t kind;

	if (size < NOTE_HEADER_SIZE)
		return -EBADMSG;
	word = note_u32(note.data);
	note.type = word & NOTE_TYPE_MASK;
	note.subtype = word >> NOTE_SUBTYPE_SHIFT;
	note.info = note_u32(note.data + 4);
	note.size = note_length(dialect, note.info);
	if (note.size < NOTE_HEADER_SIZE || note.size > size)
		return -EBADMSG;
	note.watch_id = (note.info >> NOTE_INFO_ID_SHIFT) & 0xff;
	note.flags = note.info >> NOTE_INFO_FLAGS;
	if (note_is_old(dialect)) {
		note.watch_id = note.info >> NOTE_OLD_ID_SHIFT;
		note.flags &= 0xff;
		note.lost_before = (note.info & (NOTE_OLD_OVERRUN | NOTE_OLD_ENOMEM)) != 0;
	}
	kind = note.type < NOTE_N_TYPES ? note_types[dialect][note.type] : (uint8_t)NOTE_UNKNOWN;
	/* watch_sb of February 2020 still shifts the id as the first layout did. */
	if (dialect == NOTE_MOUNT_2020_02 && kind == NOTE_SUPERBLOCK) {
		note.watch_id = note.info >> NOTE_OLD_ID_SHIFT;
		note.flags &= 0xff;
	}
	if (kind == NOTE_META)
		note_decode_meta(dialect, &note);
	else if (note_decode_body(dialect, (enum note_kind)kind, &note))
		note.kind = (enum note_kind)kind;
	*ret_note = note;
	return 0;
}

const char *note_usb_action(enum note_dialect dialect, uint32_t subtype)
{
	static const char *const early[] = { "add",	   "remove", "bus_add",
					     "bus_remove", "reset",  "error" };
	static const char *const late[] = { "add", "remove", "reset", "error" };

	if (dialect == NOTE_RING_V3 || dialect == NOTE_RING_V5)
		return subtype < COUNT(early) ? early[subtype] : NULL;
	return subtype < COUNT(late) ? late[subtype] : NULL;
}

const char *note_superblock_action(uint32_t subtype)
{
	static const char *const names[] = { "readonly", "error", "edquot", "network" };

	return subtype < COUNT(names) ? names[subtype] : NULL;
}

const char *note_mount_action(uint32_t subtype)
{
	static const char *const names[] = { "new_mount", "unmount",   "expiry", "readonly",
					     "setattr",	  "move_from", "move_to" };

	return subtype < COUNT(names) ? names[subtype] : NULL;
}

/* Flags of mount records: 2019 has IN_SUBTREE in the info word and read-only in FLAG_0; February
 * 2020 in-subtree, recursive, now-ro, submount; August 2020 in-subtree, now-ro, submount. */
bool note_mount_is_read_only(enum note_dialect dialect, const struct note *note)
{
	uint32_t flag = dialect == NOTE_MOUNT_2020_08 ? 1 : dialect == NOTE_MOUNT_2020_02 ? 2 : 0;

	return note->flags >> flag & 1;
}

bool note_mount_is_in_subtree(enum note_dialect dialect, const struct note *note)
{
	if (note_is_ring(dialect))
		return (note->info & NOTE_OLD_SUBTREE) != 0;
	return note->flags & 1;
}

bool note_mount_is_submount(enum note_dialect dialect, const struct note *note)
{
	if (note_is_ring(dialect))
		return note->flags >> 1 & 1;
	return note->flags >> (dialect == NOTE_MOUNT_2020_08 ? 2 : 3) & 1;
}
