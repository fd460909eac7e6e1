/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/client.h"

/* What every noun that asks the aggregator begins and ends with. */
struct request {
	struct settings settings;
	struct client *client;
};

/* Settings, then the client. CLI_OK or the exit status of a failure that was printed; request_end
 * in every case. */
int request_begin(struct cli *cli, struct request *ret_request);
void request_end(struct request *request);
