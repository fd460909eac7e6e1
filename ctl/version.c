/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>

#include "ctl/registry.h"

static int version_run(struct cli *cli)
{
	struct json_object *object;

	if (!cli->out.json) {
		output_line(&cli->out, "pathbell %s", PATHBELL_VERSION);
		return CLI_OK;
	}
	object = json_object_new_object();
	if (object)
		json_object_object_add(object, "version", json_object_new_string(PATHBELL_VERSION));
	return output_json(&cli->out, object) == 0 ? CLI_OK : CLI_FAILED;
}

const struct cli_command version_command = {
	.path = "version",
	.summary = "Show the version",
	.operands = "",
	.run = version_run,
};
