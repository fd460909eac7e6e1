/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/request.h"
#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/fleet.pb-c.h"

/*
 * What `diag` returns: chunks in command.output events, numbered from 0, the last one marked. The
 * host cuts a bundle at DiagArgs.max_bytes and ends it with "[cut: N more bytes]" then.
 */
#define BUNDLE_MAX_SIZE ((1 << 20) + 256) /* DiagArgs.max_bytes and that mark */

struct bundle {
	char host_id[132];
	struct buf text;
	uint32_t next_chunk;
	bool complete;	     /* the last chunk came, and all before it */
	bool missing;	     /* a chunk is not there */
	uint32_t missing_at; /* the first one */
	char note[256];	     /* detail of the last chunk, or the mark: "" = it is all */
};

void bundle_init(struct bundle *bundle, const char *host_id);
void bundle_deinit(struct bundle *bundle);
/* Chunks in order of their events; one that came twice is passed over. 0, -ENOBUFS above
 * BUNDLE_MAX_SIZE, -ENOMEM. */
int bundle_add(struct bundle *bundle, const Pathbell__V1__CommandState *state);

/* The bundle goes to standard output, so nothing else may. */
bool bundle_takes_output(const struct cli *cli, const Pathbell__V1__Command *command);
/*
 * Fetches the chunks that were stored behind @after_id and writes the bundle of each host to
 * standard output or --bundle-out. CLI_OK when all are whole, CLI_FAILED (said on standard error)
 * where chunks are missing; what is there is written in any case.
 */
int bundle_fetch(struct cli *cli, struct client *client, const Pathbell__V1__Command *command,
		 uint64_t after_id);
