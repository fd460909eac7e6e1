/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/cli.h"
#include "pathbell/v1/command.pb-c.h"

/*
 * What --envelope-out writes: one serialised SignedCommand, or, of a campaign, a serialised
 * SubmitCampaignRequest with several. They cannot be taken for each other: a SignedCommand has
 * field 2 (a signature), a SubmitCampaignRequest has no such field.
 */
#define ENVELOPE_FILE_MAX_SIZE	    (64U << 20)
#define ENVELOPE_FILE_MAX_ENVELOPES 1024 /* SubmitCampaignRequest.envelopes */

struct envelope_item {
	uint8_t *data; /* the serialised SignedCommand */
	size_t size;
	Pathbell__V1__SignedCommand *envelope;
	Pathbell__V1__Command *command; /* id of 16 bytes, at least one host */
};

struct envelope_file {
	bool campaign;
	struct envelope_item *items;
	size_t n; /* at least 1 */
};

/* CLI_OK or printed. All commands of a campaign have its id and one verb. */
int envelope_file_read(const char *path, struct envelope_file *ret_file);
/* The same from bytes; @path is for messages. */
int envelope_file_parse(const char *path, const void *data, size_t size,
			struct envelope_file *ret_file);
/* Replaces the bytes of one item; takes what is in @data. CLI_OK or printed. */
int envelope_file_set(struct envelope_file *file, size_t index, const struct buf *data);
/* Whole or not at all. CLI_OK or printed. */
int envelope_file_write(const struct envelope_file *file, const char *path);
void envelope_file_deinit(struct envelope_file *file);

/* How many hosts, of all items. */
size_t envelope_file_n_hosts(const struct envelope_file *file);

/* envelope_show.c: everything that is being signed, for people or as JSON. */
int envelope_show(struct cli *cli, const struct envelope_file *file);
