/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/request.h"

int request_begin(struct cli *cli, struct request *ret_request)
{
	int code;

	*ret_request = (struct request){ 0 };
	code = settings_load(cli, &ret_request->settings);
	return code == CLI_OK ? client_open(&ret_request->settings, &ret_request->client) : code;
}

void request_end(struct request *request)
{
	request->client = client_close(request->client);
	settings_deinit(&request->settings);
}
