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
	const char *name;
	bool important;
};

/*
 * In order of number. Not important, so evicted first: what comes in storms (block and SCSI errors,
 * CXL records, interrupts, keys), and snapshots and progress notes, which a resync brings again.
 */
#define KIND(name) PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name

static const struct kind_row kind_rows[] = {
	{ KIND(STORAGE_BLOCK_ERROR), "storage.block.error", false },
	{ KIND(STORAGE_DEVICE_STATE), "storage.device.state", false },
	{ KIND(STORAGE_DEVICE_ADDED), "storage.device.added", true },
	{ KIND(STORAGE_DEVICE_REMOVED), "storage.device.removed", true },
	{ KIND(STORAGE_DEVICE_RESIZED), "storage.device.resized", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_DEVICE_MEDIA_CHANGED,
	  "storage.device.media_changed", true },
	{ KIND(STORAGE_DEVICE_READ_ONLY), "storage.device.read_only", true },
	{ KIND(STORAGE_FILESYSTEM_ERROR), "storage.filesystem.error", true },
	{ KIND(STORAGE_MOUNT_CHANGED), "storage.mount.changed", false },
	{ KIND(STORAGE_PATH_FAILED), "storage.path.failed", true },
	{ KIND(STORAGE_PATH_REINSTATED), "storage.path.reinstated", true },
	{ KIND(STORAGE_PATH_MARGINAL), "storage.path.marginal", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_PATH_MARGINAL_CLEARED,
	  "storage.path.marginal_cleared", true },
	{ KIND(STORAGE_PATH_ADDED), "storage.path.added", true },
	{ KIND(STORAGE_PATH_REMOVED), "storage.path.removed", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_DEVICE_ALL_PATHS_DOWN,
	  "storage.device.all_paths_down", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_DEVICE_ALL_PATHS_DOWN_CLEARED,
	  "storage.device.all_paths_down_cleared", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_DEVICE_PERMANENT_LOSS,
	  "storage.device.permanent_loss", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_DEVICE_PERMANENT_LOSS_CLEARED,
	  "storage.device.permanent_loss_cleared", true },
	{ KIND(MULTIPATH_GROUP_SWITCHED), "multipath.group.switched", true },
	{ KIND(MULTIPATH_GROUP_DISABLED), "multipath.group.disabled", true },
	{ KIND(MULTIPATH_GROUP_ENABLED), "multipath.group.enabled", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_MULTIPATH_GROUP_INITIALISED,
	  "multipath.group.initialised", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_MULTIPATH_QUEUEING_CHANGED,
	  "multipath.queueing.changed", true },
	{ KIND(MULTIPATH_MAP_ADDED), "multipath.map.added", true },
	{ KIND(MULTIPATH_MAP_REMOVED), "multipath.map.removed", true },
	{ KIND(MULTIPATH_MAP_STATE), "multipath.map.state", false },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_CONTROLLER_RECONNECTING,
	  "nvme.controller.reconnecting", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_CONTROLLER_CONNECTED,
	  "nvme.controller.connected", true },
	{ KIND(NVME_CONTROLLER_REMOVED), "nvme.controller.removed", true },
	{ KIND(NVME_CONTROLLER_ADDED), "nvme.controller.added", true },
	{ KIND(NVME_CONTROLLER_STATE), "nvme.controller.state", false },
	{ KIND(NVME_AEN), "nvme.aen", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_DISCOVERY_LOG_CHANGED,
	  "nvme.discovery.log_changed", true },
	{ KIND(NVME_DISCOVERY_STARTED), "nvme.discovery.started", false },
	{ KIND(NVME_DISCOVERY_FINISHED), "nvme.discovery.finished", true },
	{ KIND(NVME_DISCOVERY_FAILED), "nvme.discovery.failed", true },
	{ KIND(NVME_DISCOVERY_QUEUED), "nvme.discovery.queued", false },
	{ KIND(NVME_DISCOVERY_REFERRAL), "nvme.discovery.referral", false },
	{ KIND(NVME_CONNECT_STARTED), "nvme.connect.started", false },
	{ KIND(NVME_CONNECT_SUCCEEDED), "nvme.connect.succeeded", true },
	{ KIND(NVME_CONNECT_FAILED), "nvme.connect.failed", true },
	{ KIND(NVME_CONNECT_STUCK), "nvme.connect.stuck", true },
	{ KIND(NVME_CONNECT_SKIPPED), "nvme.connect.skipped", false },
	{ KIND(NVME_ANA_CHANGED), "nvme.ana.changed", true },
	{ KIND(NVME_DISCONNECTED), "nvme.disconnected", true },
	{ KIND(SCSI_UNIT_ATTENTION), "scsi.unit_attention", true },
	{ KIND(SCSI_COMMAND_ERROR), "scsi.command.error", false },
	{ KIND(SCSI_COMMAND_TIMEOUT), "scsi.command.timeout", false },
	{ KIND(SCSI_DEVICE_STATE), "scsi.device.state", false },
	{ KIND(FC_FPIN), "fc.fpin", true },
	{ KIND(CXL_GENERAL_MEDIA), "cxl.general_media", false },
	{ KIND(CXL_DRAM), "cxl.dram", false },
	{ KIND(CXL_MEMORY_MODULE), "cxl.memory_module", false },
	{ KIND(CXL_GENERIC), "cxl.generic", false },
	{ KIND(CXL_POISON), "cxl.poison", false },
	{ KIND(CXL_OVERFLOW), "cxl.overflow", false },
	{ KIND(CXL_AER), "cxl.aer", false },
	{ KIND(CXL_MEMORY_SPARING), "cxl.memory_sparing", false },
	{ KIND(CXL_MEMDEV_STATE), "cxl.memdev.state", false },
	{ KIND(CAPI_AFU_IRQ), "capi.afu.irq", false },
	{ KIND(CAPI_AFU_DATA_STORAGE), "capi.afu.data_storage", true },
	{ KIND(CAPI_AFU_ERROR), "capi.afu.error", true },
	{ KIND(CAPI_AFU_DRIVER), "capi.afu.driver", true },
	{ KIND(CAPI_AFU_LINK_DOWN), "capi.afu.link_down", true },
	{ KIND(KEY_INSTANTIATED), "key.instantiated", false },
	{ KIND(KEY_UPDATED), "key.updated", false },
	{ KIND(KEY_LINKED), "key.linked", false },
	{ KIND(KEY_UNLINKED), "key.unlinked", false },
	{ KIND(KEY_CLEARED), "key.cleared", false },
	{ KIND(KEY_REVOKED), "key.revoked", false },
	{ KIND(KEY_INVALIDATED), "key.invalidated", false },
	{ KIND(KEY_SETATTR), "key.setattr", false },
	{ KIND(WATCH_REMOVED), "watch.removed", false },
	{ KIND(USB_CHANGED), "usb.changed", false },
	{ KIND(COLLECTOR_UP), "collector.up", true },
	{ KIND(COLLECTOR_BLIND), "collector.blind", true },
	{ KIND(COLLECTOR_GAP), "collector.gap", true },
	{ KIND(COLLECTOR_PARKED), "collector.parked", true },
	{ KIND(COLLECTOR_FAILED), "collector.failed", true },
	{ KIND(COLLECTOR_SCHEMA_CHANGED), "collector.schema_changed", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_SNAPSHOT_STARTED,
	  "collector.snapshot_started", false },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_SNAPSHOT_FINISHED,
	  "collector.snapshot_finished", false },
	{ KIND(AGENT_STARTED), "agent.started", true },
	{ KIND(AGENT_STOPPED), "agent.stopped", true },
	{ KIND(AGENT_CONFIG_CHANGED), "agent.config.changed", true },
	{ KIND(AGENT_CONFIG_REFUSED), "agent.config.refused", true },
	{ KIND(FORWARDER_UP), "forwarder.up", true },
	{ KIND(FORWARDER_DOWN), "forwarder.down", true },
	{ KIND(FORWARDER_EXITED), "forwarder.exited", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_FORWARDER_CERTIFICATE_EXPIRING,
	  "forwarder.certificate.expiring", true },
	{ PATHBELL__V1__EVENT_KIND__EVENT_KIND_FORWARDER_CERTIFICATE_REFUSED,
	  "forwarder.certificate.refused", true },
	{ KIND(SPOOL_DEGRADED), "spool.degraded", true },
	{ KIND(SPOOL_RECOVERED), "spool.recovered", true },
	{ KIND(SPOOL_EPOCH_CHANGED), "spool.epoch_changed", true },
	{ KIND(SPOOL_CORRUPT), "spool.corrupt", true },
	{ KIND(COMMAND_RECEIVED), "command.received", true },
	{ KIND(COMMAND_REFUSED), "command.refused", true },
	{ KIND(COMMAND_ACCEPTED), "command.accepted", true },
	{ KIND(COMMAND_STARTED), "command.started", true },
	{ KIND(COMMAND_FINISHED), "command.finished", true },
	{ KIND(COMMAND_EXPIRED), "command.expired", true },
	{ KIND(COMMAND_INDETERMINATE), "command.indeterminate", true },
	{ KIND(COMMAND_RESOLVED), "command.resolved", true },
	{ KIND(COMMAND_CANCELLED), "command.cancelled", true },
	{ KIND(COMMAND_HELD), "command.held", true },
	{ KIND(COMMAND_OUTPUT), "command.output", true },
	{ KIND(INCIDENT_OPENED), "incident.opened", true },
	{ KIND(INCIDENT_UPDATED), "incident.updated", true },
	{ KIND(INCIDENT_CLOSED), "incident.closed", true },
	{ KIND(HOST_SILENT), "host.silent", true },
	{ KIND(HOST_HEARD), "host.heard", true },
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
