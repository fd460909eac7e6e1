/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "aggregator/store/records_campaign.h"
#include "proto/codec.h"

/*
 * Which host fits a selector, and what the selector means there by stable identity. Pure: the
 * objects come from the store, one host at a time.
 */
struct plan {
	const Pathbell__V1__CampaignSelector *selector;
	Pathbell__V1__CommandVerb verb;
	struct arena *arena; /* of the answer */
	/* Why hosts did not fit. */
	size_t n_hosts, n_not_named, n_without_objects, n_without_target, n_not_degraded;
};

#define PLAN_E_NO_FIT 1
/* 0 with a host of the answer (without `connected`); PLAN_E_NO_FIT; -ENOMEM. */
int plan_host(struct plan *plan, const char *host_id, const char *hostname,
	      const struct store_object *objects, size_t n_objects,
	      Pathbell__V1__CampaignHost **ret_host);
/* NULL, or what is wrong with the selector. */
const char *plan_check(const Pathbell__V1__CampaignSelector *selector);
/* Hosts without a usable path, then those that have lost one, then the rest; in each by host id. */
void plan_order(Pathbell__V1__CampaignHost **hosts, size_t n_hosts);
/* One sentence: why no host fits. */
void plan_reason(const struct plan *plan, char *ret_text, size_t size);
