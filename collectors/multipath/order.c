/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/multipath/order.h"

#include <string.h>

int order_push(struct order *order, const struct order_event *event)
{
	size_t at = order->n_held;

	while (at > 0 && order->held[at - 1].seqnum > event->seqnum)
		at--;
	if ((order->next != 0 && event->seqnum < order->next) ||
	    (at > 0 && order->held[at - 1].seqnum == event->seqnum)) {
		order->duplicates++;
		return ORDER_E_OLD;
	}
	if (order->n_held == ORDER_WINDOW)
		return ORDER_E_FULL;
	memmove(&order->held[at + 1], &order->held[at],
		(order->n_held - at) * sizeof(order->held[0]));
	order->held[at] = *event;
	order->n_held++;
	return 0;
}

int order_pop(struct order *order, struct order_event *ret_event)
{
	if (order->n_held == 0 || order->held[0].seqnum != order->next)
		return ORDER_E_NONE;
	*ret_event = order->held[0];
	order->n_held--;
	memmove(&order->held[0], &order->held[1], order->n_held * sizeof(order->held[0]));
	order->next++;
	return 0;
}

uint64_t order_mark(const struct order *order)
{
	return order->n_held == 0 ? 0 : order->held[order->n_held - 1].seqnum;
}

uint64_t order_expire(struct order *order, uint64_t mark)
{
	uint64_t missing;

	if (order->n_held == 0 || order->held[0].seqnum > mark)
		return 0;
	/* Before the first event nobody knows the count: nothing is known to be missing. */
	missing = order->next == 0 ? 0 : order->held[0].seqnum - order->next;
	order->next = order->held[0].seqnum;
	return missing;
}
