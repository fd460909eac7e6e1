/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/watch_queue/filter.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/log.h"

/* Mainline include/uapi/linux/watch_queue.h, struct watch_notification_filter and
 * watch_notification_type_filter: 8 + 44 * n bytes. */
struct filter_type {
	uint32_t type, info_filter, info_mask, subtypes[8];
};

struct filter_head {
	uint32_t n_filters, reserved;
	struct filter_type filters[FILTER_MAX_RULES];
};

_Static_assert(sizeof(struct filter_type) == 44, "kernel ABI");
_Static_assert(offsetof(struct filter_head, filters) == 8, "kernel ABI");

#define FILTER_LENGTH_BITS 0x7fu /* WATCH_INFO_LENGTH may not be filtered on */

#define OFFSET(field) offsetof(struct filter_rule, field)
static const struct config_option filter_options[] = {
	{ .name = "type",
	  .type = CONFIG_UINT,
	  .offset = OFFSET(type),
	  .max = 0xffffff,
	  .required = true,
	  .help = "Record type that is let through, as a number: 1 = keys; others by dialect." },
	{ .name = "subtypes",
	  .type = CONFIG_UINT,
	  .offset = OFFSET(subtypes),
	  .initial = "4294967295",
	  .max = UINT32_MAX,
	  .help = "Sum of 2 to the power of each subtype that is let through; 4294967295 = all." },
	{ .name = "info_mask",
	  .type = CONFIG_UINT,
	  .offset = OFFSET(info_mask),
	  .initial = "0",
	  .max = UINT32_MAX,
	  .help = "Bits of the info word that are compared; the lowest seven cannot be." },
	{ .name = "info_filter",
	  .type = CONFIG_UINT,
	  .offset = OFFSET(info_filter),
	  .initial = "0",
	  .max = UINT32_MAX,
	  .help = "What these bits must be; within info_mask." },
};

const struct config_table filter_config_table = {
	.options = filter_options,
	.n_options = sizeof(filter_options) / sizeof(filter_options[0]),
	.size = sizeof(struct filter_rule),
};

static int filter_fill(const struct config_maps *rules, struct filter_head *ret_head,
		       struct errmsg *err)
{
	const struct filter_rule *rule = rules->items;

	if (rules->n_items > FILTER_MAX_RULES) {
		errmsg_set(err, "filters: the kernel takes %d rules at most", FILTER_MAX_RULES);
		return -EINVAL;
	}
	memset(ret_head, 0, sizeof(*ret_head));
	ret_head->n_filters = (uint32_t)rules->n_items;
	for (size_t i = 0; i < rules->n_items; i++, rule++) {
		if ((rule->info_filter & ~rule->info_mask) != 0 ||
		    (rule->info_mask & FILTER_LENGTH_BITS) != 0) {
			errmsg_set(err,
				   "filters: rule %zu (type %" PRIu64
				   "): info_filter must lie within info_mask, and info_mask must "
				   "be a multiple of 128",
				   i + 1, rule->type);
			return -EINVAL;
		}
		ret_head->filters[i].type = (uint32_t)rule->type;
		ret_head->filters[i].subtypes[0] = (uint32_t)rule->subtypes;
		ret_head->filters[i].info_mask = (uint32_t)rule->info_mask;
		ret_head->filters[i].info_filter = (uint32_t)rule->info_filter;
	}
	return 0;
}

int filter_set(int queue_fd, unsigned long request, const struct config_maps *rules,
	       struct errmsg *err)
{
	struct filter_head head;
	int r;

	if (rules->n_items == 0)
		return 0;
	r = filter_fill(rules, &head, err);
	if (r < 0)
		return r;
	if (ioctl(queue_fd, request, &head) == 0)
		return 0;
	r = -errno;
	errmsg_set(err, "the kernel refuses the filters: %s", log_errno(r));
	return r;
}
