/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"
#include "collectors/scsi/decode.h"
#include "collectors/scsi/fpin.h"
#include "collectors/tracefs/instance.h"
#include "collectors/uevent/uevent.h"

/* The publishing half of the collector; ctx->pipeline_full says afterwards whether it was taken. */

/* @record NULL: @raw could not be decoded and travels as it is. */
void scsi_tell_command(struct collector_ctx *ctx, const struct instance_record *raw,
		       const struct scsi_record *record, bool timed_out);
/* A change of a SCSI device; false: it says nothing of attentions or media. */
bool scsi_tell_change(struct collector_ctx *ctx, const struct uevent *uevent);
void scsi_tell_fpin(struct collector_ctx *ctx, const struct fpin *fpin);
