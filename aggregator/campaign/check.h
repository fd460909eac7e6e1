/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "core/errmsg.h"
#include "proto/codec.h"

/*
 * Do commands that were checked one by one make one campaign? The same campaign, verb, issuer and
 * dry_run in each; different ids; no host twice. Pure. 0 or -EINVAL with @err, or -ENOMEM.
 */
#define CHECK_MAX_HOSTS 10000
int check_campaign(Pathbell__V1__Command *const *commands, size_t n_commands, struct errmsg *err);
