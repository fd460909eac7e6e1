/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/cli.h"
#include "pathbell/v1/local.pb-c.h"

/* local_show.c: the agent's answers for people. */
void local_show_status(struct cli *cli, const Pathbell__V1__LocalStatus *status);
void local_show_collectors(struct cli *cli, const Pathbell__V1__LocalCollectors *collectors);
void local_show_stats(struct cli *cli, const Pathbell__V1__LocalStats *stats);
void local_show_log(struct cli *cli, const Pathbell__V1__LocalLog *log);
/* local_nvme_show.c */
void local_show_nvme(struct cli *cli, const Pathbell__V1__LocalNvme *nvme);
void local_show_nvme_decision(struct cli *cli, const Pathbell__V1__LocalNvmeDecision *decision);

/* Asks the agent. CLI_OK and *ret_response (protobuf_c_message_free_unpacked), or printed. */
int local_ask(struct cli *cli, const Pathbell__V1__LocalRequest *request,
	      Pathbell__V1__LocalResponse__ResponseCase wanted,
	      Pathbell__V1__LocalResponse **ret_response);

/*
 * Prometheus text exposition (version 0.0.4). Samples of one metric are brought together, as the
 * format demands; a name ending in _total is a counter, any other a gauge; labels, where there are
 * any, are part of the name. Pure. 0 or the error of buf_append.
 */
int local_prometheus(const Pathbell__V1__LocalStats *stats, struct buf *out);
