/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/errmsg.h"
#include "core/hctl.h"
#include "ctl/command.h"
#include "fabrics/tid.h"

/*
 * Stable identities as people have them at hand: what `multipath -ll`, `nvme list-subsys` and the
 * events show. The host compares them; nothing is guessed here but the kind of a word.
 */

#define TARGET_MAX_PATHS 3 /* kernel name, WWID, H:C:T:L of one path */

static const char target_hex[] = "0123456789abcdefABCDEF";

/* A WWID as multipath writes it: NAA of 64 or 128 bits behind a 3 (scsi_id), or what sysfs says of
 * NVMe. */
static bool target_is_map_wwid(const char *text)
{
	size_t len = strlen(text);

	if (strncmp(text, "eui.", 4) == 0 || strncmp(text, "nvme.", 5) == 0 ||
	    strncmp(text, "uuid.", 5) == 0)
		return true;
	return (len == 17 || len == 33) && strspn(text, target_hex) == len;
}

static int target_map(const struct cli *cli, struct command_plan *plan)
{
	const char *map = cli_get(cli, "map");

	if (!map)
		return CLI_OK;
	if (strncmp(map, "/dev/mapper/", 12) == 0)
		map += 12;
	if (strncmp(map, "mpath-", 6) == 0) {
		plan->target.map_uuid = (char *)map;
	} else if (target_is_map_wwid(map)) {
		/* dm UUID of a multipath map (libmultipath: UUID_PREFIX) */
		snprintf(plan->map_uuid, sizeof(plan->map_uuid), "mpath-%s", map);
		plan->target.map_uuid = plan->map_uuid;
	} else {
		plan->target.map_name = (char *)map;
	}
	return CLI_OK;
}

/* sdb, nvme0n1, dasda, or MAJOR:MINOR; not the digits of a WWID. */
static bool target_is_kernel_name(const char *text)
{
	size_t len = strlen(text);
	size_t digits = strspn(text, "0123456789");

	if (digits && text[digits] == ':' && text[digits + 1])
		return strspn(text + digits + 1, "0123456789") == len - digits - 1;
	return len < 32 && !strpbrk(text, ".:") && !(len >= 16 && strspn(text, target_hex) == len);
}

static const char *target_without_dev(const char *name)
{
	return strncmp(name, "/dev/", 5) == 0 ? name + 5 : name;
}

/* Where --path is given twice, the host takes what one says and checks it by the other. */
static int target_path(const char *path, struct command_plan *plan)
{
	path = target_without_dev(path);
	if (hctl_is_valid(path)) {
		/* as the host's multipath verbs want it */
		snprintf(plan->address, sizeof(plan->address), "hctl=%s", path);
		plan->target.transport_address = plan->address;
	} else if (!target_is_kernel_name(path)) {
		plan->target.path_wwid = (char *)path;
	} else if (*plan->target.name && strcmp(plan->target.name, path) != 0) {
		return cli_fail(CLI_USAGE, "two devices are named: '%s' and '%s'",
				plan->target.name, path);
	} else {
		plan->target.name = (char *)path;
	}
	return CLI_OK;
}

static int target_device(const struct cli *cli, struct command_plan *plan)
{
	const char *device = cli_get(cli, "device");
	const char *id = cli_get(cli, "id");
	const char *paths[TARGET_MAX_PATHS];
	size_t n = cli_get_all(cli, "path", paths, TARGET_MAX_PATHS);
	int code = CLI_OK;

	if (n > TARGET_MAX_PATHS)
		return cli_fail(CLI_USAGE, "more than %d --path", TARGET_MAX_PATHS);
	if (device && id)
		return cli_fail(CLI_USAGE, "give either --device NAME (sda, dm-3) or --id "
					   "SUBJECT_ID (wwid:..., dev:7:0)");
	if (device)
		plan->target.name = (char *)target_without_dev(device);
	if (id)
		plan->target.id = (char *)id;
	for (size_t i = 0; code == CLI_OK && i < n; i++)
		code = target_path(paths[i], plan);
	return code;
}

/* One option of the address, by its name for fabrics/tid. */
static int target_address_part(const struct cli *cli, const char *option, struct tid *tid)
{
	const char *value = cli_get(cli, option);

	if (value && (!*value || tid_set(tid, option, value) != 0))
		return cli_fail(CLI_USAGE, "--%s: '%s' cannot be one", option, value);
	return CLI_OK;
}

static int target_address_fields(const struct cli *cli, struct tid *ret_tid)
{
	static const char *const parts[] = { "transport", "traddr", "trsvcid", "host-traddr",
					     "host-iface" };
	const char *whole = cli_get(cli, "transport-address");
	struct errmsg err = { 0 };
	int code = CLI_OK;

	if (whole && tid_parse(whole, ret_tid, &err) != 0)
		return cli_fail(CLI_USAGE, "--transport-address: %s", err.text);
	for (size_t i = 0; code == CLI_OK && i < sizeof(parts) / sizeof(parts[0]); i++)
		code = target_address_part(cli, parts[i], ret_tid);
	return code;
}

/* In the one spelling that Subject.transport_address has. */
static int target_address(const struct cli *cli, struct command_plan *plan)
{
	bool discover =
		plan->command.verb == PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_DISCOVER;
	const char *nqn = cli_get(cli, "nqn");
	struct tid tid = { 0 };
	int code = target_address_fields(cli, &tid);

	if (code != CLI_OK)
		return code;
	nqn = nqn ?: tid.nqn;
	if (strlen(nqn) >= sizeof(tid.nqn))
		return cli_fail(CLI_USAGE, "--nqn: longer than %zu bytes", sizeof(tid.nqn) - 1);
	snprintf(plan->nqn, sizeof(plan->nqn), "%s", nqn);
	plan->target.nqn = plan->nqn;
	if (!*tid.traddr && !*tid.transport)
		return CLI_OK;
	if (!*tid.transport || (!*tid.traddr && strcmp(tid.transport, "loop") != 0))
		return cli_fail(CLI_USAGE, "an address has a --transport (tcp, rdma, fc, loop) and "
					   "a --traddr");
	/* the default service is another one for discovery */
	snprintf(tid.nqn, sizeof(tid.nqn), "%s",
		 !*plan->nqn && discover ? TID_WELL_KNOWN_DISCOVERY : plan->nqn);
	tid_normalise(&tid);
	tid_format(&tid, plan->address, sizeof(plan->address));
	plan->target.transport_address = plan->address;
	return CLI_OK;
}

static bool target_is_named(const Pathbell__V1__CommandTarget *target)
{
	return *target->id || *target->name || *target->map_uuid || *target->map_name ||
	       *target->path_wwid || *target->nqn || *target->transport_address;
}

bool command_target_is_given(const struct cli *cli)
{
	static const char *const options[] = { "map",	    "path",   "device",
					       "id",	    "nqn",    "transport-address",
					       "transport", "traddr", "scsi-host" };

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (cli_has(cli, options[i]))
			return true;
	}
	return false;
}

int command_target(const struct cli *cli, const Pathbell__V1__CommandTarget *planned,
		   struct command_plan *plan)
{
	size_t group = 0;
	size_t generation = 0;
	int code;

	pathbell__v1__command_target__init(&plan->target);
	code = target_map(cli, plan);
	if (code == CLI_OK)
		code = target_device(cli, plan);
	if (code == CLI_OK)
		code = target_address(cli, plan);
	if (code != CLI_OK)
		return code;
	if (planned && !target_is_named(&plan->target))
		plan->target = *planned;
	if (!cli_get_number(cli, "group", plan->target.group, 1, 1024, &group) ||
	    !cli_get_number(cli, "generation", plan->target.generation, 1, SIZE_MAX, &generation))
		return CLI_USAGE;
	plan->target.group = (uint32_t)group;
	plan->target.generation = generation;
	if (target_is_named(&plan->target))
		plan->command.target = &plan->target;
	return CLI_OK;
}

/* ---- as text ---- */

struct target_text {
	char *text;
	size_t size, len;
};

static void target_put(struct target_text *out, const char *label, const char *value)
{
	if (*value && out->len < out->size)
		out->len += (size_t)snprintf(out->text + out->len, out->size - out->len, "%s%s%s%s",
					     out->len ? " " : "", label, *label ? " " : "", value);
}

static void target_put_number(struct target_text *out, const char *label, uint64_t number)
{
	char text[24] = "";

	if (number)
		snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	target_put(out, label, text);
}

void command_target_text(const Pathbell__V1__CommandTarget *target, char *ret_text, size_t size)
{
	struct target_text out = { ret_text, size, 0 };

	ret_text[0] = '\0';
	if (!target)
		return;
	target_put(&out, "map", target->map_uuid);
	target_put(&out, *target->map_uuid ? "named" : "map", target->map_name);
	target_put_number(&out, "group", target->group);
	target_put(&out, "path", target->path_wwid);
	target_put(&out, "", target->nqn);
	target_put(&out, "at", target->transport_address);
	target_put(&out, "device", target->name);
	target_put(&out, "", target->id);
	target_put_number(&out, "generation", target->generation);
}
