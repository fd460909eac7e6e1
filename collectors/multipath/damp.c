/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/multipath/damp.h"

uint32_t damp_penalty(const struct damp *damp, const struct damp_options *options, uint64_t now_ns)
{
	uint64_t age_ns = now_ns > damp->at_ns ? now_ns - damp->at_ns : 0;
	uint64_t halves = age_ns / options->half_life_ns;
	uint64_t permille = age_ns % options->half_life_ns * 1000 / options->half_life_ns;

	if (halves >= 32)
		return 0;
	return (uint32_t)(((uint64_t)damp->penalty >> halves) * (2000 - permille) / 2000);
}

bool damp_fail(struct damp *damp, const struct damp_options *options, uint64_t now_ns)
{
	uint32_t penalty = damp_penalty(damp, options, now_ns) + DAMP_PENALTY;
	bool was_marginal = damp->marginal;

	damp->penalty = penalty < DAMP_CAP ? penalty : DAMP_CAP;
	damp->at_ns = now_ns;
	if (options->limit != 0 && damp->penalty >= options->limit)
		damp->marginal = true;
	return damp->marginal && !was_marginal;
}

bool damp_settle(struct damp *damp, const struct damp_options *options, uint64_t now_ns)
{
	if (!damp->marginal || damp_penalty(damp, options, now_ns) >= DAMP_REUSE)
		return false;
	damp->marginal = false;
	return true;
}

uint64_t damp_due(const struct damp *damp, const struct damp_options *options)
{
	uint64_t at_ns = damp->at_ns, step_ns = options->half_life_ns / 1000 + 1;
	uint32_t penalty = damp->penalty;

	if (!damp->marginal)
		return UINT64_MAX;
	while (penalty / 2 >= DAMP_REUSE) {
		penalty /= 2;
		at_ns += options->half_life_ns;
	}
	if (penalty < DAMP_REUSE)
		return at_ns;
	/* penalty * (2000 - permille) / 2000 < DAMP_REUSE; one step more for the rounding. */
	return at_ns + (2000 - (uint64_t)DAMP_REUSE * 2000 / penalty + 2) * step_ns;
}
