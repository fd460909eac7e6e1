/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlers/handler.h"
#include "handlers/handlers.h"
#include "handlers/sense.h"
#include "handlers/table.h"

/*
 * The built-in types. "Retried" means that the kernel's device handler sends the command again on
 * the same path, so nothing is wrong with the path yet. Sources:
 * drivers/scsi/device_handler/scsi_dh_{alua,rdac,emc}.c, Linux 6.12, the check_sense hooks, and
 * scsi_dh_hp_sw.c, tur_done and hp_sw_start_stop, since that handler has no such hook. The rows for
 * ALUA's standby and unavailable (SPC-5 annex on ASC 04h) are ours: there the kernel's default
 * fails the path too.
 */
#define BUILTIN_RETRIED 0

#define NOT_READY TABLE_KEY(SENSE_NOT_READY)
#define ATTENTION TABLE_KEY(SENSE_UNIT_ATTENTION)
#define ILLEGAL	  TABLE_KEY(SENSE_ILLEGAL_REQUEST)

static const struct table_row builtin_alua_rows[] = {
	{ NOT_READY | ATTENTION,
	  0x04,
	  0x0a,
	  { BUILTIN_RETRIED, "asymmetric access transition: retried" } },
	{ NOT_READY, 0x04, 0x0b, { HANDLER_FAIL_PATH, "target port is in standby" } },
	{ NOT_READY, 0x04, 0x0c, { HANDLER_FAIL_PATH, "target port is unavailable" } },
	{ ATTENTION, 0x29, 0x00, { BUILTIN_RETRIED, "power on or reset: retried" } },
	{ ATTENTION, 0x29, 0x04, { BUILTIN_RETRIED, "device internal reset: retried" } },
	{ ATTENTION, 0x2a, 0x01, { BUILTIN_RETRIED, "mode parameters changed: retried" } },
	{ ATTENTION, 0x2a, 0x06, { BUILTIN_RETRIED, "asymmetric access changed: retried" } },
	{ ATTENTION,
	  0x2a,
	  0x07,
	  { BUILTIN_RETRIED, "implicit access transition failed: retried" } },
	{ ATTENTION, 0x3f, 0x03, { BUILTIN_RETRIED, "inquiry data changed: retried" } },
	{ ATTENTION, 0x3f, 0x0e, { BUILTIN_RETRIED, "reported LUNs changed: retried" } },
};

static const struct table_row builtin_rdac_rows[] = {
	{ NOT_READY, 0x04, 0x01, { BUILTIN_RETRIED, "becoming ready: retried" } },
	{ NOT_READY, 0x04, 0x81, { HANDLER_FAIL_PATH, "storage firmware is incompatible" } },
	{ NOT_READY, 0x04, 0xa1, { BUILTIN_RETRIED, "quiescence in progress: retried" } },
	{ NOT_READY, 0xa1, 0x02, { BUILTIN_RETRIED, "quiescence achieved: retried" } },
	{ ILLEGAL, 0x94, 0x01, { HANDLER_FAIL_PATH, "this controller is not the owner" } },
	{ ATTENTION, 0x29, 0x00, { BUILTIN_RETRIED, "power on or reset: retried" } },
	{ ATTENTION, 0x8b, 0x02, { BUILTIN_RETRIED, "quiescence achieved: retried" } },
};

static const struct table_row builtin_emc_rows[] = {
	{ NOT_READY,
	  0x04,
	  0x03,
	  { HANDLER_FAIL_PATH, "passive path: the other processor owns it" } },
	{ ILLEGAL, 0x25, 0x01, { HANDLER_ERROR_IO, "array based copy in progress" } },
	{ ATTENTION, 0x29, 0x00, { BUILTIN_RETRIED, "power on or reset: retried" } },
};

static const struct table_row builtin_hp_sw_rows[] = {
	{ NOT_READY, 0x04, 0x02, { HANDLER_FAIL_PATH, "passive path: wants START UNIT" } },
	{ ATTENTION, TABLE_ANY, TABLE_ANY, { BUILTIN_RETRIED, "unit attention: retried" } },
};

#define BUILTIN_JUDGE(handler)                                                                  \
	static void builtin_##handler##_error(const struct handler_error *error,                \
					      struct handler_verdict *ret_verdict)              \
	{                                                                                       \
		table_judge(builtin_##handler##_rows,                                           \
			    sizeof(builtin_##handler##_rows) / sizeof(struct table_row), error, \
			    ret_verdict);                                                       \
	}

BUILTIN_JUDGE(alua)
BUILTIN_JUDGE(rdac)
BUILTIN_JUDGE(emc)
BUILTIN_JUDGE(hp_sw)

static void builtin_default_error(const struct handler_error *error,
				  struct handler_verdict *ret_verdict)
{
	table_judge(NULL, 0, error, ret_verdict);
}

/* Arguments: every one is 0 or 1. The state is the numbers. */
struct builtin_flags {
	bool first, second;
};

static bool builtin_flag(const char *text, bool *ret_flag)
{
	*ret_flag = strcmp(text, "1") == 0;
	return *ret_flag || strcmp(text, "0") == 0;
}

static int builtin_keep(struct handler *handler, struct builtin_flags flags)
{
	struct builtin_flags *state = malloc(sizeof(*state));

	if (state == NULL)
		return -ENOMEM;
	*state = flags;
	handler_set_state(handler, state);
	return 0;
}

static void builtin_dtr(struct handler *handler)
{
	free(handler_state(handler));
}

/* emc [SHORT_TRESPASS HONOR_RESERVATIONS], as clariion_set_params takes them. */
static int builtin_emc_ctr(struct handler *handler, size_t argc, const char *const *argv,
			   struct errmsg *err)
{
	struct builtin_flags flags = { 0 };

	if (argc != 0 && (argc != 2 || !builtin_flag(argv[0], &flags.first) ||
			  !builtin_flag(argv[1], &flags.second))) {
		errmsg_set(err, "hardware handler emc: takes nothing, or short_trespass and "
				"honor_reservations, each 0 or 1");
		return -EINVAL;
	}
	return builtin_keep(handler, flags);
}

/* alua [OPTIMIZE], as alua_set_params takes it. */
static int builtin_alua_ctr(struct handler *handler, size_t argc, const char *const *argv,
			    struct errmsg *err)
{
	struct builtin_flags flags = { 0 };

	if (argc > 1 || (argc == 1 && !builtin_flag(argv[0], &flags.first))) {
		errmsg_set(err, "hardware handler alua: takes nothing, or optimize, 0 or 1");
		return -EINVAL;
	}
	return builtin_keep(handler, flags);
}

static void builtin_emc_status(const struct handler *handler, enum handler_status what, char *text,
			       size_t size)
{
	const struct builtin_flags *flags = handler_state(handler);

	snprintf(text, size, "%s%d %d ", what == HANDLER_INFO ? "2 " : "3 emc ", flags->first,
		 flags->second);
}

static void builtin_alua_status(const struct handler *handler, enum handler_status what, char *text,
				size_t size)
{
	const struct builtin_flags *flags = handler_state(handler);

	snprintf(text, size, "%s%d ", what == HANDLER_INFO ? "1 " : "2 alua ", flags->first);
}

static int builtin_alua_pg_init(struct handler *handler, bool bypassed, const char *path)
{
	const struct builtin_flags *flags = handler_state(handler);

	return handler_act(handler,
			   &(struct handler_action){ .command = HANDLER_SET_TARGET_PORT_GROUPS,
						     .optimize = flags->first });
}

static int builtin_rdac_pg_init(struct handler *handler, bool bypassed, const char *path)
{
	return handler_act(handler,
			   &(struct handler_action){ .command = HANDLER_REDUNDANT_CONTROLLER });
}

static int builtin_emc_pg_init(struct handler *handler, bool bypassed, const char *path)
{
	const struct builtin_flags *flags = handler_state(handler);

	return handler_act(handler,
			   &(struct handler_action){ .command = HANDLER_TRESPASS,
						     .short_trespass = flags->first,
						     .honor_reservations = flags->second });
}

static int builtin_hp_sw_pg_init(struct handler *handler, bool bypassed, const char *path)
{
	return handler_act(handler, &(struct handler_action){ .command = HANDLER_START_UNIT });
}

static const struct handler_type builtin_scsi = {
	.name = "scsi",
	.help = "SCSI device without a handler of its own: the default table by sense key.",
	.error = builtin_default_error,
};

static const struct handler_type builtin_alua = {
	.name = "alua",
	.help = "Asymmetric logical unit access (TPGS).",
	.ctr = builtin_alua_ctr,
	.dtr = builtin_dtr,
	.pg_init = builtin_alua_pg_init,
	.error = builtin_alua_error,
	.status = builtin_alua_status,
};

static const struct handler_type builtin_rdac = {
	.name = "rdac",
	.help = "Redundant controllers of LSI and its descendants.",
	.pg_init = builtin_rdac_pg_init,
	.error = builtin_rdac_error,
};

static const struct handler_type builtin_emc = {
	.name = "emc",
	.help = "CLARiiON and VNX in passive not ready mode.",
	.ctr = builtin_emc_ctr,
	.dtr = builtin_dtr,
	.pg_init = builtin_emc_pg_init,
	.error = builtin_emc_error,
	.status = builtin_emc_status,
};

static const struct handler_type builtin_hp_sw = {
	.name = "hp_sw",
	.help = "MSA, EVA and HSG arrays with active and passive controllers.",
	.pg_init = builtin_hp_sw_pg_init,
	.error = builtin_hp_sw_error,
};

static const struct handler_type builtin_nvme = {
	.name = "nvme",
	.help = "NVMe namespace.",
	.error = builtin_default_error,
};

static const struct handler_type builtin_none = {
	.name = "none",
	.help = "Device of another kind: what errno alone says.",
	.error = builtin_default_error,
};

const struct handler_type *const handlers_builtins[HANDLERS_N_BUILTIN] = {
	&builtin_scsi,	&builtin_alua, &builtin_rdac, &builtin_emc,
	&builtin_hp_sw, &builtin_nvme, &builtin_none,
};
