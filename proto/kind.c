/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/kind.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <threads.h>

#include "pathbell/v1/ingest.pb-c.h"

/* tests/unit/proto/test_kind.c compares all rows with the descriptors and event.proto's comments.
 */
struct kind_row {
	unsigned number;
	bool important;
	const char *name;
};

/*
 * In order of number. Not important, so evicted first: what comes in storms (block and SCSI errors,
 * CXL records, interrupts, keys), and snapshots and progress notes, which a resync brings again.
 */
#define KIND(name) PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name

static const struct kind_row kind_rows[] = {
	{ KIND(STORAGE_BLOCK_ERROR), false, "storage.block.error" },
	{ KIND(STORAGE_DEVICE_STATE), false, "storage.device.state" },
	{ KIND(STORAGE_DEVICE_ADDED), true, "storage.device.added" },
	{ KIND(STORAGE_DEVICE_REMOVED), true, "storage.device.removed" },
	{ KIND(STORAGE_DEVICE_RESIZED), true, "storage.device.resized" },
	{ KIND(STORAGE_DEVICE_MEDIA_CHANGED), true, "storage.device.media_changed" },
	{ KIND(STORAGE_DEVICE_READ_ONLY), true, "storage.device.read_only" },
	{ KIND(STORAGE_FILESYSTEM_ERROR), true, "storage.filesystem.error" },
	{ KIND(STORAGE_MOUNT_CHANGED), false, "storage.mount.changed" },
	{ KIND(STORAGE_PATH_FAILED), true, "storage.path.failed" },
	{ KIND(STORAGE_PATH_REINSTATED), true, "storage.path.reinstated" },
	{ KIND(STORAGE_PATH_MARGINAL), true, "storage.path.marginal" },
	{ KIND(STORAGE_PATH_MARGINAL_CLEARED), true, "storage.path.marginal_cleared" },
	{ KIND(STORAGE_PATH_ADDED), true, "storage.path.added" },
	{ KIND(STORAGE_PATH_REMOVED), true, "storage.path.removed" },
	{ KIND(STORAGE_DEVICE_ALL_PATHS_DOWN), true, "storage.device.all_paths_down" },
	{ KIND(STORAGE_DEVICE_ALL_PATHS_DOWN_CLEARED), true,
	  "storage.device.all_paths_down_cleared" },
	{ KIND(STORAGE_DEVICE_PERMANENT_LOSS), true, "storage.device.permanent_loss" },
	{ KIND(STORAGE_DEVICE_PERMANENT_LOSS_CLEARED), true,
	  "storage.device.permanent_loss_cleared" },
	{ KIND(MULTIPATH_GROUP_SWITCHED), true, "multipath.group.switched" },
	{ KIND(MULTIPATH_GROUP_DISABLED), true, "multipath.group.disabled" },
	{ KIND(MULTIPATH_GROUP_ENABLED), true, "multipath.group.enabled" },
	{ KIND(MULTIPATH_GROUP_INITIALISED), true, "multipath.group.initialised" },
	{ KIND(MULTIPATH_QUEUEING_CHANGED), true, "multipath.queueing.changed" },
	{ KIND(MULTIPATH_MAP_ADDED), true, "multipath.map.added" },
	{ KIND(MULTIPATH_MAP_REMOVED), true, "multipath.map.removed" },
	{ KIND(MULTIPATH_MAP_STATE), false, "multipath.map.state" },
	{ KIND(NVME_CONTROLLER_RECONNECTING), true, "nvme.controller.reconnecting" },
	{ KIND(NVME_CONTROLLER_CONNECTED), true, "nvme.controller.connected" },
	{ KIND(NVME_CONTROLLER_REMOVED), true, "nvme.controller.removed" },
	{ KIND(NVME_CONTROLLER_ADDED), true, "nvme.controller.added" },
	{ KIND(NVME_CONTROLLER_STATE), false, "nvme.controller.state" },
	{ KIND(NVME_AEN), true, "nvme.aen" },
	{ KIND(NVME_DISCOVERY_LOG_CHANGED), true, "nvme.discovery.log_changed" },
	{ KIND(NVME_DISCOVERY_STARTED), false, "nvme.discovery.started" },
	{ KIND(NVME_DISCOVERY_FINISHED), true, "nvme.discovery.finished" },
	{ KIND(NVME_DISCOVERY_FAILED), true, "nvme.discovery.failed" },
	{ KIND(NVME_DISCOVERY_QUEUED), false, "nvme.discovery.queued" },
	{ KIND(NVME_DISCOVERY_REFERRAL), false, "nvme.discovery.referral" },
	{ KIND(NVME_CONNECT_STARTED), false, "nvme.connect.started" },
	{ KIND(NVME_CONNECT_SUCCEEDED), true, "nvme.connect.succeeded" },
	{ KIND(NVME_CONNECT_FAILED), true, "nvme.connect.failed" },
	{ KIND(NVME_CONNECT_STUCK), true, "nvme.connect.stuck" },
	{ KIND(NVME_CONNECT_SKIPPED), false, "nvme.connect.skipped" },
	{ KIND(NVME_ANA_CHANGED), true, "nvme.ana.changed" },
	{ KIND(NVME_DISCONNECTED), true, "nvme.disconnected" },
	{ KIND(NVME_CONNECT_RETRY), false, "nvme.connect.retry" },
	{ KIND(NVME_CONNECT_GIVEN_UP), true, "nvme.connect.given_up" },
	{ KIND(NVME_CONTROLLER_ADOPTED), true, "nvme.controller.adopted" },
	{ KIND(NVME_DISCOVERY_STUCK), true, "nvme.discovery.stuck" },
	{ KIND(NVME_DISCOVERY_RULES_MASKED), true, "nvme.discovery.rules_masked" },
	{ KIND(NVME_DISCOVERY_RULES_UNMASKED), true, "nvme.discovery.rules_unmasked" },
	{ KIND(NVME_CONNECT_FORGOTTEN), true, "nvme.connect.forgotten" },
	{ KIND(SCSI_UNIT_ATTENTION), true, "scsi.unit_attention" },
	{ KIND(SCSI_COMMAND_ERROR), false, "scsi.command.error" },
	{ KIND(SCSI_COMMAND_TIMEOUT), false, "scsi.command.timeout" },
	{ KIND(SCSI_DEVICE_STATE), false, "scsi.device.state" },
	{ KIND(FC_FPIN), true, "fc.fpin" },
	{ KIND(CXL_GENERAL_MEDIA), false, "cxl.general_media" },
	{ KIND(CXL_DRAM), false, "cxl.dram" },
	{ KIND(CXL_MEMORY_MODULE), false, "cxl.memory_module" },
	{ KIND(CXL_GENERIC), false, "cxl.generic" },
	{ KIND(CXL_POISON), false, "cxl.poison" },
	{ KIND(CXL_OVERFLOW), false, "cxl.overflow" },
	{ KIND(CXL_AER), false, "cxl.aer" },
	{ KIND(CXL_MEMORY_SPARING), false, "cxl.memory_sparing" },
	{ KIND(CXL_MEMDEV_STATE), false, "cxl.memdev.state" },
	{ KIND(CAPI_AFU_IRQ), false, "capi.afu.irq" },
	{ KIND(CAPI_AFU_DATA_STORAGE), true, "capi.afu.data_storage" },
	{ KIND(CAPI_AFU_ERROR), true, "capi.afu.error" },
	{ KIND(CAPI_AFU_DRIVER), true, "capi.afu.driver" },
	{ KIND(CAPI_AFU_LINK_DOWN), true, "capi.afu.link_down" },
	{ KIND(KEY_INSTANTIATED), false, "key.instantiated" },
	{ KIND(KEY_UPDATED), false, "key.updated" },
	{ KIND(KEY_LINKED), false, "key.linked" },
	{ KIND(KEY_UNLINKED), false, "key.unlinked" },
	{ KIND(KEY_CLEARED), false, "key.cleared" },
	{ KIND(KEY_REVOKED), false, "key.revoked" },
	{ KIND(KEY_INVALIDATED), false, "key.invalidated" },
	{ KIND(KEY_SETATTR), false, "key.setattr" },
	{ KIND(WATCH_REMOVED), false, "watch.removed" },
	{ KIND(USB_CHANGED), false, "usb.changed" },
	{ KIND(COLLECTOR_UP), true, "collector.up" },
	{ KIND(COLLECTOR_BLIND), true, "collector.blind" },
	{ KIND(COLLECTOR_GAP), true, "collector.gap" },
	{ KIND(COLLECTOR_PARKED), true, "collector.parked" },
	{ KIND(COLLECTOR_FAILED), true, "collector.failed" },
	{ KIND(COLLECTOR_SCHEMA_CHANGED), true, "collector.schema_changed" },
	{ KIND(COLLECTOR_SNAPSHOT_STARTED), false, "collector.snapshot_started" },
	{ KIND(COLLECTOR_SNAPSHOT_FINISHED), false, "collector.snapshot_finished" },
	{ KIND(AGENT_STARTED), true, "agent.started" },
	{ KIND(AGENT_STOPPED), true, "agent.stopped" },
	{ KIND(AGENT_CONFIG_CHANGED), true, "agent.config.changed" },
	{ KIND(AGENT_CONFIG_REFUSED), true, "agent.config.refused" },
	{ KIND(FORWARDER_UP), true, "forwarder.up" },
	{ KIND(FORWARDER_DOWN), true, "forwarder.down" },
	{ KIND(FORWARDER_EXITED), true, "forwarder.exited" },
	{ KIND(FORWARDER_CERTIFICATE_EXPIRING), true, "forwarder.certificate.expiring" },
	{ KIND(FORWARDER_CERTIFICATE_REFUSED), true, "forwarder.certificate.refused" },
	{ KIND(SPOOL_DEGRADED), true, "spool.degraded" },
	{ KIND(SPOOL_RECOVERED), true, "spool.recovered" },
	{ KIND(SPOOL_EPOCH_CHANGED), true, "spool.epoch_changed" },
	{ KIND(SPOOL_CORRUPT), true, "spool.corrupt" },
	{ KIND(COMMAND_RECEIVED), true, "command.received" },
	{ KIND(COMMAND_REFUSED), true, "command.refused" },
	{ KIND(COMMAND_ACCEPTED), true, "command.accepted" },
	{ KIND(COMMAND_STARTED), true, "command.started" },
	{ KIND(COMMAND_FINISHED), true, "command.finished" },
	{ KIND(COMMAND_EXPIRED), true, "command.expired" },
	{ KIND(COMMAND_INDETERMINATE), true, "command.indeterminate" },
	{ KIND(COMMAND_RESOLVED), true, "command.resolved" },
	{ KIND(COMMAND_CANCELLED), true, "command.cancelled" },
	{ KIND(COMMAND_HELD), true, "command.held" },
	{ KIND(COMMAND_OUTPUT), true, "command.output" },
	{ KIND(COMMAND_HALTED), true, "command.halted" },
	{ KIND(COMMAND_RESUMED), true, "command.resumed" },
	{ KIND(COMMAND_KEYS_CHANGED), true, "command.keys_changed" },
	{ KIND(INCIDENT_OPENED), true, "incident.opened" },
	{ KIND(INCIDENT_UPDATED), true, "incident.updated" },
	{ KIND(INCIDENT_CLOSED), true, "incident.closed" },
	{ KIND(HOST_SILENT), true, "host.silent" },
	{ KIND(HOST_HEARD), true, "host.heard" },
};
#define KIND_N (sizeof(kind_rows) / sizeof(kind_rows[0]))

struct kind_name {
	unsigned number;
	const char *name;
};

static const struct kind_name kind_severities[] = {
	{ PATHBELL__V1__SEVERITY__SEVERITY_UNSPECIFIED, "unspecified" },
	{ PATHBELL__V1__SEVERITY__SEVERITY_DEBUG, "debug" },
	{ PATHBELL__V1__SEVERITY__SEVERITY_INFO, "info" },
	{ PATHBELL__V1__SEVERITY__SEVERITY_NOTICE, "notice" },
	{ PATHBELL__V1__SEVERITY__SEVERITY_WARNING, "warning" },
	{ PATHBELL__V1__SEVERITY__SEVERITY_ERROR, "error" },
	{ PATHBELL__V1__SEVERITY__SEVERITY_CRITICAL, "critical" },
};

static const struct kind_name kind_block_error_classes[] = {
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_UNSPECIFIED, "unspecified" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_TIMEOUT, "timeout" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_NO_SPACE, "no_space" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_RECOVERABLE_TRANSPORT,
	  "recoverable_transport" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_CRITICAL_TARGET, "critical_target" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_CRITICAL_NEXUS, "critical_nexus" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_CRITICAL_MEDIUM, "critical_medium" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_PROTECTION, "protection" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_KERNEL_RESOURCE, "kernel_resource" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_DEVICE_RESOURCE, "device_resource" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_IO, "io" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_NOT_SUPPORTED, "not_supported" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_DM_REQUEUE, "dm_requeue" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_AGAIN, "again" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_ZONE_OPEN_RESOURCE,
	  "zone_open_resource" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_ZONE_ACTIVE_RESOURCE,
	  "zone_active_resource" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_OFFLINE, "offline" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_DURATION_LIMIT, "duration_limit" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_INVALID, "invalid" },
	{ PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_OTHER, "other" },
};

static const struct kind_name kind_lives[] = {
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_UNSPECIFIED, "UNSPECIFIED" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_QUEUED, "QUEUED" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_DISPATCHED, "DISPATCHED" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_RECEIVED, "RECEIVED" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_REJECTED, "REJECTED" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_ACCEPTED, "ACCEPTED" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_STARTED, "STARTED" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED, "SUCCEEDED" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_INEFFECTIVE, "INEFFECTIVE" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_WORSE, "WORSE" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_FAILED, "FAILED" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_TIMED_OUT, "TIMED_OUT" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_INDETERMINATE, "INDETERMINATE" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_CANCELLED, "CANCELLED" },
	{ PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_EXPIRED, "EXPIRED" },
};

static const struct kind_name kind_refusals[] = {
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_UNSPECIFIED, "unspecified" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_BAD_SIGNATURE, "bad_signature" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_UNKNOWN_KEY, "unknown_key" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_EXPIRED, "expired" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_NOT_FOR_THIS_HOST, "not_for_this_host" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_REPLAYED, "replayed" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_UNKNOWN_VERB, "unknown_verb" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_MALFORMED, "malformed" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_NOT_YET_VALID, "not_yet_valid" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_CLOCK, "clock" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_RATE, "rate" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_POLICY, "policy" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_PRECONDITION, "precondition" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_LAST_PATH, "last_path" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_OWNED_BY_OTHER, "owned_by_other" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_HELD, "held" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_UNSUPPORTED, "unsupported" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_HALTED, "halted" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_SIGNATURES_MISSING, "signatures_missing" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_AMBIGUOUS_TARGET, "ambiguous_target" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_BUSY, "busy" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_TARGET_ABSENT, "target_absent" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_TARGET_RECYCLED, "target_recycled" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_EXCLUDED, "excluded" },
	{ PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_KEY_REVOKED, "key_revoked" },
};

static const struct kind_name kind_verbs[] = {
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UNSPECIFIED, "unspecified" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE, "probe" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC, "resync" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UPLINK_RECONNECT, "uplink.reconnect" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_CONNECT, "nvme.connect" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_DISCOVER, "nvme.discover" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_RESET, "nvme.reset" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_RESCAN, "nvme.rescan" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_DISCONNECT, "nvme.disconnect" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_REINSTATE, "multipath.reinstate" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_FAIL, "multipath.fail" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_SWITCH_GROUP,
	  "multipath.switch-group" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_SCSI_RESCAN, "scsi.rescan" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_DIAG, "diag" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_HALT, "halt" },
	{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESUME, "resume" },
};

static const struct kind_name kind_gone_reasons[] = {
	{ PATHBELL__V1__GONE_REASON__GONE_REASON_UNSPECIFIED, "unspecified" },
	{ PATHBELL__V1__GONE_REASON__GONE_REASON_SOURCE_OVERFLOW, "source_overflow" },
	{ PATHBELL__V1__GONE_REASON__GONE_REASON_SPOOL_BUDGET, "spool_budget" },
	{ PATHBELL__V1__GONE_REASON__GONE_REASON_SPOOL_AGE, "spool_age" },
	{ PATHBELL__V1__GONE_REASON__GONE_REASON_CORRUPT_RECORD, "corrupt_record" },
	{ PATHBELL__V1__GONE_REASON__GONE_REASON_DISK_ERROR, "disk_error" },
	{ PATHBELL__V1__GONE_REASON__GONE_REASON_OPERATOR_PURGE, "operator_purge" },
	{ PATHBELL__V1__GONE_REASON__GONE_REASON_EPOCH_RESET, "epoch_reset" },
	{ PATHBELL__V1__GONE_REASON__GONE_REASON_OVERSIZE, "oversize" },
};

#define KIND_LOOKUP(table, number) kind_lookup(table, sizeof(table) / sizeof((table)[0]), number)
#define KIND_SEARCH(table, name)   kind_search(table, sizeof(table) / sizeof((table)[0]), name)

static const char *kind_lookup(const struct kind_name *table, size_t n_rows, unsigned number)
{
	for (size_t n = 0; n < n_rows; n++)
		if (table[n].number == number)
			return table[n].name;
	return "unknown";
}

static const struct kind_name *kind_search(const struct kind_name *table, size_t n_rows,
					   const char *name)
{
	for (size_t n = 0; name && n < n_rows; n++)
		if (strcmp(table[n].name, name) == 0)
			return &table[n];
	return NULL;
}

static const struct kind_row *kind_find(unsigned kind)
{
	size_t low = 0, high = KIND_N, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (kind_rows[middle].number == kind)
			return &kind_rows[middle];
		if (kind_rows[middle].number < kind)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const char *kind_name(unsigned kind)
{
	static _Thread_local char unknown[32];
	const struct kind_row *row = kind_find(kind);

	if (row)
		return row->name;
	snprintf(unknown, sizeof(unknown), "unknown.%u", kind);
	return unknown;
}

unsigned kind_from_name(const char *name)
{
	for (size_t n = 0; name && n < KIND_N; n++)
		if (strcmp(kind_rows[n].name, name) == 0)
			return kind_rows[n].number;
	return 0;
}

/* One star is remembered and widened on a mismatch: linear for one star, at most the product for
 * several. */
static bool kind_glob(const char *text, const char *glob)
{
	const char *star = NULL, *resume = NULL;

	while (*text) {
		if (*glob == '*') {
			star = glob++;
			resume = text;
		} else if (*glob == '?' || *glob == *text) {
			glob++;
			text++;
		} else if (star) {
			glob = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*glob == '*')
		glob++;
	return *glob == '\0';
}

bool kind_matches(unsigned kind, const char *glob)
{
	return !glob || !*glob || kind_glob(kind_name(kind), glob);
}

static unsigned kind_numbers[KIND_N];

static void kind_fill_numbers(void)
{
	for (size_t n = 0; n < KIND_N; n++)
		kind_numbers[n] = kind_rows[n].number;
}

const unsigned *kind_all(size_t *ret_n)
{
	static once_flag once = ONCE_FLAG_INIT;

	call_once(&once, kind_fill_numbers);
	*ret_n = KIND_N;
	return kind_numbers;
}

bool kind_is_important(unsigned kind)
{
	const struct kind_row *row = kind_find(kind);

	/* A kind that this build does not know comes from a newer peer: it is not ours to drop
	 * first. */
	return !row || row->important;
}

const char *severity_name(unsigned severity)
{
	return KIND_LOOKUP(kind_severities, severity);
}

bool severity_from_name(const char *name, unsigned *ret_severity)
{
	const struct kind_name *row = KIND_SEARCH(kind_severities, name);

	if (row)
		*ret_severity = row->number;
	return row != NULL;
}

const char *block_error_class_name(unsigned error_class)
{
	return KIND_LOOKUP(kind_block_error_classes, error_class);
}

const char *command_life_name(unsigned life)
{
	return KIND_LOOKUP(kind_lives, life);
}

bool command_life_is_final(unsigned life)
{
	switch (life) {
	case PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_REJECTED:
	case PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED:
	case PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_INEFFECTIVE:
	case PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_WORSE:
	case PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_FAILED:
	case PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_TIMED_OUT:
	case PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_CANCELLED:
	case PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_EXPIRED:
		return true;
	default:
		return false;
	}
}

const char *command_refusal_name(unsigned refusal)
{
	return KIND_LOOKUP(kind_refusals, refusal);
}

const char *command_verb_name(unsigned verb)
{
	return KIND_LOOKUP(kind_verbs, verb);
}

unsigned command_verb_from_name(const char *name)
{
	const struct kind_name *row = KIND_SEARCH(kind_verbs, name);

	return row ? row->number : 0;
}

const char *gone_reason_name(unsigned reason)
{
	return KIND_LOOKUP(kind_gone_reasons, reason);
}
