/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/cxl/table.h"

#include <string.h>

#define CXL_KIND(x) PATHBELL__V1__EVENT_KIND__EVENT_KIND_CXL_##x

const struct cxl_event cxl_events[CXL_N_EVENTS] = {
	{ CXL_GENERIC, "cxl_generic_event", CXL_KIND(GENERIC) },
	{ CXL_GENERAL_MEDIA, "cxl_general_media", CXL_KIND(GENERAL_MEDIA) },
	{ CXL_DRAM, "cxl_dram", CXL_KIND(DRAM) },
	{ CXL_MEMORY_MODULE, "cxl_memory_module", CXL_KIND(MEMORY_MODULE) },
	{ CXL_MEMORY_SPARING, "cxl_memory_sparing", CXL_KIND(MEMORY_SPARING) },
	{ CXL_POISON, "cxl_poison", CXL_KIND(POISON) },
	{ CXL_OVERFLOW, "cxl_overflow", CXL_KIND(OVERFLOW) },
	{ CXL_AER_CORRECTABLE, "cxl_aer_correctable_error", CXL_KIND(AER) },
	{ CXL_AER_UNCORRECTABLE, "cxl_aer_uncorrectable_error", CXL_KIND(AER) },
	{ CXL_PORT_AER_CORRECTABLE, "cxl_port_aer_correctable_error", CXL_KIND(AER) },
	{ CXL_PORT_AER_UNCORRECTABLE, "cxl_port_aer_uncorrectable_error", CXL_KIND(AER) },
};

const struct cxl_event *cxl_event_find(const char *name)
{
	for (size_t i = 0; i < CXL_N_EVENTS; i++) {
		if (strcmp(cxl_events[i].name, name) == 0)
			return &cxl_events[i];
	}
	return NULL;
}

/* Sets of events. */
#define GEN   (UINT32_C(1) << CXL_GENERIC)
#define MEDIA (UINT32_C(1) << CXL_GENERAL_MEDIA)
#define DRAM  (UINT32_C(1) << CXL_DRAM)
#define MOD   (UINT32_C(1) << CXL_MEMORY_MODULE)
#define SPARE (UINT32_C(1) << CXL_MEMORY_SPARING)
#define POIS  (UINT32_C(1) << CXL_POISON)
#define OVER  (UINT32_C(1) << CXL_OVERFLOW)
#define CE    (UINT32_C(1) << CXL_AER_CORRECTABLE)
#define UE    (UINT32_C(1) << CXL_AER_UNCORRECTABLE)
#define PCE   (UINT32_C(1) << CXL_PORT_AER_CORRECTABLE)
#define PUE   (UINT32_C(1) << CXL_PORT_AER_UNCORRECTABLE)
#define RECS  (GEN | MEDIA | DRAM | MOD | SPARE)
#define AERS  (CE | UE | PCE | PUE)
#define OWN   (RECS | POIS | OVER | CE | UE)
#define MD    (MEDIA | DRAM)

#define AT(field) offsetof(Pathbell__V1__CxlMemEvent, field)

/*
 * drivers/cxl/core/trace.h, 6.3 to 7.2. `expected` names the events that have the field, or its
 * synonym, since they exist: media and dram got hpa and region in 6.10, poison got hpa in 6.10,
 * comp_id of dram and module, counts, sub types and thresholds came in 6.14, aliases in 6.15,
 * logical device and head in 6.17. poison said pcidev for host before it was merged, and some AER
 * events say device for memdev.
 */
const struct cxl_row cxl_rows[] = {
	{ "memdev", CXL_STRING, AT(memdev), 0, OWN, OWN },
	{ "device", CXL_STRING, AT(memdev), 0, AERS, PCE | PUE },
	{ "host", CXL_STRING, AT(host_bridge), 0, OWN | PCE | PUE, OWN | PCE | PUE },
	{ "pcidev", CXL_STRING, AT(host_bridge), 0, POIS, 0 },
	{ "serial", CXL_U64, AT(serial), 0, OWN, OWN },
	{ "log", CXL_LOG, AT(log), 0, RECS | OVER, RECS | OVER },
	{ "hdr_uuid", CXL_BYTES, AT(uuid), 16, RECS, RECS },
	{ "hdr_flags", CXL_U32, AT(flags), 0, RECS, RECS },
	{ "hdr_handle", CXL_U32, AT(handle), 0, RECS, RECS },
	{ "hdr_related_handle", CXL_U32, AT(related_handle), 0, RECS, RECS },
	{ "hdr_timestamp", CXL_U64, AT(device_timestamp), 0, RECS, RECS },
	{ "hdr_length", CXL_SKIP, 0, 0, RECS, 0 },
	{ "hdr_maint_op_class", CXL_U32, AT(maintenance_class), 0, RECS, RECS },
	{ "hdr_maint_op_sub_class", CXL_U32, AT(maintenance_sub_class), 0, RECS, 0 },
	{ "hdr_ld_id", CXL_EXTRA, 0, 0, RECS, 0 },
	{ "hdr_head_id", CXL_EXTRA, 0, 0, RECS, 0 },
	{ "dpa", CXL_U64, AT(dpa), 0, MD | POIS, MD | POIS },
	{ "hpa", CXL_U64, AT(hpa), 0, MD | POIS, 0 },
	{ "hpa_alias0", CXL_U64, AT(hpa_alias), 0, MD | POIS, 0 },
	{ "dpa_flags", CXL_U32, AT(dpa_flags), 0, MD, MD },
	{ "descriptor", CXL_U32, AT(descriptor), 0, MD, MD },
	{ "type", CXL_U32, AT(type), 0, MD, MD },
	{ "event_type", CXL_U32, AT(type), 0, MOD, MOD },
	{ "sub_type", CXL_U32, AT(sub_type), 0, MD, 0 },
	{ "event_sub_type", CXL_U32, AT(sub_type), 0, MOD, 0 },
	{ "transaction_type", CXL_U32, AT(transaction_type), 0, MD, MD },
	{ "validity_flags", CXL_U32, AT(validity_flags), 0, MD | MOD | SPARE, MD | SPARE },
	{ "channel", CXL_U32, AT(channel), 0, MD | SPARE, MD | SPARE },
	{ "sub_channel", CXL_U32, AT(sub_channel), 0, DRAM | SPARE, SPARE },
	{ "rank", CXL_U32, AT(rank), 0, MD | SPARE, MD | SPARE },
	{ "device", CXL_U32, AT(device), 0, MEDIA, MEDIA },
	{ "nibble_mask", CXL_U32, AT(nibble_mask), 0, DRAM | SPARE, DRAM | SPARE },
	{ "bank_group", CXL_U32, AT(bank_group), 0, DRAM | SPARE, DRAM | SPARE },
	{ "bank", CXL_U32, AT(bank), 0, DRAM | SPARE, DRAM | SPARE },
	{ "row", CXL_U32, AT(row), 0, DRAM | SPARE, DRAM | SPARE },
	{ "column", CXL_U32, AT(column), 0, DRAM | SPARE, DRAM | SPARE },
	{ "cor_mask", CXL_BYTES, AT(correction_mask), 32, DRAM, DRAM },
	{ "comp_id", CXL_BYTES, AT(component_id), 16, MD | MOD | SPARE, MEDIA | SPARE },
	{ "cme_count", CXL_U32, AT(event_count), 0, MEDIA, 0 },
	{ "cvme_count", CXL_U32, AT(event_count), 0, DRAM, 0 },
	{ "cme_threshold_ev_flags", CXL_EXTRA, 0, 0, MD, 0 },
	{ "region_name", CXL_STRING, AT(region), 0, MD, 0 },
	{ "region", CXL_STRING, AT(region), 0, MD | POIS, POIS },
	{ "region_uuid", CXL_BYTES, AT(region_uuid), 16, MD, 0 },
	{ "uuid", CXL_BYTES, AT(region_uuid), 16, POIS, POIS },
	{ "health_status", CXL_U32, AT(health_status), 0, MOD, MOD },
	{ "media_status", CXL_U32, AT(media_status), 0, MOD, MOD },
	{ "life_used", CXL_U32, AT(life_used_percent), 0, MOD, MOD },
	{ "device_temp", CXL_S32, AT(temperature_celsius), 0, MOD, MOD },
	{ "dirty_shutdown_cnt", CXL_U32, AT(dirty_shutdown_count), 0, MOD, MOD },
	{ "cor_vol_err_cnt", CXL_U32, AT(corrected_volatile_errors), 0, MOD, MOD },
	{ "cor_per_err_cnt", CXL_U32, AT(corrected_persistent_errors), 0, MOD, MOD },
	{ "add_status", CXL_U32, AT(add_status), 0, MOD, MOD },
	{ "flags", CXL_EXTRA, 0, 0, SPARE, 0 },
	{ "result", CXL_EXTRA, 0, 0, SPARE, 0 },
	{ "res_avail", CXL_EXTRA, 0, 0, SPARE, 0 },
	{ "trace_type", CXL_TRACE_TYPE, AT(poison_trace_type), 0, POIS, POIS },
	{ "overflow_ts", CXL_U64, AT(overflow_first_timestamp), 0, POIS, POIS },
	{ "dpa_length", CXL_U64, AT(dpa_length), 0, POIS, POIS },
	{ "source", CXL_U32, AT(poison_source), 0, POIS, POIS },
	{ "flags", CXL_U32, AT(poison_flags), 0, POIS, POIS },
	{ "first_ts", CXL_U64, AT(overflow_first_timestamp), 0, OVER, OVER },
	{ "last_ts", CXL_U64, AT(overflow_last_timestamp), 0, OVER, OVER },
	{ "count", CXL_U32, AT(overflow_count), 0, OVER, OVER },
	{ "status", CXL_U32, AT(aer_status), 0, AERS, AERS },
	{ "first_error", CXL_U32, AT(aer_first_error), 0, UE | PUE, UE | PUE },
	/* 512 bytes in the record, of which the hardware supplies 16 words (CXL_HEADERLOG_SIZE,
	 * drivers/cxl/cxl.h 6.12; the rest is what happened to lie behind). */
	{ "header_log", CXL_BYTES, AT(aer_header_log), 64, UE | PUE, UE | PUE },
	{ "data", CXL_BYTES, AT(data), 80, GEN, GEN },
};

const size_t cxl_n_rows = sizeof(cxl_rows) / sizeof(cxl_rows[0]);
