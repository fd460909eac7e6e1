/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "core/clock.h"
#include "core/errmsg.h"
#include "ctl/certificate.h"
#include "ctl/registry.h"
#include "ctl/when.h"

#define PKI_MAX_DAYS 36500

static int pki_exit_code(int r)
{
	switch (r) {
	case -EINVAL:
	case -ENAMETOOLONG:
		return CLI_USAGE;
	case -ENOENT:
		return CLI_NOT_FOUND;
	case -EACCES:
	case -EPERM:
		return CLI_PERMISSION;
	default:
		return CLI_FAILED;
	}
}

static int pki_not_after(const struct cli *cli, size_t initial_days, uint64_t now_ns,
			 uint64_t *ret_ns)
{
	const char *not_after = cli_get(cli, "not-after");
	struct errmsg err = { 0 };
	size_t days = 0;

	if (!cli_get_number(cli, "days", initial_days, 1, PKI_MAX_DAYS, &days))
		return CLI_USAGE;
	*ret_ns = now_ns + days * 86400 * CLOCK_NS_PER_S;
	if (not_after && when_parse(not_after, now_ns, ret_ns, &err) < 0)
		return cli_fail_errmsg(CLI_USAGE, &err);
	return CLI_OK;
}

static int pki_report(struct cli *cli, const struct certificate_files *files, uint64_t not_after_ns)
{
	struct json_object *object;
	char when[WHEN_TEXT_SIZE];

	when_format(not_after_ns, cli->out.utc, when);
	if (!cli->out.json) {
		output_line(&cli->out, "%s: %s, until %s", files->certificate, files->uri, when);
		output_line(&cli->out, "%s: its private key", files->key);
		return CLI_OK;
	}
	object = json_object_new_object();
	if (!object)
		return cli_fail(CLI_FAILED, "out of memory");
	json_object_object_add(object, "certificate", json_object_new_string(files->certificate));
	json_object_object_add(object, "key", json_object_new_string(files->key));
	json_object_object_add(object, "uri", json_object_new_string(files->uri));
	json_object_object_add(object, "not_after_time", json_object_new_string(when));
	return output_json(&cli->out, object) == 0 ? CLI_OK : CLI_FAILED;
}

static int pki_make(struct cli *cli, enum certificate_role role, const char *name,
		    size_t initial_days)
{
	const char *sans[CERTIFICATE_SANS_MAX];
	struct certificate_request request = {
		.role = role,
		.dir = cli_get(cli, "dir"),
		.name = name,
		.sans = sans,
		.now_ns = clock_realtime_ns(),
		.force = cli_has(cli, "force"),
	};
	struct certificate_files files;
	struct errmsg err = { 0 };
	int r = pki_not_after(cli, initial_days, request.now_ns, &request.not_after_ns);

	if (r != CLI_OK)
		return r;
	if (!request.dir)
		return cli_fail(CLI_USAGE,
				"--dir is missing: the folder of the certificate authority");
	if (role == CERTIFICATE_AGGREGATOR)
		request.n_sans = cli_get_all(cli, "san", sans, CERTIFICATE_SANS_MAX);
	r = certificate_make(&request, &files, &err);
	if (r < 0)
		return cli_fail_errmsg(pki_exit_code(r), &err);
	return pki_report(cli, &files, request.not_after_ns);
}

static int pki_init_run(struct cli *cli)
{
	const char *trust_domain = cli_get(cli, "trust-domain");

	if (!trust_domain)
		return cli_fail(CLI_USAGE, "--trust-domain is missing: a name for this fleet, for "
					   "example storage.example.org");
	return pki_make(cli, CERTIFICATE_CA, trust_domain, CERTIFICATE_CA_DAYS);
}

static int pki_aggregator_run(struct cli *cli)
{
	return pki_make(cli, CERTIFICATE_AGGREGATOR, cli->operands[0], CERTIFICATE_LEAF_DAYS);
}

static int pki_host_run(struct cli *cli)
{
	return pki_make(cli, CERTIFICATE_HOST, cli->operands[0], CERTIFICATE_LEAF_DAYS);
}

static int pki_operator_run(struct cli *cli)
{
	return pki_make(cli, CERTIFICATE_OPERATOR, cli->operands[0], CERTIFICATE_LEAF_DAYS);
}

struct pki_row {
	const char *key, *text;
};

static int pki_show_json(struct cli *cli, const struct pki_row *rows, size_t n_rows, bool ca)
{
	struct json_object *object = json_object_new_object();

	if (!object)
		return cli_fail(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < n_rows; i++)
		json_object_object_add(object, rows[i].key, json_object_new_string(rows[i].text));
	json_object_object_add(object, "ca", json_object_new_boolean(ca));
	return output_json(&cli->out, object) == 0 ? CLI_OK : CLI_FAILED;
}

static int pki_show_run(struct cli *cli)
{
	uint64_t now_ns = clock_realtime_ns();
	struct certificate_info info;
	struct errmsg err = { 0 };
	char from[WHEN_TEXT_SIZE];
	char until[WHEN_TEXT_SIZE];
	char age[WHEN_TEXT_SIZE];
	int r = certificate_read(cli->operands[0], &info, &err);

	if (r < 0)
		return cli_fail_errmsg(pki_exit_code(r), &err);
	when_format(info.not_before_ns, cli->out.utc, from);
	when_format(info.not_after_ns, cli->out.utc, until);
	when_format_age(info.not_after_ns, now_ns, age);

	const struct pki_row rows[] = {
		{ "uri", info.uri },	     { "subject", info.subject },
		{ "issuer", info.issuer },   { "names", info.sans },
		{ "key", info.key },	     { "usage", info.ca ? "authority" : info.usage },
		{ "not_before_time", from }, { "not_after_time", until },
		{ "serial", info.serial },   { "sha256", info.fingerprint },
	};
	size_t n_rows = sizeof(rows) / sizeof(rows[0]);

	if (cli->out.json)
		return pki_show_json(cli, rows, n_rows, info.ca);
	for (size_t i = 0; i < n_rows; i++)
		output_line(&cli->out, "%-16s %s", rows[i].key, rows[i].text);
	output_line(&cli->out, "%-16s %s %s", "state",
		    info.not_after_ns <= now_ns ? "EXPIRED" : "expires", age);
	return CLI_OK;
}

static const struct cli_option pki_init_options[] = {
	{ "dir", "DIR", "folder of the authority; made where it is missing", 'd', false },
	{ "trust-domain", "NAME", "name of this fleet in every identity: spiffe://NAME/host/ID",
	  't', false },
	{ "days", "N", "validity (default 3650)", 0, false },
	{ "force", NULL, "replace files that exist", 'f', false },
	{ "not-after", "TIME", "end of validity", 0, true },
	{ NULL, NULL, NULL, 0, false },
};

static const struct cli_option pki_leaf_options[] = {
	{ "dir", "DIR", "folder of the authority", 'd', false },
	{ "days", "N", "validity (default 30)", 0, false },
	{ "force", NULL, "replace files that exist", 'f', false },
	{ "not-after", "TIME", "end of validity", 0, true },
	{ NULL, NULL, NULL, 0, false },
};

static const struct cli_option pki_aggregator_options[] = {
	{ "dir", "DIR", "folder of the authority", 'd', false },
	{ "san", "NAME|ADDRESS",
	  "DNS name or IP address that hosts and operators dial; may be repeated", 0, false },
	{ "days", "N", "validity (default 30)", 0, false },
	{ "force", NULL, "replace files that exist", 'f', false },
	{ "not-after", "TIME", "end of validity", 0, true },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command pki_init_command = {
	.path = "pki init",
	.summary = "Make a certificate authority for a fleet",
	.operands = "",
	.options = pki_init_options,
	.help = "Writes DIR/ca.pem and DIR/ca.key. Keep ca.key off the hosts and the aggregator: "
		"who has it can be anyone.",
	.run = pki_init_run,
};

const struct cli_command pki_aggregator_command = {
	.path = "pki aggregator",
	.summary = "Make an aggregator's key and certificate",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.options = pki_aggregator_options,
	.run = pki_aggregator_run,
};

const struct cli_command pki_host_command = {
	.path = "pki host",
	.summary = "Make a host's key and certificate",
	.operands = "ID",
	.min_operands = 1,
	.max_operands = 1,
	.options = pki_leaf_options,
	.help = "ID is the host's identity in the fleet for as long as the machine lives; it need "
		"not be its host name.",
	.run = pki_host_run,
};

const struct cli_command pki_operator_command = {
	.path = "pki operator",
	.summary = "Make an operator's key and certificate",
	.operands = "NAME",
	.min_operands = 1,
	.max_operands = 1,
	.options = pki_leaf_options,
	.help = "The certificate lets NAME ask the aggregator. To command hosts, NAME also needs a "
		"signing key: pathbell key new.",
	.run = pki_operator_run,
};

const struct cli_command pki_show_command = {
	.path = "pki show",
	.summary = "Show what a certificate says",
	.operands = "FILE",
	.min_operands = 1,
	.max_operands = 1,
	.run = pki_show_run,
};
