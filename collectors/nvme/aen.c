/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme/aen.h"

#include <stddef.h>

#define AEN_MASK_ALL	0xff
#define AEN_SEVERITY(x) PATHBELL__V1__SEVERITY__SEVERITY_##x

struct aen_row {
	uint8_t type, info;
	Pathbell__V1__Severity severity;
	const char *meaning;
};

/*
 * NVM Express Base Specification 2.0c: figures 146 (error status), 147 (SMART / health), 148
 * (notice), 149 (immediate), 150 (NVM command set status: reservations, sanitize); Zoned Namespace
 * Command Set 1.1 for notice EF; notices F1 to F3 from Base Specification 2.0c (discovery).
 */
static const struct aen_row aen_rows[] = {
	{ AEN_ERROR, 0x00, AEN_SEVERITY(ERROR), "error_invalid_doorbell_register" },
	{ AEN_ERROR, 0x01, AEN_SEVERITY(ERROR), "error_invalid_doorbell_value" },
	{ AEN_ERROR, 0x02, AEN_SEVERITY(ERROR), "error_diagnostic_failure" },
	{ AEN_ERROR, 0x03, AEN_SEVERITY(CRITICAL), "error_persistent_internal" },
	{ AEN_ERROR, 0x04, AEN_SEVERITY(ERROR), "error_transient_internal" },
	{ AEN_ERROR, 0x05, AEN_SEVERITY(ERROR), "error_firmware_image_load" },
	{ AEN_SMART, 0x00, AEN_SEVERITY(CRITICAL), "smart_subsystem_reliability" },
	{ AEN_SMART, 0x01, AEN_SEVERITY(WARNING), "smart_temperature_threshold" },
	{ AEN_SMART, 0x02, AEN_SEVERITY(WARNING), "smart_spare_below_threshold" },
	{ AEN_NOTICE, 0x00, AEN_SEVERITY(NOTICE), "namespace_attributes_changed" },
	{ AEN_NOTICE, 0x01, AEN_SEVERITY(NOTICE), "firmware_activation_starting" },
	{ AEN_NOTICE, 0x02, AEN_SEVERITY(NOTICE), "telemetry_log_changed" },
	{ AEN_NOTICE, 0x03, AEN_SEVERITY(NOTICE), "ana_changed" },
	{ AEN_NOTICE, 0x04, AEN_SEVERITY(NOTICE), "predictable_latency_changed" },
	{ AEN_NOTICE, 0x05, AEN_SEVERITY(WARNING), "lba_status_information" },
	{ AEN_NOTICE, 0x06, AEN_SEVERITY(NOTICE), "endurance_group_changed" },
	{ AEN_NOTICE, 0xef, AEN_SEVERITY(NOTICE), "zone_descriptor_changed" },
	{ AEN_NOTICE, 0xf0, AEN_SEVERITY(NOTICE), "discovery_log_changed" },
	{ AEN_NOTICE, 0xf1, AEN_SEVERITY(NOTICE), "host_discovery_log_changed" },
	{ AEN_NOTICE, 0xf2, AEN_SEVERITY(NOTICE), "ave_discovery_log_changed" },
	{ AEN_NOTICE, 0xf3, AEN_SEVERITY(NOTICE), "pull_model_ddc_request" },
	{ AEN_IMMEDIATE, 0x00, AEN_SEVERITY(NOTICE), "subsystem_shutdown" },
	{ AEN_IMMEDIATE, 0x01, AEN_SEVERITY(INFO), "temperature_recovered" },
	{ AEN_IO_COMMAND_SET, 0x00, AEN_SEVERITY(NOTICE), "reservation_log_available" },
	{ AEN_IO_COMMAND_SET, 0x01, AEN_SEVERITY(NOTICE), "sanitize_completed" },
	{ AEN_IO_COMMAND_SET, 0x02, AEN_SEVERITY(WARNING), "sanitize_completed_deallocated" },
};

static const struct {
	Pathbell__V1__Severity severity;
	const char *meaning;
} aen_types[8] = {
	[AEN_ERROR] = { AEN_SEVERITY(ERROR), "error_unknown" },
	[AEN_SMART] = { AEN_SEVERITY(WARNING), "smart_unknown" },
	[AEN_NOTICE] = { AEN_SEVERITY(NOTICE), "notice_unknown" },
	[AEN_IMMEDIATE] = { AEN_SEVERITY(NOTICE), "immediate_unknown" },
	[AEN_ONE_SHOT] = { AEN_SEVERITY(NOTICE), "one_shot_unknown" },
	[5] = { AEN_SEVERITY(NOTICE), "reserved" },
	[AEN_IO_COMMAND_SET] = { AEN_SEVERITY(NOTICE), "io_command_set_unknown" },
	[AEN_VENDOR] = { AEN_SEVERITY(NOTICE), "vendor_specific" },
};

void aen_decode(uint32_t word, struct aen *ret_aen)
{
	struct aen aen = { .word = word,
			   .type = word & 7,
			   .info = word >> 8 & AEN_MASK_ALL,
			   .log_page = word >> 16 & AEN_MASK_ALL };

	aen.severity = aen_types[aen.type].severity;
	aen.meaning = aen_types[aen.type].meaning;
	for (size_t i = 0; i < sizeof(aen_rows) / sizeof(aen_rows[0]); i++) {
		if (aen_rows[i].type == aen.type && aen_rows[i].info == aen.info) {
			aen.severity = aen_rows[i].severity;
			aen.meaning = aen_rows[i].meaning;
		}
	}
	*ret_aen = aen;
}

/* NVME_AER_NOTICE_* and the log page of each: include/linux/nvme.h, Linux 5.10. */
uint32_t aen_from_trace(uint32_t value)
{
	switch (value) {
	case 0x00:
		return 0x040002;
	case 0x01:
		return 0x030102;
	case 0x03:
		return AEN_ANA_CHANGED;
	case 0xf0:
		return AEN_DISCOVERY_LOG_CHANGED;
	default:
		return value;
	}
}
