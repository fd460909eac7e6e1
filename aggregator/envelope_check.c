/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/envelope_check.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ENVELOPE_MAX_SIZE    131072 /* ingest.proto: CommandDelivery.envelope */
#define ENVELOPE_MAX_COMMAND 65536
#define ENVELOPE_MAX_LIFE_MS (24u * 3600 * 1000)
#define ENVELOPE_MAX_REASON  512
#define ENVELOPE_MAX_SIGNERS 4

static bool envelope_host_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > 128)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	return true;
}

static int envelope_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* NULL or what is wrong. */
static const char *envelope_hosts(const Pathbell__V1__Command *command)
{
	const char *wrong = NULL;
	const char **sorted;

	if (command->n_host_ids == 0)
		return "command.host_ids: empty";
	if (command->n_host_ids > ENVELOPE_CHECK_MAX_HOSTS)
		return "command.host_ids: more than 10000";
	for (size_t i = 0; i < command->n_host_ids; i++)
		if (!envelope_host_is_valid(command->host_ids[i]))
			return "command.host_ids: not 1 to 128 of letters, digits, '.', '_', '-'";
	sorted = malloc(command->n_host_ids * sizeof(*sorted));
	if (!sorted)
		return "no memory";
	memcpy(sorted, command->host_ids, command->n_host_ids * sizeof(*sorted));
	qsort(sorted, command->n_host_ids, sizeof(*sorted), envelope_compare);
	for (size_t i = 1; i < command->n_host_ids; i++)
		if (strcmp(sorted[i - 1], sorted[i]) == 0)
			wrong = "command.host_ids: a host twice";
	free(sorted);
	return wrong;
}

static const char *envelope_command(const Pathbell__V1__Command *command, uint64_t now_unix_ms)
{
	if (command->id.len != 16)
		return "command.id: not 16 bytes";
	if (command->verb == PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UNSPECIFIED)
		return "command.verb: missing";
	if (strlen(command->reason) > ENVELOPE_MAX_REASON)
		return "command.reason: longer than 512 bytes";
	if (strlen(command->issuer) > 256)
		return "command.issuer: longer than 256 bytes";
	if (command->expires_unix_ms == 0)
		return "command.expires_unix_ms: missing";
	if (command->expires_unix_ms <= now_unix_ms)
		return "command.expires_unix_ms: the command has expired";
	if (command->expires_unix_ms > UINT64_MAX / 1000000 ||
	    command->not_before_unix_ms >= command->expires_unix_ms ||
	    command->expires_unix_ms - command->not_before_unix_ms > ENVELOPE_MAX_LIFE_MS)
		return "command.expires_unix_ms: not within 24 h behind not_before_unix_ms";
	return envelope_hosts(command);
}

static const char *envelope_signatures(const Pathbell__V1__SignedCommand *envelope)
{
	if (envelope->n_signatures == 0)
		return "envelope.signatures: none";
	if (envelope->n_signatures > ENVELOPE_MAX_SIGNERS)
		return "envelope.signatures: more than 4";
	for (size_t i = 0; i < envelope->n_signatures; i++)
		if (envelope->signatures[i]->signature.len != 64)
			return "envelope.signatures.signature: not 64 bytes";
	if (envelope->command.len == 0 || envelope->command.len > ENVELOPE_MAX_COMMAND)
		return "envelope.command: empty or above 65536 bytes";
	return NULL;
}

int envelope_check(const uint8_t *envelope, size_t size, uint64_t now_unix_ms,
		   Pathbell__V1__SignedCommand **ret_envelope, Pathbell__V1__Command **ret_command,
		   struct errmsg *err)
{
	Pathbell__V1__SignedCommand *outer = NULL;
	Pathbell__V1__Command *inner = NULL;
	const char *wrong = size > ENVELOPE_MAX_SIZE ? "envelope: above 131072 bytes" : NULL;

	if (!wrong) {
		outer = codec_unpack(&pathbell__v1__signed_command__descriptor,
				     &scan_limits_request, NULL, envelope, size, err);
		if (!outer)
			return -EINVAL;
		wrong = envelope_signatures(outer);
	}
	if (!wrong) {
		inner = codec_unpack(&pathbell__v1__command__descriptor, &scan_limits_request, NULL,
				     outer->command.data, outer->command.len, err);
		if (inner)
			wrong = envelope_command(inner, now_unix_ms);
	}
	if (!wrong && inner) {
		*ret_envelope = outer;
		*ret_command = inner;
		return 0;
	}
	if (wrong)
		errmsg_set(err, "%s", wrong);
	if (outer)
		protobuf_c_message_free_unpacked(&outer->base, NULL);
	if (inner)
		protobuf_c_message_free_unpacked(&inner->base, NULL);
	return -EINVAL;
}
