/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/clock.h"
#include "core/config.h"
#include "ctl/command.h"

#define COMMAND_DEFAULT_EXPIRES_NS (300 * CLOCK_NS_PER_S)
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

static int command_build_probe(const struct cli *cli, struct command_plan *plan)
{
	const char *device = cli_get(cli, "device");
	const char *id = cli_get(cli, "id");

	if (!device == !id)
		return cli_fail(CLI_USAGE, "give either --device NAME (sda, dm-3) or --id "
					   "SUBJECT_ID (wwid:..., dev:7:0)");
	pathbell__v1__command_target__init(&plan->target);
	pathbell__v1__probe_args__init(&plan->probe);
	if (device && strncmp(device, "/dev/", 5) == 0)
		device += 5;
	plan->target.name = (char *)(device ?: "");
	plan->target.id = (char *)(id ?: "");
	plan->command.target = &plan->target;
	plan->probe.target = &plan->target;
	plan->probe.read_sector = cli_has(cli, "read");
	plan->command.args_case = PATHBELL__V1__COMMAND__ARGS_PROBE;
	plan->command.probe = &plan->probe;
	return CLI_OK;
}

static int command_build_resync(const struct cli *cli, struct command_plan *plan)
{
	const char *names[COMMAND_MAX_COLLECTORS];
	size_t n = cli_get_all(cli, "collector", names, COMMAND_MAX_COLLECTORS);

	if (n > COMMAND_MAX_COLLECTORS)
		return cli_fail(CLI_USAGE, "more than %d --collector", COMMAND_MAX_COLLECTORS);
	pathbell__v1__resync_args__init(&plan->resync);
	for (size_t i = 0; i < n; i++)
		plan->collectors[i] = (char *)names[i];
	plan->resync.collectors = plan->collectors;
	plan->resync.n_collectors = n;
	plan->command.args_case = PATHBELL__V1__COMMAND__ARGS_RESYNC;
	plan->command.resync = &plan->resync;
	return CLI_OK;
}

static int command_build_reconnect(const struct cli *cli, struct command_plan *plan)
{
	pathbell__v1__uplink_reconnect_args__init(&plan->reconnect);
	plan->reconnect.address = (char *)(cli_get(cli, "address") ?: "");
	plan->command.args_case = PATHBELL__V1__COMMAND__ARGS_UPLINK_RECONNECT;
	plan->command.uplink_reconnect = &plan->reconnect;
	return CLI_OK;
}

static int command_build_args(const struct cli *cli, struct command_plan *plan)
{
	switch (plan->command.verb) {
	case PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE:
		return command_build_probe(cli, plan);
	case PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC:
		return command_build_resync(cli, plan);
	case PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UPLINK_RECONNECT:
		return command_build_reconnect(cli, plan);
	default:
		return cli_fail(CLI_USAGE, "no such verb");
	}
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

int command_build(const struct cli *cli, unsigned verb, const char *issuer, uint64_t now_ns,
		  struct command_plan *ret_plan)
{
	struct command_plan *plan = ret_plan;
	uint64_t expires_ns = 0;
	uint64_t timeout_ns = 0;
	int code;

	*plan = (struct command_plan){ .command = PATHBELL__V1__COMMAND__INIT };
	plan->command.verb = (Pathbell__V1__CommandVerb)verb;
	id_new(plan->id);
	plan->command.id = (ProtobufCBinaryData){ ID_SIZE, plan->id };
	code = command_duration(cli, "expires", COMMAND_DEFAULT_EXPIRES_NS, COMMAND_MAX_EXPIRES_NS,
				&expires_ns);
	if (code == CLI_OK)
		code = command_duration(cli, "action-timeout", 0, COMMAND_MAX_TIMEOUT_NS,
					&timeout_ns);
	if (code == CLI_OK)
		code = command_build_texts(cli, issuer, plan);
	if (code == CLI_OK)
		code = command_build_hosts(cli, plan);
	if (code == CLI_OK)
		code = command_build_args(cli, plan);
	plan->command.not_before_unix_ms = now_ns / CLOCK_NS_PER_MS - COMMAND_BACKDATE_MS;
	plan->command.expires_unix_ms = (now_ns + expires_ns) / CLOCK_NS_PER_MS;
	plan->command.timeout_ms = (uint32_t)(timeout_ns / CLOCK_NS_PER_MS);
	plan->command.dry_run = cli_has(cli, "dry-run");
	return code;
}
