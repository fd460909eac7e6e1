/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/nvme_make.h"
#include "core/buf.h"
#include "core/fd.h"
#include "core/log.h"
#include "fabrics/exclusions.h"
#include "fabrics/read_log.h"

/*
 * nvme.discover: the discovery log page at target.transport_address.
 *
 * 1. A live discovery controller of that address is used whoever owns it, for reading changes
 *    nothing; else one is made, and deleted at the end unless it is to stay (`persistent`).
 * 2. The page is read, with its generation counter compared; the detail tells what it names.
 * 3. With `connect`: what is not connected yet and not excluded is connected, one after the other,
 *    from the side of the host that the target names. Then all are looked at until they are live.
 *    Referrals are told, not followed: the host's monitor does that.
 */
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

struct nvme_discover {
	struct action *action;
	struct tid tid;
	struct nvme_make make;
	struct nvme_target target; /* the discovery controller */
	bool exists, connect, persistent;
	struct buf entries;
	struct read_log_result log;
	struct exclusions exclusions;
	size_t n_nvm, n_referrals, n_others, n_excluded;
	size_t n_there, n_made, n_failed, n_live;
	char first_error[200];
	char names[600];
};

static void nvme_discover_begin(struct action *action, struct nvme_discover *discover)
{
	const Pathbell__V1__Command *command = action->command;
	const Pathbell__V1__NvmeDiscoverArgs *args =
		command->args_case == PATHBELL__V1__COMMAND__ARGS_NVME_DISCOVER
			? command->nvme_discover
			: NULL;

	discover->action = action;
	discover->connect = args && args->connect;
	discover->persistent = args && args->persistent;
}

static void nvme_discover_end(struct nvme_discover *discover)
{
	nvme_make_wipe(&discover->make);
	buf_deinit(&discover->entries);
	exclusions_deinit(&discover->exclusions);
}

static int nvme_discover_look(struct nvme_discover *discover)
{
	struct action *action = discover->action;
	struct errmsg err = { 0 };
	int r;

	if (nvme_target_wanted(action, TID_WELL_KNOWN_DISCOVERY, &discover->tid) ||
	    nvme_target_check_exclusions(action, &discover->tid))
		return ACTION_E_DONE;
	discover->tid.discovery = true;
	(void)nvme_make_prepare(action->host, &discover->tid, NULL, &discover->make, &err);
	if (discover->persistent && discover->make.options.keep_alive_tmo == CONNECT_DEFAULT)
		discover->make.options.keep_alive_tmo = CONNECT_KEEP_ALIVE_DISCOVERY;
	discover->exists =
		nvme_target_match(action->host, &discover->make.tid, &discover->target) == 0 &&
		nvme_target_is_live(&discover->target);
	if (discover->exists)
		return 0;
	r = nvme_make_check(action->host, &discover->make, &err);
	if (r < 0)
		return action_refuse(
			action, r == -EOPNOTSUPP ? REFUSAL(UNSUPPORTED) : REFUSAL(PRECONDITION),
			"%s", err.text);
	return 0;
}

static int nvme_discover_plan(struct action *action)
{
	struct nvme_discover discover = { 0 };
	int r;

	nvme_discover_begin(action, &discover);
	r = nvme_discover_look(&discover);
	if (r == 0 && action->command->dry_run)
		r = action_finish(action, LIFE(SUCCEEDED), 0,
				  "dry run: would read the log page of %s by %s%s%s",
				  action->result->object,
				  discover.exists ? discover.target.look.name : "a new controller",
				  discover.exists	? ""
				  : discover.persistent ? " that stays"
							: " that is deleted afterwards",
				  discover.connect ? ", and connect what it names" : "");
	nvme_discover_end(&discover);
	return r;
}

/* Step 1. */
static int nvme_discover_open(struct nvme_discover *discover)
{
	struct action *action = discover->action;
	struct errmsg err = { 0 };
	int r;

	if (discover->exists)
		return 0;
	r = nvme_make_controller(action, &discover->make, &discover->target, &err);
	if (r == NVME_MAKE_E_EXISTS)
		return action_finish(action, LIFE(FAILED), EALREADY,
				     "the kernel has that connection, but no live controller of it "
				     "is found");
	if (r < 0)
		return action_finish(action, LIFE(FAILED), -r, "%s", err.text);
	if (nvme_target_wait_live(action, &discover->target) != 0)
		return action_finish(action, LIFE(FAILED), ETIMEDOUT, "%s did not become live",
				     discover->target.look.name);
	return 0;
}

/* Step 2. */
static int nvme_discover_read(struct nvme_discover *discover)
{
	struct action *action = discover->action;
	char path[512];
	_cleanup_fd_ int fd = -1;
	uint16_t status = 0;
	int r;

	snprintf(path, sizeof(path), "%s/%s", action->host->dev, discover->target.look.name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : read_log(fd, &discover->entries, &discover->log, &status);
	if (r == 0 || r == READ_LOG_E_BUSY) /* changing all the time: the newest is good enough */
		return 0;
	if (r == READ_LOG_E_STATUS)
		return action_finish(action, LIFE(FAILED), EIO,
				     "the controller answers with status 0x%x instead of its log "
				     "page",
				     status);
	return action_finish(action, LIFE(FAILED), -r, "cannot read the log page through %s: %s",
			     path, log_errno(r));
}

static void nvme_discover_fail(struct nvme_discover *discover, const struct tid *tid,
			       const char *why)
{
	if (discover->n_failed++ == 0)
		snprintf(discover->first_error, sizeof(discover->first_error), "%.100s: %.90s",
			 tid->nqn, why);
}

/* Step 3, of one entry. */
static void nvme_discover_connect(struct nvme_discover *discover, const struct tid *tid)
{
	const struct action_host *host = discover->action->host;
	struct nvme_target target = { 0 };
	struct errmsg err = { 0 };
	struct nvme_make make;
	int r;

	(void)nvme_make_prepare(host, tid, NULL, &make, &err);
	if (nvme_target_match(host, &make.tid, &target) == 0) {
		discover->n_there++;
	} else if (exclusions_find(&discover->exclusions, tid)) {
		discover->n_excluded++;
	} else {
		r = nvme_make_controller(discover->action, &make, &target, &err);
		if (r == 0)
			discover->n_made++;
		else if (r == NVME_MAKE_E_EXISTS)
			discover->n_there++;
		else
			nvme_discover_fail(discover, tid, err.text);
	}
	nvme_make_wipe(&make);
}

/* @visit for each entry that is a subsystem's port. */
static void nvme_discover_each(struct nvme_discover *discover,
			       void (*visit)(struct nvme_discover *discover, const struct tid *tid))
{
	struct log_page_entry entry;

	for (uint32_t i = 0; i < discover->log.n_entries; i++) {
		const uint8_t *at = discover->entries.data + (size_t)i * LOG_PAGE_UNIT;

		if (log_page_entry(at, LOG_PAGE_UNIT, &entry) != 0 || entry.subtype != LOG_PAGE_NVM)
			continue;
		memcpy(entry.tid.host_traddr, discover->tid.host_traddr,
		       sizeof(entry.tid.host_traddr));
		memcpy(entry.tid.host_iface, discover->tid.host_iface,
		       sizeof(entry.tid.host_iface));
		visit(discover, &entry.tid);
	}
}

static void nvme_discover_name(struct nvme_discover *discover, const struct tid *tid)
{
	size_t len = strlen(discover->names);
	char address[TID_TEXT];

	discover->n_nvm++;
	tid_format(tid, address, sizeof(address));
	snprintf(discover->names + len, sizeof(discover->names) - len, "; %s at %s", tid->nqn,
		 address);
}

static void nvme_discover_count(struct nvme_discover *discover)
{
	struct log_page_entry entry;

	for (uint32_t i = 0; i < discover->log.n_entries; i++) {
		const uint8_t *at = discover->entries.data + (size_t)i * LOG_PAGE_UNIT;

		if (log_page_entry(at, LOG_PAGE_UNIT, &entry) != 0)
			discover->n_others++;
		else if (entry.subtype == LOG_PAGE_REFERRAL)
			discover->n_referrals++;
	}
	nvme_discover_each(discover, nvme_discover_name);
}

static void nvme_discover_count_live(struct nvme_discover *discover, const struct tid *tid)
{
	struct nvme_target target = { 0 };

	if (nvme_target_match(discover->action->host, tid, &target) == 0 &&
	    nvme_target_is_live(&target))
		discover->n_live++;
}

static int nvme_discover_finish(struct nvme_discover *discover)
{
	struct action *action = discover->action;
	size_t n_wanted = discover->n_nvm - discover->n_excluded;
	bool is_good = !discover->connect || discover->n_live >= n_wanted;
	char connected[400] = "";

	if (discover->connect)
		snprintf(connected, sizeof(connected),
			 "; %zu connected, %zu were, %zu excluded, %zu failed, %zu are live%s%s%s",
			 discover->n_made, discover->n_there, discover->n_excluded,
			 discover->n_failed, discover->n_live, discover->n_failed ? " (" : "",
			 discover->first_error, discover->n_failed ? ")" : "");
	return action_finish(action, is_good ? LIFE(SUCCEEDED) : LIFE(INEFFECTIVE), 0,
			     "generation %llu of the log page: %zu ports of subsystems, %zu "
			     "referrals%s%s",
			     (unsigned long long)discover->log.header.genctr, discover->n_nvm,
			     discover->n_referrals, connected, discover->names);
}

static int nvme_discover_judge(struct nvme_discover *discover)
{
	char path[512];

	nvme_discover_count(discover);
	if (!discover->connect)
		return nvme_discover_finish(discover);
	snprintf(path, sizeof(path), "%s/exclusions.conf", discover->action->host->nvme_conf);
	(void)exclusions_read(&discover->exclusions, path, NULL, NULL);
	nvme_discover_each(discover, nvme_discover_connect);
	do {
		discover->n_live = 0;
		nvme_discover_each(discover, nvme_discover_count_live);
	} while (discover->n_live < discover->n_nvm - discover->n_excluded - discover->n_failed &&
		 nvme_target_pause(discover->action));
	return nvme_discover_finish(discover);
}

static int nvme_discover_act(struct nvme_discover *discover)
{
	int r = nvme_discover_look(discover);
	bool is_new = r == 0 && !discover->exists;

	if (r == 0)
		r = nvme_discover_open(discover);
	if (r == 0)
		r = nvme_discover_read(discover);
	/* Before others are connected: it may take long, and somebody may end us. */
	if (is_new && !discover->persistent && discover->target.look.inode)
		(void)nvme_make_undo(discover->action->host, &discover->target);
	return r ? r : nvme_discover_judge(discover);
}

static int nvme_discover_apply(struct action *action)
{
	struct nvme_discover discover = { 0 };
	int r;

	nvme_discover_begin(action, &discover);
	r = nvme_discover_act(&discover);
	nvme_discover_end(&discover);
	return r;
}

/* What a log page named is not kept; a discovery controller that was to stay can be looked for. */
static int nvme_discover_resolve(struct action *action)
{
	struct nvme_discover discover = { 0 };
	char text[600] = "";
	bool is_there = false;

	nvme_discover_begin(action, &discover);
	if (nvme_target_wanted(action, TID_WELL_KNOWN_DISCOVERY, &discover.tid))
		return ACTION_E_DONE;
	if (discover.persistent)
		is_there = nvme_target_match(action->host, &discover.tid, &discover.target) == 0;
	if (is_there)
		nvme_target_describe(&discover.target, text, sizeof(text));
	return action_finish(action, LIFE(INEFFECTIVE), 0,
			     "what the log page said is lost; ask again%s%s%s",
			     is_there ? "; " : "", text, is_there ? " is there" : "");
}

const struct action_verb action_nvme_discover = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_DISCOVER,
	.place = ACTION_IN_CHILD,
	.plan = nvme_discover_plan,
	.apply = nvme_discover_apply,
	.verify = action_is_told,
	.resolve = nvme_discover_resolve,
};
