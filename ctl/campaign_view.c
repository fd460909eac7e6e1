/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/clock.h"
#include "ctl/campaign.h"
#include "ctl/when.h"
#include "proto/kind.h"

#define VIEW_LABEL     "%-14s "
#define VIEW_BAR_LIMIT 60

const char *campaign_state_name(unsigned state)
{
	static const char *const names[] = { "UNKNOWN", "RUNNING",  "PAUSED", "STOPPED",
					     "HALTED",	"FINISHED", "EXPIRED" };

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : names[0];
}

bool campaign_is_over(const Pathbell__V1__Campaign *campaign)
{
	return campaign->state >= PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_STOPPED &&
	       campaign->state <= PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_EXPIRED;
}

int campaign_exit_code(const Pathbell__V1__Campaign *campaign)
{
	return campaign->state == PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_FINISHED &&
			       campaign->succeeded == campaign->total
		       ? CLI_OK
		       : CLI_UNSUCCESSFUL;
}

static enum output_colour view_state_colour(unsigned state)
{
	switch (state) {
	case PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_RUNNING:
	case PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_FINISHED:
		return OUTPUT_GREEN;
	case PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_PAUSED:
		return OUTPUT_YELLOW;
	default:
		return OUTPUT_RED;
	}
}

static uint32_t view_ended(const Pathbell__V1__Campaign *campaign)
{
	return campaign->succeeded + campaign->failed + campaign->cancelled;
}

void campaign_view_line(const Pathbell__V1__Campaign *campaign, char *ret_text, size_t size)
{
	snprintf(ret_text, size,
		 "%s%s%s%s, wave %u: %u of %u ended, %u succeeded, %u failed, %u cancelled, %u "
		 "under "
		 "way, %u waiting",
		 campaign_state_name(campaign->state), *campaign->state_reason ? " (" : "",
		 campaign->state_reason, *campaign->state_reason ? ")" : "", campaign->wave,
		 view_ended(campaign), campaign->total, campaign->succeeded, campaign->failed,
		 campaign->cancelled, campaign->under_way, campaign->waiting);
}

void campaign_view_failure(const Pathbell__V1__CampaignFailure *failure, char *ret_text,
			   size_t size)
{
	snprintf(ret_text, size, "%s %s%s%s%s%s%s", failure->host_id,
		 command_life_name(failure->life), failure->refusal ? " (" : "",
		 failure->refusal ? command_refusal_name(failure->refusal) : "",
		 failure->refusal ? ")" : "", *failure->detail ? ": " : "", failure->detail);
}

const Pathbell__V1__CampaignFailure *campaign_failure(const Pathbell__V1__Campaign *campaign,
						      size_t index)
{
	size_t n = campaign->n_failures;
	bool oldest_first =
		n && campaign->failures[0]->unix_ns < campaign->failures[n - 1]->unix_ns;

	return campaign->failures[oldest_first ? n - 1 - index : index];
}

/* ---- the block ---- */

struct view {
	const struct output *output;
	struct buf *out;
	size_t n_lines;
	int r;
};

/* Bytes of @text that fit into @columns; whole characters. */
static size_t view_fit(const char *text, size_t size, size_t columns)
{
	size_t len = 0;

	while (len < size) {
		size_t next = len + 1;

		while (next < size && ((unsigned char)text[next] & 0xc0) == 0x80)
			next++;
		if (columns-- == 0)
			return len;
		len = next;
	}
	return len;
}

/* One line: escaped, cut to the terminal, in a colour. */
static void view_line(struct view *view, enum output_colour colour, const char *text)
{
	struct buf line = { .max = 1 << 16 };
	size_t size;

	if (view->r == 0)
		view->r = output_escape(&line, text, strlen(text));
	size = line.size;
	if (view->output->width)
		size = view_fit((char *)line.data, size, view->output->width - 1);
	if (view->r == 0)
		view->r = buf_printf(view->out, "%s%.*s%s\n",
				     output_colour_on(view->output, colour), (int)size,
				     (char *)line.data, output_colour_off(view->output, colour));
	view->n_lines++;
	buf_deinit(&line);
}

/* Columns of one part of the bar: what is there at all has one at least. */
static size_t view_share(uint32_t part, uint32_t total, size_t columns)
{
	size_t share = total ? (size_t)((uint64_t)part * columns / total) : 0;

	return part && !share ? 1 : share;
}

static void view_bar_part(struct view *view, size_t *left, size_t columns, char letter,
			  enum output_colour colour)
{
	columns = columns < *left ? columns : *left;
	*left -= columns;
	if (columns == 0)
		return;
	view->r = view->r ?: buf_printf(view->out, "%s", output_colour_on(view->output, colour));
	for (size_t i = 0; i < columns && view->r == 0; i++)
		view->r = buf_append(view->out, &letter, 1);
	view->r = view->r ?: buf_printf(view->out, "%s", output_colour_off(view->output, colour));
}

/* [!!====>>      ] 62 of 200, 31 %: failed, succeeded, under way; failures first, so that they show
 * at once. */
static void view_bar(struct view *view, const Pathbell__V1__Campaign *campaign)
{
	size_t columns = view->output->width ? view->output->width : 80;
	uint32_t total = campaign->total;
	size_t left;

	columns = columns > 40 ? columns - 30 : 10;
	columns = columns < VIEW_BAR_LIMIT ? columns : VIEW_BAR_LIMIT;
	left = columns;
	view->r = view->r ?: buf_append(view->out, "[", 1);
	view_bar_part(view, &left, view_share(campaign->failed, total, columns), '!', OUTPUT_RED);
	view_bar_part(view, &left, view_share(campaign->cancelled, total, columns), 'x',
		      OUTPUT_YELLOW);
	view_bar_part(view, &left, view_share(campaign->under_way, total, columns), '>',
		      OUTPUT_PLAIN);
	view_bar_part(view, &left, view_share(campaign->succeeded, total, columns), '=',
		      OUTPUT_GREEN);
	view_bar_part(view, &left, left, ' ', OUTPUT_PLAIN);
	view->r =
		view->r
			?: buf_printf(
				   view->out, "] %u of %u, %u %%\n", view_ended(campaign), total,
				   total ? (unsigned)((uint64_t)view_ended(campaign) * 100 / total)
					 : 0);
	view->n_lines++;
}

static void view_head(struct view *view, const Pathbell__V1__Campaign *campaign)
{
	char id[ID_TEXT_SIZE] = "?";
	char text[1024];

	if (campaign->campaign_id.len == ID_SIZE)
		id_format(campaign->campaign_id.data, id);
	snprintf(text, sizeof(text), "%s%s%s  %s on %u host%s", id, *campaign->name ? " " : "",
		 campaign->name, campaign->verb, campaign->total, campaign->total == 1 ? "" : "s");
	view_line(view, OUTPUT_BOLD, text);
	snprintf(text, sizeof(text), "%s%s%s", campaign_state_name(campaign->state),
		 *campaign->state_reason ? ": " : "", campaign->state_reason);
	view_line(view, view_state_colour(campaign->state), text);
}

static void view_counts(struct view *view, const Pathbell__V1__Campaign *campaign)
{
	char text[1024];
	size_t len;

	snprintf(text, sizeof(text),
		 "wave %u (%u): %u under way, %u waiting, %u succeeded, %u failed, %u cancelled",
		 campaign->wave, campaign->wave_size, campaign->under_way, campaign->waiting,
		 campaign->succeeded, campaign->failed, campaign->cancelled);
	view_line(view, OUTPUT_PLAIN, text);
	len = 0;
	for (size_t i = 0; i < campaign->n_lives && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %u", i ? ", " : "",
					command_life_name(campaign->lives[i]->life),
					campaign->lives[i]->hosts);
	if (campaign->n_lives)
		view_line(view, OUTPUT_DIM, text);
}

int campaign_view(const struct output *output, const Pathbell__V1__Campaign *campaign,
		  struct buf *out, size_t *ret_lines)
{
	struct view view = { .output = output, .out = out };
	size_t n = campaign->n_failures;
	char text[1536];

	view_head(&view, campaign);
	view_bar(&view, campaign);
	view_counts(&view, campaign);
	for (size_t i = 0; i < n && i < CAMPAIGN_SHOWN_FAILURES; i++) {
		campaign_view_failure(campaign_failure(campaign, i), text, sizeof(text));
		view_line(&view, OUTPUT_RED, text);
	}
	if (n > CAMPAIGN_SHOWN_FAILURES) {
		snprintf(text, sizeof(text), "and %u more that failed",
			 campaign->failed - CAMPAIGN_SHOWN_FAILURES);
		view_line(&view, OUTPUT_RED, text);
	}
	*ret_lines = view.n_lines;
	return view.r;
}

/* ---- campaign show ---- */

static uint32_t view_or(uint32_t value, uint32_t initial)
{
	return value ? value : initial;
}

/* Defaults: command.proto, CommandCampaign. */
void campaign_show_policy(struct cli *cli, const Pathbell__V1__CommandCampaign *policy)
{
	output_line(&cli->out,
		    VIEW_LABEL "%u first, each wave then %u times the last; jitter %u ms", "waves",
		    view_or(policy->canary, 1), view_or(policy->growth, 2), policy->jitter_ms);
	output_line(&cli->out, VIEW_LABEL "at most %u, %u %% of all, %u on one storage target",
		    "at once", view_or(policy->max_parallel, 50),
		    view_or(policy->max_parallel_percent, 10), view_or(policy->max_per_target, 5));
	output_line(&cli->out, VIEW_LABEL "at failure %u, and above %u fault events in 10 s",
		    "stops", policy->error_budget + 1, view_or(policy->storm_events, 1000));
}

static void view_show_times(struct cli *cli, const Pathbell__V1__Campaign *campaign)
{
	char submitted[WHEN_TEXT_SIZE];
	char expires[WHEN_TEXT_SIZE];

	when_format(campaign->submitted_unix_ns, cli->out.utc, submitted);
	when_format(campaign->expires_unix_ns, cli->out.utc, expires);
	output_line(&cli->out, VIEW_LABEL "%s", "reason", campaign->reason);
	output_line(&cli->out, VIEW_LABEL "%s, sent by %s", "issuer", campaign->issuer,
		    campaign->submitted_by);
	output_line(&cli->out, VIEW_LABEL "%s, expires %s", "submitted", submitted, expires);
}

void campaign_show(struct cli *cli, const Pathbell__V1__Campaign *campaign)
{
	struct buf block = { .max = 1 << 20 };
	char when[WHEN_TEXT_SIZE];
	char text[1536];
	size_t lines = 0;
	Pathbell__V1__Campaign head = *campaign;

	head.n_failures = 0; /* all of them stand at the end, with their times */
	if (campaign_view(&cli->out, &head, &block, &lines) == 0)
		fwrite(block.data, 1, block.size, cli->out.file);
	buf_deinit(&block);
	view_show_times(cli, campaign);
	if (campaign->policy)
		campaign_show_policy(cli, campaign->policy);
	for (size_t i = 0; i < campaign->n_failures; i++) {
		const Pathbell__V1__CampaignFailure *failure = campaign_failure(campaign, i);

		when_format(failure->unix_ns, cli->out.utc, when);
		campaign_view_failure(failure, text, sizeof(text));
		output_line(&cli->out, "%s %s", when, text);
	}
}
