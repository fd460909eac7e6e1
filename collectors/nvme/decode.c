/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme/decode.h"

#include <errno.h>
#include <string.h>

#include "collectors/nvme/aen.h"

/* The kernel says "none" for what is not set, and "(null)" for an address of the loop transport. */
static const char *decode_text(const struct uevent *uevent, const char *key)
{
	const char *value = uevent_get(uevent, key);

	if (value == NULL || strcmp(value, "none") == 0 || strcmp(value, "(null)") == 0)
		return "";
	return value;
}

static uint32_t decode_number(const struct uevent *uevent, const char *key)
{
	uint64_t value;

	if (!uevent_get_number(uevent, key, &value) || value > UINT32_MAX)
		return 0;
	return (uint32_t)value;
}

static int decode_change(const struct uevent *uevent, struct decode_notice *notice)
{
	const char *event = decode_text(uevent, "NVME_EVENT");
	uint64_t aen;

	notice->kind = DECODE_CHANGED;
	if (strcmp(event, "connected") == 0)
		notice->kind = DECODE_CONNECTED;
	else if (strcmp(event, "rediscover") == 0)
		notice->kind = DECODE_REDISCOVER;
	else if (uevent_get(uevent, "NVME_AEN") != NULL) {
		if (!uevent_get_number(uevent, "NVME_AEN", &aen) || aen > UINT32_MAX)
			return -EBADMSG;
		notice->kind = DECODE_AEN;
		notice->aen = (uint32_t)aen;
	}
	return 0;
}

static int decode_controller(const struct uevent *uevent, struct decode_notice *notice)
{
	notice->name = decode_text(uevent, "DEVNAME");
	if (strncmp(notice->name, "nvme", 4) != 0)
		return -EBADMSG;
	notice->transport = decode_text(uevent, "NVME_TRTYPE");
	notice->traddr = decode_text(uevent, "NVME_TRADDR");
	notice->trsvcid = decode_text(uevent, "NVME_TRSVCID");
	notice->host_traddr = decode_text(uevent, "NVME_HOST_TRADDR");
	notice->host_iface = decode_text(uevent, "NVME_HOST_IFACE");
	notice->major = decode_number(uevent, "MAJOR");
	notice->minor = decode_number(uevent, "MINOR");
	if (strcmp(uevent->action, "add") == 0)
		notice->kind = DECODE_ADDED;
	else if (strcmp(uevent->action, "remove") == 0)
		notice->kind = DECODE_REMOVED;
	else if (strcmp(uevent->action, "change") == 0)
		return decode_change(uevent, notice);
	return 0;
}

int decode_uevent(const struct uevent *uevent, struct decode_notice *ret_notice)
{
	struct decode_notice notice = { .name = "",
					.transport = "",
					.traddr = "",
					.trsvcid = "",
					.host_traddr = "",
					.host_iface = "",
					.seqnum = uevent->seqnum };
	int r = 0;

	if (strcmp(uevent->subsystem, "nvme") == 0) {
		r = decode_controller(uevent, &notice);
	} else if (strcmp(uevent->subsystem, "fc") == 0 &&
		   strcmp(decode_text(uevent, "FC_EVENT"), "nvmediscovery") == 0) {
		notice.kind = DECODE_FC_DISCOVERY;
		notice.transport = "fc";
		notice.traddr = decode_text(uevent, "NVMEFC_TRADDR");
		notice.host_traddr = decode_text(uevent, "NVMEFC_HOST_TRADDR");
	}
	if (r == 0)
		*ret_notice = notice;
	return r;
}

static int decode_need(const struct format *format, const char *name, struct format_field *ret,
		       struct errmsg *err)
{
	const struct format_field *field = format_find(format, name);

	if (field == NULL) {
		errmsg_set(err, "%s has no field %s", format->event, name);
		return -EBADMSG;
	}
	*ret = *field;
	return 0;
}

int decode_trace_init(struct decode_trace *trace, const struct format *format, struct errmsg *err)
{
	int r = decode_need(format, FORMAT_COMMON_TYPE, &trace->common_type, err);

	if (r == 0)
		r = decode_need(format, "ctrl_id", &trace->ctrl_id, err);
	if (r == 0)
		r = decode_need(format, "result", &trace->result, err);
	trace->type = (uint16_t)format->id;
	return r;
}

int decode_trace_record(const struct decode_trace *trace, const void *data, size_t size,
			uint32_t *ret_instance, uint32_t *ret_aen)
{
	uint64_t type, instance, result;

	if (!format_uint(&trace->common_type, data, size, &type))
		return -EBADMSG;
	if (type != trace->type)
		return DECODE_E_OTHER_EVENT;
	if (!format_uint(&trace->ctrl_id, data, size, &instance) || instance > INT32_MAX ||
	    !format_uint(&trace->result, data, size, &result) || result > UINT32_MAX)
		return -EBADMSG;
	*ret_instance = (uint32_t)instance;
	*ret_aen = aen_from_trace((uint32_t)result);
	return 0;
}

static char *decode_address_place(struct decode_address *address, const char *key, size_t key_len)
{
	const struct {
		const char *key;
		char *place;
	} places[] = { { "traddr", address->traddr },
		       { "trsvcid", address->trsvcid },
		       { "host_traddr", address->host_traddr },
		       { "host_iface", address->host_iface },
		       { "src_addr", address->src_addr } };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (strlen(places[i].key) == key_len && memcmp(places[i].key, key, key_len) == 0)
			return places[i].place;
	}
	return NULL;
}

size_t decode_address(const char *text, struct decode_address *ret_address)
{
	struct decode_address address = { 0 };
	size_t n_found = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, ", \t\n");
		const char *equals = memchr(text, '=', len);
		char *place = NULL;

		if (equals != NULL)
			place = decode_address_place(&address, text, (size_t)(equals - text));
		if (place != NULL) {
			size_t value_len = len - (size_t)(equals + 1 - text);

			if (value_len >= DECODE_TEXT)
				value_len = DECODE_TEXT - 1;
			memcpy(place, equals + 1, value_len);
			place[value_len] = '\0';
			n_found++;
		}
		text += len;
		text += strspn(text, ", \t\n");
	}
	*ret_address = address;
	return n_found;
}
