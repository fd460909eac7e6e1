/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core/id.h"
#include "ctl/request.h"
#include "pathbell/v1/fleet.pb-c.h"

#define CAMPAIGN_SHOWN_FAILURES 8 /* newest, in the live view */

const char *campaign_state_name(unsigned state); /* RUNNING ... */
/* FINISHED, HALTED, EXPIRED, and STOPPED, which goes on only when an operator says so. */
bool campaign_is_over(const Pathbell__V1__Campaign *campaign);
/* CLI_OK: finished, and every host SUCCEEDED; else CLI_UNSUCCESSFUL. */
int campaign_exit_code(const Pathbell__V1__Campaign *campaign);

/* ---- campaign_view.c: pure but for the output ---- */

/*
 * The block that is drawn again and again on a terminal: at most 6 + CAMPAIGN_SHOWN_FAILURES lines,
 * none wider than output->width (0 = no limit). *ret_lines: how many. 0 or -errno.
 */
int campaign_view(const struct output *output, const Pathbell__V1__Campaign *campaign,
		  struct buf *out, size_t *ret_lines);
/* One line without a time: "RUNNING wave 3: 120 of 200 ended, ..." */
void campaign_view_line(const Pathbell__V1__Campaign *campaign, char *ret_text, size_t size);
/* The failures, newest first; @index < n_failures. */
const Pathbell__V1__CampaignFailure *campaign_failure(const Pathbell__V1__Campaign *campaign,
						      size_t index);
/* "HOST LIFE (refusal): detail" */
void campaign_view_failure(const Pathbell__V1__CampaignFailure *failure, char *ret_text,
			   size_t size);
/* The policy with the defaults where it says nothing. */
void campaign_show_policy(struct cli *cli, const Pathbell__V1__CommandCampaign *policy);
/* Everything, for `campaign show`. */
void campaign_show(struct cli *cli, const Pathbell__V1__Campaign *campaign);

/* ---- campaign_watch.c ---- */

/*
 * Follows a campaign until it is over, over broken connections: a block that is drawn again on a
 * terminal, a line for each change otherwise, JSON objects with -o json. An interrupt detaches.
 * @timeout_ns 0 = no end. The exit status of the campaign, CLI_UNSUCCESSFUL when detached.
 */
int campaign_watch(struct cli *cli, struct client *client, const uint8_t id[ID_SIZE],
		   uint64_t timeout_ns);

/* ---- campaign.c ---- */

struct envelope_file;
/* Submits; *ret_id is the campaign's. With --no-wait the answer is shown. CLI_OK or printed. */
int campaign_submit(struct cli *cli, struct client *client, const struct envelope_file *file,
		    uint8_t ret_id[ID_SIZE]);
/* Submits and, unless --no-wait says otherwise, follows. */
int campaign_send(struct cli *cli, struct client *client, const struct settings *settings,
		  const struct envelope_file *file);
