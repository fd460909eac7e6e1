/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/backoff.h"
#include "core/clock.h"
#include "ctl/campaign.h"
#include "ctl/when.h"

/*
 * The aggregator sends the whole campaign after each change. On a terminal the block is drawn over
 * itself: up by as many lines as it had, erase to the end, draw. Elsewhere a line for each change
 * of the counts, and each failure once. When the stream breaks it is opened again after
 * core/backoff; `version` tells what is new.
 */

struct watch {
	struct cli *cli;
	struct client *client;
	const uint8_t *id;
	struct backoff backoff;
	uint64_t deadline_ns; /* 0 = none */
	uint64_t failure_ns;  /* newest failure that was printed */
	bool live;	      /* the block is drawn again */
	size_t n_lines;	      /* of the block that stands there */
	char last[512];	      /* plain line that was printed */
	bool reported;	      /* the loss of the connection */
	bool over, stopped;
	uint32_t under_way;
	int code;
};

static bool watch_is_live(const struct output *output)
{
	const char *term = getenv("TERM");

	return !output->json && output->width && term && *term && strcmp(term, "dumb") != 0;
}

static void watch_draw(struct watch *watch, const Pathbell__V1__Campaign *campaign)
{
	struct output *output = &watch->cli->out;
	struct buf block = { .max = 1 << 20 };
	size_t n_lines = 0;
	int r = 0;

	/* CUU and ED, ECMA-48 sections 8.3.22 and 8.3.39 */
	if (watch->n_lines)
		r = buf_printf(&block, "\033[%zuA\r\033[J", watch->n_lines);
	r = r ?: campaign_view(output, campaign, &block, &n_lines);
	if (r == 0) {
		fwrite(block.data, 1, block.size, output->file);
		fflush(output->file);
		watch->n_lines = n_lines;
	}
	buf_deinit(&block);
}

static void watch_print_failures(struct watch *watch, const Pathbell__V1__Campaign *campaign)
{
	uint64_t newest = watch->failure_ns;

	/* oldest first on the output */
	for (size_t i = campaign->n_failures; i-- > 0;) {
		const Pathbell__V1__CampaignFailure *failure = campaign_failure(campaign, i);
		char when[WHEN_TEXT_SIZE];
		char text[1536];

		if (failure->unix_ns <= watch->failure_ns)
			continue;
		newest = failure->unix_ns > newest ? failure->unix_ns : newest;
		when_format(failure->unix_ns, watch->cli->out.utc, when);
		campaign_view_failure(failure, text, sizeof(text));
		output_line(&watch->cli->out, "%s %s", when, text);
	}
	watch->failure_ns = newest;
}

static void watch_print(struct watch *watch, const Pathbell__V1__Campaign *campaign)
{
	char text[sizeof(watch->last)];
	char when[WHEN_TEXT_SIZE];

	watch_print_failures(watch, campaign);
	campaign_view_line(campaign, text, sizeof(text));
	if (strcmp(text, watch->last) == 0)
		return;
	memcpy(watch->last, text, sizeof(text));
	when_format(campaign->changed_unix_ns ?: clock_realtime_ns(), watch->cli->out.utc, when);
	output_line(&watch->cli->out, "%s %s", when, text);
}

static void watch_take(struct watch *watch, const Pathbell__V1__Campaign *campaign)
{
	if (watch->cli->out.json)
		output_message(&watch->cli->out, &campaign->base);
	else if (watch->live)
		watch_draw(watch, campaign);
	else
		watch_print(watch, campaign);
	watch->stopped = campaign->state == PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_STOPPED;
	watch->under_way = campaign->under_way;
	watch->over = campaign_is_over(campaign);
	watch->code = campaign_exit_code(campaign);
}

/* Something else is printed now: the block stays where it is. */
static void watch_leave_block(struct watch *watch)
{
	watch->n_lines = 0;
}

static int watch_detached(struct watch *watch, const char *why)
{
	char id[ID_TEXT_SIZE];

	id_format(watch->id, id);
	return cli_fail(
		CLI_UNSUCCESSFUL,
		"%s; the campaign goes on. Look at it: pathbell campaign watch %s; stop it: "
		"pathbell campaign halt %s",
		why, id, id);
}

/* It goes on only when somebody says so. */
static int watch_stopped(struct watch *watch)
{
	char id[ID_TEXT_SIZE];

	id_format(watch->id, id);
	return cli_fail(watch->code,
			"the campaign has stopped, %u hosts are still under way. Go on: pathbell "
			"campaign resume %s; end it: pathbell campaign halt %s",
			watch->under_way, id, id);
}

/* -1: connect again. Else the exit status. */
static int watch_ended(struct watch *watch, const struct client_stream *stream, int r)
{
	if (watch->over && watch->stopped)
		return watch_stopped(watch);
	if (watch->over)
		return watch->code;
	if (r == CLIENT_E_INTERRUPTED)
		return watch_detached(watch, "detached");
	if (r == CLIENT_E_TIMEOUT)
		return watch_detached(watch, "the campaign has not ended in time");
	if (r == CLIENT_E_BAD_REPLY)
		return CLI_FAILED;
	if (!client_status_is_transient(client_stream_status(stream)))
		return client_stream_fail(stream);
	if (!watch->reported)
		cli_fail(0, "the connection was lost; connecting again");
	watch->reported = true;
	watch_leave_block(watch);
	return -1;
}

static int watch_once(struct watch *watch)
{
	Pathbell__V1__WatchCampaignRequest request = PATHBELL__V1__WATCH_CAMPAIGN_REQUEST__INIT;
	Pathbell__V1__Campaign *campaign = NULL;
	struct client_stream *stream;
	int code;
	int r = 0;

	request.campaign_id = (ProtobufCBinaryData){ ID_SIZE, (uint8_t *)watch->id };
	stream = client_stream_open(watch->client, "/pathbell.v1.Fleet/WatchCampaign",
				    &request.base, &pathbell__v1__campaign__descriptor);
	if (!stream)
		return cli_fail(CLI_FAILED, "out of memory");
	while (!watch->over &&
	       (r = client_stream_next(stream, watch->deadline_ns, (void **)&campaign)) == 0) {
		if (!watch->backoff.up_since_ns)
			backoff_up(&watch->backoff, clock_monotonic_ns());
		watch->reported = false;
		watch_take(watch, campaign);
		protobuf_c_message_free_unpacked(&campaign->base, NULL);
	}
	code = watch_ended(watch, stream, r);
	client_stream_close(stream);
	return code;
}

static int watch_again(struct watch *watch)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t next_ns = backoff_down(&watch->backoff, now_ns);

	if (watch->deadline_ns && next_ns > watch->deadline_ns)
		next_ns = watch->deadline_ns;
	if (client_pause(watch->client, next_ns > now_ns ? next_ns - now_ns : 0))
		return watch_ended(watch, NULL, CLIENT_E_INTERRUPTED);
	if (watch->deadline_ns && clock_monotonic_ns() >= watch->deadline_ns)
		return watch_ended(watch, NULL, CLIENT_E_TIMEOUT);
	return client_reconnect(watch->client) == CLI_OK ? -1 : CLI_FAILED;
}

int campaign_watch(struct cli *cli, struct client *client, const uint8_t id[ID_SIZE],
		   uint64_t timeout_ns)
{
	static const struct backoff_options options = {
		.base_ns = 200 * CLOCK_NS_PER_MS,
		.cap_ns = 3 * CLOCK_NS_PER_S,
		.healthy_ns = CLOCK_NS_PER_S,
	};
	struct watch watch = { .cli = cli, .client = client, .id = id };
	int code = client_catch_interrupts(client);

	watch.live = watch_is_live(&cli->out);
	watch.deadline_ns = timeout_ns ? clock_monotonic_ns() + timeout_ns : 0;
	backoff_init(&watch.backoff, &options, clock_realtime_ns() ^ (uint64_t)getpid());
	if (code != CLI_OK)
		return code;
	do {
		code = watch_once(&watch);
		if (code == -1)
			code = watch_again(&watch);
	} while (code == -1);
	return code;
}
