/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "collectors/uevent/uevent.h"

/*
 * A message is a row of strings, each with its NUL: "ACTION@DEVPATH", then KEY=VALUE ones
 * (kobject_uevent_env and uevent_net_broadcast, lib/kobject_uevent.c, Linux 6.12). All of it must
 * be like that: half a message could name the wrong device.
 */
static int uevent_parse_header(char *header, struct uevent *event)
{
	char *at = strchr(header, '@');

	if (at == NULL || at == header)
		return -EBADMSG;
	*at = '\0';
	event->action = header;
	event->devpath = at + 1;
	return 0;
}

static int uevent_parse_property(char *text, struct uevent *event)
{
	char *equals = strchr(text, '=');

	if (equals == NULL || equals == text || event->n_properties == UEVENT_MAX_PROPERTIES)
		return -EBADMSG;
	*equals = '\0';
	event->properties[event->n_properties++] =
		(struct uevent_property){ .key = text, .value = equals + 1 };
	return 0;
}

int uevent_parse(char *message, size_t size, struct uevent *ret_event)
{
	struct uevent event = { .subsystem = "" };
	const char *subsystem;
	size_t at;

	if (size == 0 || message[size - 1] != '\0')
		return -EBADMSG;
	/* The header is cut in two by the parser: its length first. */
	at = strlen(message) + 1;
	if (uevent_parse_header(message, &event) != 0)
		return -EBADMSG;
	while (at < size) {
		size_t next = at + strlen(message + at) + 1;

		if (uevent_parse_property(message + at, &event) != 0)
			return -EBADMSG;
		at = next;
	}
	subsystem = uevent_get(&event, "SUBSYSTEM");
	if (subsystem != NULL)
		event.subsystem = subsystem;
	if (!uevent_get_number(&event, "SEQNUM", &event.seqnum))
		event.seqnum = 0;
	*ret_event = event;
	return 0;
}

const char *uevent_get(const struct uevent *event, const char *key)
{
	for (size_t i = 0; i < event->n_properties; i++)
		if (strcmp(event->properties[i].key, key) == 0)
			return event->properties[i].value;
	return NULL;
}

static int uevent_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

bool uevent_get_number(const struct uevent *event, const char *key, uint64_t *ret_value)
{
	const char *text = uevent_get(event, key);
	uint64_t value = 0;
	unsigned base = 10;

	if (text != NULL && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (text == NULL || *text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		unsigned digit = (unsigned)uevent_digit(*text);

		if (digit >= base || value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	*ret_value = value;
	return true;
}
