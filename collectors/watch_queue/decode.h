/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Records of the notification queue. Pure. "Note" is the kernel's own word for a record in its
 * queue. The same numbers mean different things in the lineages of this interface, and nothing in a
 * record tells which one it is: the dialect comes from the configuration and is never guessed.
 *
 *   dialect		 transport  types			   length, watch id
 *   MAINLINE		 pipe	    META 0, KEY 1		   bytes in bits 0-6, id in bits
 *8-15 BLOCK (Jan 2020)	 pipe	    + BLOCK 2, USB 3		   the same
 *   MOUNT_2020_02	 pipe	    + MOUNT 2, SUPERBLOCK 3	   the same; watch_sb: id in bits
 *24-31 MOUNT_2020_08	 pipe	    + MOUNT 2, SUPERBLOCK 3	   the same; mount ids of 64 bits
 *   RING_V1, RING_V3	 ring	    MOUNT 1, SUPERBLOCK 2, KEY 3,  bytes in bits 3-8, id in bits
 *				    BLOCK 4, from v3 on USB 5	   24-31, loss flags in bits 0 and 1
 *   RING_V5, RING_V8	 ring	    KEY 1, BLOCK 2, USB 3	   8-byte slots in bits 0-5, id in
 *8-15
 *
 * Sources: mainline include/uapi/linux/watch_queue.h, the same in 5.8 to 7.2; the rest from the
 * series "General notification queue" v1 (28 May 2019) to v8 (4 Sep 2019) and "pipe: Keyrings,
 *Block and USB notifications" (15 Jan 2020), "VFS: Filesystem information" (Feb and Aug 2020).
 */
enum note_dialect {
	NOTE_MAINLINE,
	NOTE_BLOCK,
	NOTE_MOUNT_2020_02,
	NOTE_MOUNT_2020_08,
	NOTE_RING_V1,
	NOTE_RING_V3,
	NOTE_RING_V5,
	NOTE_RING_V8,
	NOTE_N_DIALECTS
};

enum note_kind {
	NOTE_UNKNOWN, /* a type, subtype or length that this dialect does not have */
	NOTE_SKIP,    /* ring: padding */
	NOTE_REMOVAL,
	NOTE_LOSS,
	NOTE_KEY,
	NOTE_DEVICE, /* block error */
	NOTE_USB,
	NOTE_SUPERBLOCK,
	NOTE_MOUNT
};

#define NOTE_HEADER_SIZE 8
#define NOTE_MAX_SIZE	 504 /* 63 slots of 8 bytes */
#define NOTE_NAME_SIZE	 64

struct note {
	enum note_kind kind;
	uint32_t type, subtype, info;
	uint32_t watch_id;
	uint32_t flags;	  /* type specific, FLAG_0 in bit 0 */
	size_t size;	  /* in the stream */
	bool lost_before; /* ring v1 to v4: records before this one were dropped */
	const uint8_t *data;
	union {
		uint64_t object_id; /* REMOVAL; 0 = none given */
		struct {
			uint32_t id, aux;
		} key;
		struct {
			uint32_t major, minor;
			uint64_t sector;
		} device;
		struct {
			uint32_t error;
			char name[NOTE_NAME_SIZE]; /* printable ASCII */
		} usb;
		struct {
			uint64_t id;
			uint32_t error, cookie;
			bool has_error;
		} superblock;
		struct {
			uint64_t triggered_on, changed;
		} mount;
	};
};

/* The lowest number of a class in block records, and the highest: enum block_notification_type. */
#define NOTE_DEVICE_FIRST 1
#define NOTE_DEVICE_LAST  10

bool note_is_ring(enum note_dialect dialect);
/* Length in bytes that the info word of this dialect tells; 0 = none. */
size_t note_length(enum note_dialect dialect, uint32_t info);

/*
 * The first record of @data. 0: one record, also of a kind that is not known: go on behind
 * ret_note->size. -EBADMSG: no record can be here (too short, or a length that is below the header
 * or beyond the buffer), and the rest cannot be read. Points into @data.
 */
int note_decode(enum note_dialect dialect, const void *data, size_t size, struct note *ret_note);

/* add, remove, ...; NULL = unknown subtype. */
const char *note_usb_action(enum note_dialect dialect, uint32_t subtype);
const char *note_superblock_action(uint32_t subtype);
const char *note_mount_action(uint32_t subtype);
/* What the flags of a mount record say. */
bool note_mount_is_read_only(enum note_dialect dialect, const struct note *note);
bool note_mount_is_in_subtree(enum note_dialect dialect, const struct note *note);
bool note_mount_is_submount(enum note_dialect dialect, const struct note *note);
