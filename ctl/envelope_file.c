/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/envelope_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/errmsg.h"
#include "core/file.h"
#include "core/id.h"
#include "pathbell/v1/fleet.pb-c.h"
#include "proto/codec.h"

/* A campaign's file is larger than a request of one command. */
static const struct scan_limits envelope_file_limits = {
	.max_size = ENVELOPE_FILE_MAX_SIZE,
	.max_fields = 4096,
	.max_depth = 4,
	.max_elements = ENVELOPE_FILE_MAX_ENVELOPES,
	.max_allocation = 2 * (size_t)ENVELOPE_FILE_MAX_SIZE,
};

/* Commands of 10000 hosts are more elements than the scan of other requests allows. */
static const struct scan_limits envelope_command_limits = {
	.max_size = 128 * 1024,
	.max_fields = 16384,
	.max_depth = 8,
	.max_elements = 10000,
	.max_allocation = 4 * 1024 * 1024,
};

static bool envelope_item_parse(struct envelope_item *item, const void *data, size_t size,
				struct errmsg *err)
{
	item->envelope = codec_unpack(&pathbell__v1__signed_command__descriptor,
				      &envelope_command_limits, NULL, data, size, err);
	if (!item->envelope)
		return false;
	if (item->envelope->n_signatures == 0) {
		errmsg_set(err, "no signature");
		return false;
	}
	item->command =
		codec_unpack(&pathbell__v1__command__descriptor, &envelope_command_limits, NULL,
			     item->envelope->command.data, item->envelope->command.len, err);
	if (!item->command)
		return false;
	if (item->command->id.len != ID_SIZE || item->command->n_host_ids == 0) {
		errmsg_set(err, "a command without %s",
			   item->command->id.len != ID_SIZE ? "an id of 16 bytes" : "hosts");
		return false;
	}
	item->data = malloc(size + 1);
	if (!item->data) {
		errmsg_set(err, "out of memory");
		return false;
	}
	memcpy(item->data, data, size);
	item->size = size;
	return true;
}

static void envelope_item_deinit(struct envelope_item *item)
{
	if (item->envelope)
		protobuf_c_message_free_unpacked(&item->envelope->base, NULL);
	if (item->command)
		protobuf_c_message_free_unpacked(&item->command->base, NULL);
	free(item->data);
	*item = (struct envelope_item){ 0 };
}

void envelope_file_deinit(struct envelope_file *file)
{
	for (size_t i = 0; i < file->n; i++)
		envelope_item_deinit(&file->items[i]);
	free(file->items);
	*file = (struct envelope_file){ 0 };
}

static bool envelope_same_campaign(const Pathbell__V1__Command *a, const Pathbell__V1__Command *b)
{
	return a->campaign && b->campaign && a->campaign->id.len == ID_SIZE &&
	       b->campaign->id.len == ID_SIZE &&
	       memcmp(a->campaign->id.data, b->campaign->id.data, ID_SIZE) == 0 &&
	       a->verb == b->verb;
}

static bool envelope_file_parse_all(struct envelope_file *file,
				    const Pathbell__V1__SubmitCampaignRequest *request,
				    struct errmsg *err)
{
	for (size_t i = 0; i < request->n_envelopes; i++) {
		file->n++;
		if (!envelope_item_parse(&file->items[i], request->envelopes[i].data,
					 request->envelopes[i].len, err))
			return false;
		if (!envelope_same_campaign(file->items[0].command, file->items[i].command)) {
			errmsg_set(err, "envelope %zu is not of the campaign of the first", i + 1);
			return false;
		}
	}
	return true;
}

static bool envelope_file_parse_campaign(struct envelope_file *file, const void *data, size_t size,
					 struct errmsg *err)
{
	Pathbell__V1__SubmitCampaignRequest *request =
		codec_unpack(&pathbell__v1__submit_campaign_request__descriptor,
			     &envelope_file_limits, NULL, data, size, err);
	bool ok = false;

	if (!request)
		return false;
	file->campaign = true;
	file->items = calloc(request->n_envelopes + 1, sizeof(*file->items));
	if (request->n_envelopes == 0)
		errmsg_set(err, "it is empty");
	else if (!file->items)
		errmsg_set(err, "out of memory");
	else
		ok = envelope_file_parse_all(file, request, err);
	protobuf_c_message_free_unpacked(&request->base, NULL);
	return ok;
}

int envelope_file_parse(const char *path, const void *data, size_t size,
			struct envelope_file *ret_file)
{
	struct envelope_file file = { .n = 1 };
	struct errmsg first = { 0 };
	struct errmsg err = { 0 };

	file.items = calloc(1, sizeof(*file.items));
	if (!file.items)
		return cli_fail(CLI_FAILED, "out of memory");
	if (envelope_item_parse(&file.items[0], data, size, &first)) {
		*ret_file = file;
		return CLI_OK;
	}
	envelope_file_deinit(&file);
	if (envelope_file_parse_campaign(&file, data, size, &err)) {
		*ret_file = file;
		return CLI_OK;
	}
	envelope_file_deinit(&file);
	return cli_fail(CLI_FAILED, "%s: neither a signed command (%s) nor a signed campaign (%s)",
			path, first.text, err.text);
}

int envelope_file_read(const char *path, struct envelope_file *ret_file)
{
	char *data = NULL;
	size_t size = 0;
	int r = file_read(path, ENVELOPE_FILE_MAX_SIZE, &data, &size);
	int code;

	if (r < 0)
		return cli_fail(r == -ENOENT   ? CLI_NOT_FOUND
				: r == -EACCES ? CLI_PERMISSION
					       : CLI_FAILED,
				"%s: %s", path, strerror(-r));
	code = envelope_file_parse(path, data, size, ret_file);
	free(data);
	return code;
}

int envelope_file_set(struct envelope_file *file, size_t index, const struct buf *data)
{
	struct envelope_item item = { 0 };
	struct errmsg err = { 0 };

	if (!envelope_item_parse(&item, data->data, data->size, &err)) {
		envelope_item_deinit(&item);
		return cli_fail_errmsg(CLI_FAILED, &err);
	}
	envelope_item_deinit(&file->items[index]);
	file->items[index] = item;
	return CLI_OK;
}

static int envelope_file_pack(const struct envelope_file *file, struct buf *out)
{
	Pathbell__V1__SubmitCampaignRequest request = PATHBELL__V1__SUBMIT_CAMPAIGN_REQUEST__INIT;
	ProtobufCBinaryData *list = calloc(file->n, sizeof(*list));
	size_t size;
	int r;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < file->n; i++)
		list[i] = (ProtobufCBinaryData){ file->items[i].size, file->items[i].data };
	request.envelopes = list;
	request.n_envelopes = file->n;
	size = pathbell__v1__submit_campaign_request__get_packed_size(&request);
	r = buf_reserve(out, size);
	if (r == 0)
		out->size += pathbell__v1__submit_campaign_request__pack(&request, out->data);
	free(list);
	return r;
}

int envelope_file_write(const struct envelope_file *file, const char *path)
{
	struct buf out = { .max = ENVELOPE_FILE_MAX_SIZE };
	int r = file->campaign ? envelope_file_pack(file, &out)
			       : buf_append(&out, file->items[0].data, file->items[0].size);

	if (r == 0)
		r = file_replace(path, out.data, out.size, 0644);
	buf_deinit(&out);
	return r == 0 ? CLI_OK : cli_fail(CLI_FAILED, "%s: %s", path, strerror(-r));
}

size_t envelope_file_n_hosts(const struct envelope_file *file)
{
	size_t n = 0;

	for (size_t i = 0; i < file->n; i++)
		n += file->items[i].command->n_host_ids;
	return n;
}
