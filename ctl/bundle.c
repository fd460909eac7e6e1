/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/bundle.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/id.h"
#include "ctl/events.h"

#define BUNDLE_MARK 64 /* the mark is in the last so many bytes */

void bundle_init(struct bundle *bundle, const char *host_id)
{
	*bundle = (struct bundle){ .text = { .max = BUNDLE_MAX_SIZE } };
	snprintf(bundle->host_id, sizeof(bundle->host_id), "%s", host_id);
}

void bundle_deinit(struct bundle *bundle)
{
	buf_deinit(&bundle->text);
}

/* The host's mark on the last line, where it cut the bundle. */
static void bundle_take_mark(struct bundle *bundle)
{
	static const char mark[] = "\n[cut: ";
	const char *text = (const char *)bundle->text.data;
	size_t size = bundle->text.size;
	size_t start = size > BUNDLE_MARK ? size - BUNDLE_MARK : 0;
	const char *at = size ? memmem(text + start, size - start, mark, sizeof(mark) - 1) : NULL;

	if (at && text[size - 1] == '\n')
		snprintf(bundle->note, sizeof(bundle->note),
			 "the bundle was %.*s; --max-bytes allows more",
			 (int)(text + size - at - 4), at + 2);
}

int bundle_add(struct bundle *bundle, const Pathbell__V1__CommandState *state)
{
	int r;

	if (bundle->complete || state->chunk < bundle->next_chunk)
		return 0;
	if (state->chunk > bundle->next_chunk && !bundle->missing) {
		bundle->missing = true;
		bundle->missing_at = bundle->next_chunk;
	}
	r = buf_append(&bundle->text, state->output.data, state->output.len);
	if (r != 0)
		return r;
	bundle->next_chunk = state->chunk + 1;
	if (!state->output_last)
		return 0;
	bundle->complete = true;
	snprintf(bundle->note, sizeof(bundle->note), "%s", state->detail);
	if (!*bundle->note)
		bundle_take_mark(bundle);
	return 0;
}

/* ---- fetching ---- */

struct bundles {
	const Pathbell__V1__Command *command;
	struct bundle *bundles;
	size_t n;
	size_t refused; /* bundles above the limit */
};

static struct bundle *bundles_find(struct bundles *all, const char *host_id)
{
	for (size_t i = 0; i < all->n; i++) {
		if (strcmp(all->bundles[i].host_id, host_id) == 0)
			return &all->bundles[i];
	}
	return NULL;
}

static int bundles_take(void *data, const Pathbell__V1__StoredEvent *stored)
{
	struct bundles *all = data;
	const Pathbell__V1__Event *event = stored->event;
	struct bundle *bundle = bundles_find(all, stored->host_id);
	int r;

	if (!bundle || !event || event->payload_case != PATHBELL__V1__EVENT__PAYLOAD_COMMAND_STATE)
		return CLI_OK;
	if (event->command_state->command_id.len != ID_SIZE ||
	    memcmp(event->command_state->command_id.data, all->command->id.data, ID_SIZE) != 0)
		return CLI_OK;
	r = bundle_add(bundle, event->command_state);
	if (r == -ENOMEM)
		return cli_fail(CLI_FAILED, "out of memory");
	all->refused += r != 0;
	return CLI_OK;
}

/* ---- writing ---- */

/* A terminal gets its lines escaped: a host's text must not steer it. */
static void bundle_print(struct cli *cli, const struct bundle *bundle)
{
	const char *text = (const char *)bundle->text.data;
	size_t left = bundle->text.size;

	if (cli->out.width == 0 && left) {
		fwrite(text, 1, left, cli->out.file);
		return;
	}
	while (left) {
		const char *end = memchr(text, '\n', left);
		size_t len = end ? (size_t)(end - text) : left;
		struct buf line = { .max = 1 << 22 };

		if (output_escape(&line, text, len) == 0)
			output_raw_line(&cli->out, &line);
		buf_deinit(&line);
		len += end != NULL;
		text += len;
		left -= len;
	}
}

static int bundle_json(struct cli *cli, const struct bundle *bundle)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return cli_fail(CLI_FAILED, "out of memory");
	json_object_object_add(object, "host_id", json_object_new_string(bundle->host_id));
	json_object_object_add(object, "complete",
			       json_object_new_boolean(bundle->complete && !bundle->missing));
	json_object_object_add(object, "note", json_object_new_string(bundle->note));
	json_object_object_add(object, "text",
			       json_object_new_string_len((const char *)bundle->text.data,
							  (int)bundle->text.size));
	return output_json(&cli->out, object) == 0 ? CLI_OK : CLI_FAILED;
}

static int bundle_write_file(struct cli *cli, const struct bundle *bundle, bool several)
{
	const char *base = cli_get(cli, "bundle-out");
	char path[4096];
	int r;

	snprintf(path, sizeof(path), "%s%s%s", base, several ? "." : "",
		 several ? bundle->host_id : "");
	r = file_replace(path, bundle->text.data, bundle->text.size, 0600);
	if (r < 0)
		return cli_fail(CLI_FAILED, "%s: %s", path, strerror(-r));
	output_line(&cli->out, "%s: %zu bytes written to %s", bundle->host_id, bundle->text.size,
		    path);
	return CLI_OK;
}

static int bundle_write(struct cli *cli, const struct bundle *bundle, bool several)
{
	int code = CLI_OK;

	if (cli_get(cli, "bundle-out"))
		code = bundle_write_file(cli, bundle, several);
	else if (cli->out.json)
		code = bundle_json(cli, bundle);
	else if (several)
		output_line(&cli->out, "==> %s <==", bundle->host_id);
	if (!cli_get(cli, "bundle-out") && !cli->out.json)
		bundle_print(cli, bundle);
	if (bundle->missing)
		return cli_fail(CLI_FAILED, "%s: the bundle has a hole: chunk %u is missing",
				bundle->host_id, bundle->missing_at);
	if (!bundle->next_chunk)
		return cli_fail(CLI_FAILED, "%s: no bundle came", bundle->host_id);
	if (!bundle->complete)
		return cli_fail(CLI_FAILED, "%s: the end of the bundle is missing, behind chunk %u",
				bundle->host_id, bundle->next_chunk - 1);
	if (*bundle->note)
		cli_fail(CLI_OK, "%s: %s", bundle->host_id, bundle->note);
	return code;
}

bool bundle_takes_output(const struct cli *cli, const Pathbell__V1__Command *command)
{
	return command->verb == PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_DIAG &&
	       !command->dry_run && !cli_has(cli, "bundle-out") && !cli_has(cli, "no-wait");
}

int bundle_fetch(struct cli *cli, struct client *client, const Pathbell__V1__Command *command,
		 uint64_t after_id)
{
	Pathbell__V1__EventFilter filter = PATHBELL__V1__EVENT_FILTER__INIT;
	struct bundles all = { .command = command, .n = command->n_host_ids };
	int code;

	all.bundles = calloc(all.n, sizeof(*all.bundles));
	if (!all.bundles)
		return cli_fail(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < all.n; i++)
		bundle_init(&all.bundles[i], command->host_ids[i]);
	filter.kind_glob = (char *)"command.output";
	if (command->n_host_ids <= EVENTS_MAX_HOSTS) {
		filter.host_ids = command->host_ids;
		filter.n_host_ids = command->n_host_ids;
	}
	code = events_pages(client, &filter, after_id, 0, bundles_take, &all);
	if (all.refused)
		code = cli_fail(CLI_FAILED, "%zu chunks above %d bytes were left out", all.refused,
				BUNDLE_MAX_SIZE);
	for (size_t i = 0; i < all.n; i++) {
		int wrote = bundle_write(cli, &all.bundles[i], all.n > 1);

		code = code == CLI_OK ? wrote : code;
		bundle_deinit(&all.bundles[i]);
	}
	free(all.bundles);
	return code;
}
