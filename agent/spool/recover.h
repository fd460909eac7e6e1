/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/parts.h"

/* What recovery knows while it works; shared by recover.c and recover_file.c. */
struct recover_file {
	uint64_t number, size;
	unsigned lane, dir;
	bool header_ok;
	struct layout_header header;
};

struct recover {
	struct spool *spool;
	struct slot *slot;
	struct slot_live live;
	bool have_slot, have_live, state_damaged;
	struct recover_file *files;
	size_t n_files, capacity;
	bool cut; /* records behind a hole were removed: begin anew */
	uint64_t n_findings;
};

#define RECOVER_MAX_FILES 65536

/* Lists the segments of both folders by number and reads their headers. 0 or -errno. */
int recover_list(struct recover *recover);
/* Takes over the records of @file into its epoch. 0 or -errno that ends recovery (no memory). */
int recover_load(struct recover *recover, const struct recover_file *file);
/* Removes all records of @segment from @seq on. 0 or -errno. */
int recover_cut(struct recover *recover, struct segment *segment, uint64_t seq);
int recover_open_file(const struct recover *recover, unsigned dir, uint64_t number, unsigned lane,
		      int flags);
/* The map up to @seq, with what is new marked gone. 0 or -errno. */
int recover_extend(struct epoch *epoch, uint64_t seq);
__attribute__((format(printf, 2, 3))) void recover_finding(struct recover *recover,
							   const char *format, ...);
