/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme/controllers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme/aen.h"

/*
 * A controller's life, as told:
 *   added	   a uevent, or a look that finds an unknown name
 *   connected	   NVME_EVENT=connected (5.18+), or a look that finds it live. Whichever comes first
 *		   tells; a uevent that follows a look's telling says nothing new (is_announced)
 *   reconnecting  raised: it was live and is `connecting`; or has not been live for
 *		   CONTROLLERS_GRACE_NS. The grace is for resets (`resetting`) and for first
 *		   connections, which pass through the same states within moments
 *   connected	   cleared
 *   removed	   a uevent, or a look that finds it gone; clears a raised loss
 *
 * The kernel gives up ctrl_loss_tmo after the loss (nvmf_should_reconnect, drivers/nvme/host/
 * fabrics.c, Linux 6.12: max_reconnects attempts). The loss itself may be older than the look that
 * found it, so the countdown is late by at most the time between two looks.
 *
 * Names are recycled: a folder of another inode is another controller, and the old one is removed
 * first. A remove event of an unknown name is of one whose removal a look has told already.
 */

#define CONTROLLERS_NS_PER_S UINT64_C(1000000000)
#define CONTROLLERS_KIND(x)  PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_##x
#define CONTROLLERS_SEV(x)   PATHBELL__V1__SEVERITY__SEVERITY_##x

static struct controllers_change *controllers_push(struct controllers *controllers,
						   struct controller *subject,
						   Pathbell__V1__EventKind kind,
						   Pathbell__V1__Severity severity,
						   const struct controllers_clock *clock)
{
	/* One call is about one controller; the paths of a look and what else it tells fit. */
	struct controllers_change *change = &controllers->changes[controllers->n_changes++];

	controllers->subject = subject;
	*change = (struct controllers_change){ .kind = kind,
					       .severity = severity,
					       .time_unix_ns = clock->unix_ns };
	return change;
}

struct controller *controllers_find(const struct controllers *controllers, const char *name)
{
	for (size_t i = 0; i < controllers->n; i++) {
		if (strcmp(controllers->items[i]->seen.name, name) == 0)
			return controllers->items[i];
	}
	return NULL;
}

bool controller_is_fabrics(const struct controller *controller)
{
	const char *transport = controller->seen.transport;

	/* loop is a fabric without a network, but is lost and reconnected all the same. */
	return transport[0] != '\0' && strcmp(transport, "pcie") != 0 &&
	       strcmp(transport, "apple-nvme") != 0;
}

size_t controllers_n_fabrics(const struct controllers *controllers)
{
	size_t n = 0;

	for (size_t i = 0; i < controllers->n; i++)
		n += controller_is_fabrics(controllers->items[i]) ? 1 : 0;
	return n;
}

static bool controller_may_be_lost(const struct controller *controller)
{
	const char *state = controller->seen.state;

	return controller_is_fabrics(controller) && !controller->is_lost &&
	       (strcmp(state, "connecting") == 0 || strcmp(state, "resetting") == 0);
}

uint64_t controllers_due(const struct controllers *controllers)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < controllers->n; i++) {
		const struct controller *controller = controllers->items[i];
		uint64_t at = controller->not_live_ns + CONTROLLERS_GRACE_NS;

		if (controller->not_live_ns != 0 && controller_may_be_lost(controller) && at < due)
			due = at;
	}
	return due;
}

/* NULL: the limit, or no memory. */
static struct controller *controllers_new(struct controllers *controllers, const char *name)
{
	struct controller *controller;

	if (controllers->n == CONTROLLERS_MAX)
		return NULL;
	if (controllers->n == controllers->n_max) {
		size_t n_max = controllers->n_max == 0 ? 8 : controllers->n_max * 2;
		void *items = realloc(controllers->items, n_max * sizeof(controllers->items[0]));

		if (items == NULL)
			return NULL;
		controllers->items = items;
		controllers->n_max = n_max;
	}
	controller = calloc(1, sizeof(*controller));
	if (controller == NULL)
		return NULL;
	snprintf(controller->seen.name, sizeof(controller->seen.name), "%s", name);
	controllers->items[controllers->n++] = controller;
	return controller;
}

static void controllers_take_out(struct controllers *controllers, struct controller *controller)
{
	for (size_t i = 0; i < controllers->n; i++) {
		if (controllers->items[i] == controller) {
			controllers->items[i] = controllers->items[--controllers->n];
			controllers->gone = controller;
			return;
		}
	}
}

static void controllers_remove(struct controllers *controllers, struct controller *controller,
			       const struct controllers_clock *clock)
{
	struct controllers_change *change =
		controllers_push(controllers, controller, CONTROLLERS_KIND(CONTROLLER_REMOVED),
				 CONTROLLERS_SEV(NOTICE), clock);

	snprintf(change->previous_state, sizeof(change->previous_state), "%s",
		 controller->seen.state);
	if (controller->is_lost) {
		uint64_t seconds =
			clock->unix_ns > controller->lost_unix_ns
				? (clock->unix_ns - controller->lost_unix_ns) / CONTROLLERS_NS_PER_S
				: 0;

		change->severity = CONTROLLERS_SEV(ERROR);
		change->phase = PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_CLEARED;
		snprintf(change->reason, sizeof(change->reason),
			 "lost %llu s ago and not reconnected", (unsigned long long)seconds);
	} else {
		snprintf(change->reason, sizeof(change->reason), "disconnected or unplugged");
	}
	controllers_take_out(controllers, controller);
}

static void controllers_connect(struct controllers *controllers, struct controller *controller,
				const char *previous_state, const struct controllers_clock *clock)
{
	struct controllers_change *change =
		controllers_push(controllers, controller, CONTROLLERS_KIND(CONTROLLER_CONNECTED),
				 CONTROLLERS_SEV(NOTICE), clock);

	snprintf(change->previous_state, sizeof(change->previous_state), "%s", previous_state);
	if (controller->is_lost) {
		change->phase = PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_CLEARED;
		snprintf(change->reason, sizeof(change->reason), "reconnected");
	} else {
		snprintf(change->reason, sizeof(change->reason), "%s",
			 controller->was_live ? "reset, or lost for a moment" : "connected");
	}
	controller->was_live = true;
	controller->is_lost = false;
	controller->not_live_ns = controller->lost_unix_ns = controller->removal_unix_ns = 0;
}

static void controllers_lose(struct controllers *controllers, struct controller *controller,
			     const char *previous_state, const struct controllers_clock *clock)
{
	const struct look *seen = &controller->seen;
	struct controllers_change *change;

	controller->is_lost = true;
	controller->is_announced = false;
	/* Kept: the NQN may be learnt, or be lost, before the fault is cleared. */
	snprintf(controller->fault_id, sizeof(controller->fault_id), "nvme_connection:%s:%s",
		 seen->name, seen->nqn);
	controller->lost_unix_ns = clock->unix_ns;
	if (seen->has_loss_timeout && seen->ctrl_loss_tmo != LOOK_FOREVER)
		controller->removal_unix_ns =
			clock->unix_ns + (uint64_t)seen->ctrl_loss_tmo * CONTROLLERS_NS_PER_S;
	change = controllers_push(
		controllers, controller, CONTROLLERS_KIND(CONTROLLER_RECONNECTING),
		strcmp(seen->cntrltype, "discovery") == 0 ? CONTROLLERS_SEV(WARNING)
							  : CONTROLLERS_SEV(ERROR),
		clock);
	change->phase = PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_RAISED;
	snprintf(change->previous_state, sizeof(change->previous_state), "%s", previous_state);
	snprintf(change->reason, sizeof(change->reason), "%s",
		 controller->was_live ? "the connection is lost" : "not connected yet");
}

/* After `seen` holds the new state. */
static void controllers_step(struct controllers *controllers, struct controller *controller,
			     const char *previous_state, bool is_silent,
			     const struct controllers_clock *clock)
{
	const char *state = controller->seen.state;

	if (strcmp(state, "live") == 0) {
		bool is_news = !controller->was_live || controller->not_live_ns != 0;

		if (is_news && !is_silent) {
			controllers_connect(controllers, controller, previous_state, clock);
			controller->is_announced = true;
		}
		controller->was_live = true;
		return;
	}
	if (controller->not_live_ns == 0)
		controller->not_live_ns = clock->now_ns;
	if (!controller_may_be_lost(controller))
		return;
	if ((controller->was_live && strcmp(state, "connecting") == 0) ||
	    clock->now_ns - controller->not_live_ns >= CONTROLLERS_GRACE_NS)
		controllers_lose(controllers, controller, previous_state, clock);
}

static const struct look_path *controllers_find_path(const struct look *look, const char *name)
{
	for (size_t i = 0; i < look->n_paths; i++) {
		if (strcmp(look->paths[i].name, name) == 0)
			return &look->paths[i];
	}
	return NULL;
}

static Pathbell__V1__Severity controllers_path_severity(const char *state)
{
	if (strcmp(state, "optimized") == 0 || strcmp(state, "non-optimized") == 0)
		return CONTROLLERS_SEV(NOTICE);
	return CONTROLLERS_SEV(WARNING);
}

static void controllers_compare_paths(struct controllers *controllers,
				      struct controller *controller, const struct look *look,
				      const struct controllers_clock *clock)
{
	for (size_t i = 0; i < look->n_paths; i++) {
		const struct look_path *now = &look->paths[i];
		const struct look_path *before =
			controllers_find_path(&controller->seen, now->name);
		struct controllers_change *change;

		if (before == NULL ||
		    (strcmp(before->state, now->state) == 0 && before->group == now->group))
			continue;
		change = controllers_push(controllers, controller, CONTROLLERS_KIND(ANA_CHANGED),
					  controllers_path_severity(now->state), clock);
		change->path = *now;
		snprintf(change->previous_state, sizeof(change->previous_state), "%s",
			 before->state);
	}
}

/* The address can't always be read, and what a uevent told is kept where sysfs has nothing. */
static void controllers_take(struct controller *controller, const struct look *look)
{
	struct look before = controller->seen;
	struct look *seen = &controller->seen;

	*seen = *look;
	if (seen->address[0] == '\0')
		memcpy(seen->address, before.address, sizeof(seen->address));
	else if (strchr(seen->address, '=') != NULL)
		(void)decode_address(seen->address, &controller->address);
	if (seen->nqn[0] == '\0')
		memcpy(seen->nqn, before.nqn, sizeof(seen->nqn));
	if (seen->transport[0] == '\0')
		memcpy(seen->transport, before.transport, sizeof(seen->transport));
	/* While it is lost the kernel tells no type on some kernels. */
	if (before.cntrltype[0] != '\0' && strcmp(seen->state, "live") != 0)
		memcpy(seen->cntrltype, before.cntrltype, sizeof(seen->cntrltype));
}

static void controllers_take_notice(struct controller *controller,
				    const struct decode_notice *notice)
{
	struct decode_address *address = &controller->address;
	struct look *seen = &controller->seen;

	snprintf(seen->transport, sizeof(seen->transport), "%s", notice->transport);
	snprintf(address->traddr, sizeof(address->traddr), "%s", notice->traddr);
	snprintf(address->trsvcid, sizeof(address->trsvcid), "%s", notice->trsvcid);
	snprintf(address->host_traddr, sizeof(address->host_traddr), "%s", notice->host_traddr);
	snprintf(address->host_iface, sizeof(address->host_iface), "%s", notice->host_iface);
	seen->major = notice->major;
	seen->minor = notice->minor;
}

static void controllers_tell_added(struct controllers *controllers, struct controller *controller,
				   const struct controllers_clock *clock)
{
	controllers_push(controllers, controller, CONTROLLERS_KIND(CONTROLLER_ADDED),
			 CONTROLLERS_SEV(INFO), clock);
}

static void controllers_tell_state(struct controllers *controllers, struct controller *controller,
				   const struct controllers_clock *clock)
{
	controllers_push(controllers, controller, CONTROLLERS_KIND(CONTROLLER_STATE),
			 CONTROLLERS_SEV(INFO), clock);
}

int controllers_see(struct controllers *controllers, const struct look *look, bool is_snapshot,
		    const struct controllers_clock *clock)
{
	struct controller *controller = controllers_find(controllers, look->name);
	char previous_state[LOOK_NAME] = "";
	bool is_new = controller == NULL;

	if (!is_new && controller->seen.inode != 0 && controller->seen.inode != look->inode) {
		controllers_remove(controllers, controller, clock);
		return CONTROLLERS_E_AGAIN;
	}
	if (is_new) {
		controller = controllers_new(controllers, look->name);
		if (controller == NULL)
			return controllers->n == CONTROLLERS_MAX ? 0 : -ENOMEM;
	} else {
		memcpy(previous_state, controller->seen.state, sizeof(previous_state));
		controllers_compare_paths(controllers, controller, look, clock);
	}
	controllers_take(controller, look);
	if (is_new && !is_snapshot)
		controllers_tell_added(controllers, controller, clock);
	controllers_step(controllers, controller, previous_state, is_new && is_snapshot, clock);
	if (is_snapshot)
		controllers_tell_state(controllers, controller, clock);
	return 0;
}

void controllers_see_gone(struct controllers *controllers, struct controller *controller,
			  const struct controllers_clock *clock)
{
	controllers_remove(controllers, controller, clock);
}

static void controllers_hear_connected(struct controllers *controllers,
				       struct controller *controller, const struct look *look,
				       const struct controllers_clock *clock)
{
	char previous_state[LOOK_NAME];

	memcpy(previous_state, controller->seen.state, sizeof(previous_state));
	if (look != NULL)
		controllers_take(controller, look);
	if (!controller->is_announced || controller->is_lost)
		controllers_connect(controllers, controller, previous_state, clock);
	controller->is_announced = false;
	controller->not_live_ns = 0;
	snprintf(controller->seen.state, sizeof(controller->seen.state), "live");
	/* It may have gone on since the event was sent. */
	if (look != NULL && strcmp(look->state, "live") != 0) {
		memcpy(controller->seen.state, look->state, sizeof(controller->seen.state));
		controllers_step(controllers, controller, "live", false, clock);
	}
}

static void controllers_hear_rediscover(struct controllers *controllers,
					struct controller *controller,
					const struct controllers_clock *clock)
{
	struct controllers_change *change =
		controllers_push(controllers, controller, CONTROLLERS_KIND(DISCOVERY_LOG_CHANGED),
				 CONTROLLERS_SEV(NOTICE), clock);

	snprintf(change->reason, sizeof(change->reason),
		 "rediscover: the discovery controller has reconnected");
}

int controllers_hear(struct controllers *controllers, const struct decode_notice *notice,
		     const struct look *look, const struct controllers_clock *clock)
{
	struct controller *controller = controllers_find(controllers, notice->name);
	bool is_new = controller == NULL;

	if (notice->kind == DECODE_REMOVED) {
		if (!is_new)
			controllers_remove(controllers, controller, clock);
		return 0;
	}
	if (is_new) {
		controller = controllers_new(controllers, notice->name);
		if (controller == NULL) {
			controllers->n_refused++;
			return controllers->n == CONTROLLERS_MAX ? 0 : -ENOMEM;
		}
		controllers_take_notice(controller, notice);
	}
	if (notice->kind == DECODE_CONNECTED) {
		controllers_hear_connected(controllers, controller, look, clock);
		return 0;
	}
	if (is_new && look != NULL)
		controllers_take(controller, look);
	if (is_new && notice->kind == DECODE_ADDED) {
		controllers_tell_added(controllers, controller, clock);
		if (look != NULL)
			controllers_step(controllers, controller, "", false, clock);
	}
	if (notice->kind == DECODE_REDISCOVER)
		controllers_hear_rediscover(controllers, controller, clock);
	return 0;
}

void controllers_hear_aen(struct controllers *controllers, const char *name, uint32_t word,
			  const struct controllers_clock *clock)
{
	struct controller *controller = controllers_find(controllers, name);
	struct controllers_change *change;
	struct aen aen;

	if (controller == NULL) {
		controller = &controllers->stranger;
		*controller = (struct controller){ 0 };
		snprintf(controller->seen.name, sizeof(controller->seen.name), "%s", name);
	}
	aen_decode(word, &aen);
	change = controllers_push(controllers, controller,
				  word == AEN_DISCOVERY_LOG_CHANGED
					  ? CONTROLLERS_KIND(DISCOVERY_LOG_CHANGED)
					  : CONTROLLERS_KIND(AEN),
				  aen.severity, clock);
	change->has_aen = true;
	change->aen = word;
}

void controllers_hear_fc(struct controllers *controllers, const struct decode_notice *notice,
			 const struct controllers_clock *clock)
{
	struct controllers_change *change;

	controllers->stranger = (struct controller){ 0 };
	controllers_take_notice(&controllers->stranger, notice);
	change = controllers_push(controllers, &controllers->stranger,
				  CONTROLLERS_KIND(DISCOVERY_LOG_CHANGED), CONTROLLERS_SEV(NOTICE),
				  clock);
	snprintf(change->reason, sizeof(change->reason),
		 "nvmediscovery: a Fibre Channel port offers discovery");
}

void controllers_published(struct controllers *controllers)
{
	controllers->n_changes = controllers->next_change = 0;
	controllers->subject = NULL;
	free(controllers->gone);
	controllers->gone = NULL;
}

void controllers_lost(struct controllers *controllers)
{
	for (size_t i = 0; i < controllers->n; i++)
		controllers->items[i]->is_announced = false;
}

void controllers_deinit(struct controllers *controllers)
{
	controllers_published(controllers);
	for (size_t i = 0; i < controllers->n; i++)
		free(controllers->items[i]);
	free(controllers->items);
	*controllers = (struct controllers){ 0 };
}
