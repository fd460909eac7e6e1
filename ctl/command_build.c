/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/clock.h"
#include "core/config.h"
#include "ctl/command.h"
#include "ctl/verb.h"

#define COMMAND_DEFAULT_EXPIRES_NS  (300 * CLOCK_NS_PER_S)
#define COMMAND_CAMPAIGN_EXPIRES_NS (3600 * CLOCK_NS_PER_S)
#define COMMAND_MAX_EXPIRES_NS \
	(23 * 3600 * CLOCK_NS_PER_S) /* 24 h behind not_before is the protocol's limit */
#define COMMAND_MAX_TIMEOUT_NS (3600 * CLOCK_NS_PER_S)

static int command_duration(const struct cli *cli, const char *option, uint64_t initial_ns,
			    uint64_t max_ns, uint64_t *ret_ns)
{
	const char *text = cli_get(cli, option);
	struct errmsg err = { 0 };

	*ret_ns = initial_ns;
	if (text && config_parse_duration(text, ret_ns, &err) != 0)
		return cli_fail(CLI_USAGE, "--%s: %s", option, err.text);
	if (text && (*ret_ns < CLOCK_NS_PER_S || *ret_ns > max_ns))
		return cli_fail(CLI_USAGE, "--%s: '%s' is not between 1s and %llus", option, text,
				(unsigned long long)(max_ns / CLOCK_NS_PER_S));
	return CLI_OK;
}

/* ---- what must be named ---- */

static bool command_names_device(const Pathbell__V1__CommandTarget *target)
{
	return *target->name || *target->id;
}

static bool command_has_need(enum verb_need need, const Pathbell__V1__Command *command)
{
	static const Pathbell__V1__CommandTarget nothing = PATHBELL__V1__COMMAND_TARGET__INIT;
	const Pathbell__V1__CommandTarget *target = command->target ?: &nothing;

	switch (need) {
	case VERB_NEEDS_DEVICE:
		return command_names_device(target);
	case VERB_NEEDS_SUBSYSTEM:
		return *target->nqn && *target->transport_address;
	case VERB_NEEDS_ADDRESS:
		return *target->transport_address;
	case VERB_NEEDS_CONTROLLER:
		return *target->nqn || *target->transport_address || command_names_device(target);
	case VERB_NEEDS_PATH:
		return (*target->map_uuid || *target->map_name || *target->id) &&
		       (*target->path_wwid || *target->name || *target->transport_address);
	case VERB_NEEDS_GROUP:
		return (*target->map_uuid || *target->map_name) && target->group;
	case VERB_NEEDS_SCSI:
		return !(*target->path_wwid || command_names_device(target)) ==
		       (command->scsi_rescan->host != 0);
	default:
		return true;
	}
}

static int command_check_need(const struct verb *verb, const Pathbell__V1__Command *command)
{
	static const char *const sentences[] = {
		[VERB_NEEDS_DEVICE] = "give either --device NAME (sda, dm-3) or --id SUBJECT_ID "
				      "(wwid:..., dev:7:0)",
		[VERB_NEEDS_SUBSYSTEM] = "give --nqn NQN and the address: --transport tcp "
					 "--traddr ADDRESS",
		[VERB_NEEDS_ADDRESS] = "give the address: --transport tcp --traddr ADDRESS",
		[VERB_NEEDS_CONTROLLER] = "which controller? --nqn NQN with --traddr ADDRESS, "
					  "--id SUBJECT_ID or --device nvmeN",
		[VERB_NEEDS_PATH] =
			"which path? --map UUID and --path NAME (WWID where it is unique, "
			"or H:C:T:L)",
		[VERB_NEEDS_GROUP] = "give --map UUID and --group N",
		[VERB_NEEDS_SCSI] = "give either a device (--path WWID, --device NAME, --id "
				    "SUBJECT_ID) or --scsi-host N",
	};

	if (command_has_need(verb->need, command))
		return CLI_OK;
	return cli_fail(CLI_USAGE, "%s: %s", verb->word, sentences[verb->need]);
}

static int command_build_args(const struct cli *cli, const struct verb *verb,
			      const Pathbell__V1__CommandTarget *planned, struct command_plan *plan)
{
	int code;

	if (!verb)
		return cli_fail(CLI_USAGE, "no such verb");
	code = verb->need == VERB_NEEDS_NOTHING ? CLI_OK : command_target(cli, planned, plan);
	if (code == CLI_OK && verb->build)
		code = verb->build(cli, plan);
	return code == CLI_OK ? command_check_need(verb, &plan->command) : code;
}

static int command_build_texts(const struct cli *cli, const char *issuer, struct command_plan *plan)
{
	const char *given = cli_get(cli, "issuer");
	const char *reason = cli_get(cli, "reason");

	issuer = given ? given : issuer;
	if (!issuer || !*issuer)
		return cli_fail(
			CLI_USAGE,
			"who asks? The operator certificate cannot be read: give --issuer NAME");
	snprintf(plan->issuer, sizeof(plan->issuer), "%s", issuer);
	plan->command.issuer = plan->issuer;
	if (reason && strlen(reason) > COMMAND_MAX_REASON)
		return cli_fail(CLI_USAGE, "--reason is longer than %d bytes", COMMAND_MAX_REASON);
	plan->command.reason = (char *)(reason ?: "");
	return CLI_OK;
}

/* An id twice would be executed once and reported twice. */
static int command_build_hosts(const struct cli *cli, struct command_plan *plan)
{
	for (int i = 0; i < cli->n_operands; i++) {
		for (int j = 0; j < i; j++) {
			if (strcmp(cli->operands[i], cli->operands[j]) == 0)
				return cli_fail(CLI_USAGE, "host '%s' is named twice",
						cli->operands[i]);
		}
	}
	plan->command.host_ids = cli->operands;
	plan->command.n_host_ids = (size_t)cli->n_operands;
	return CLI_OK;
}

int command_build_for(const struct cli *cli, unsigned verb, const char *issuer, uint64_t now_ns,
		      const Pathbell__V1__CommandTarget *planned, struct command_plan *ret_plan)
{
	struct command_plan *plan = ret_plan;
	uint64_t expires_ns = 0;
	uint64_t timeout_ns = 0;
	int code;

	*plan = (struct command_plan){ .command = PATHBELL__V1__COMMAND__INIT };
	plan->command.verb = (Pathbell__V1__CommandVerb)verb;
	id_new(plan->id);
	plan->command.id = (ProtobufCBinaryData){ ID_SIZE, plan->id };
	code = command_duration(cli, "expires",
				cli_has(cli, "where") ? COMMAND_CAMPAIGN_EXPIRES_NS
						      : COMMAND_DEFAULT_EXPIRES_NS,
				COMMAND_MAX_EXPIRES_NS, &expires_ns);
	if (code == CLI_OK)
		code = command_duration(cli, "action-timeout", 0, COMMAND_MAX_TIMEOUT_NS,
					&timeout_ns);
	if (code == CLI_OK)
		code = command_build_texts(cli, issuer, plan);
	if (code == CLI_OK)
		code = command_build_args(cli, verb_find(verb), planned, plan);
	plan->command.not_before_unix_ms = now_ns / CLOCK_NS_PER_MS - COMMAND_BACKDATE_MS;
	plan->command.expires_unix_ms = (now_ns + expires_ns) / CLOCK_NS_PER_MS;
	plan->command.timeout_ms = (uint32_t)(timeout_ns / CLOCK_NS_PER_MS);
	plan->command.dry_run = cli_has(cli, "dry-run");
	plan->command.override_last_path = cli_has(cli, "override-last-path");
	return code;
}

int command_build(const struct cli *cli, unsigned verb, const char *issuer, uint64_t now_ns,
		  struct command_plan *ret_plan)
{
	int code = command_build_for(cli, verb, issuer, now_ns, NULL, ret_plan);

	return code == CLI_OK ? command_build_hosts(cli, ret_plan) : code;
}
