/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"

/* The HTTP side: metrics, health, JSON, live events. Loop only, except http_on_commit. */
int http_new(struct aggregator *aggregator, struct http **ret_http, struct errmsg *err);
struct http *http_free(struct http *http); /* returns NULL */
/* Another configuration: who may write. 0 or -errno: the old ones stay. */
int http_reload(struct http *http, const struct settings_http *settings, struct errmsg *err);
unsigned http_port(const struct http *http);
/* [any thread] New events are durable: live streams read on. */
void http_on_commit(struct http *http);
