/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/scsi/scsi.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collectors/bell.h"
#include "collectors/scsi/decode.h"
#include "collectors/scsi/fpin.h"
#include "collectors/scsi/scsi_tell.h"
#include "collectors/topology/topology.h"
#include "collectors/tracefs/instance.h"
#include "collectors/uevent/uevent.h"
#include "core/fd.h"

/*
 * Three sources behind one bell:
 *
 *   uevents   always. SDEV_UA and SDEV_MEDIA_CHANGE of SCSI devices. The kernel keeps one bit for
 *	       each kind of attention, so repeats coalesce there.
 *   trace     scsi_dispatch_cmd_done, of which a filter in the kernel lets pass what failed, and
 *	       scsi_dispatch_cmd_timeout. Every attempt is told, also one that the kernel repeats
 *	       with success: scsi.command.error is not the failure of a request, which the block
 *	       collector tells. From 6.12 on with the sense key. Not told: busy and task set full,
 *	       which come by the hundred and are repeated; and polling of drives without a medium,
 *	       where the kernel tells the sense.
 *   FC	       netlink family NETLINK_SCSITRANSPORT, FPIN frames of the fabric.
 *
 * The last two come with the module scsi_mod. Where it is not loaded yet the uevent of its loading,
 * or of the first SCSI host, is the sign to open them: there is no timer.
 *
 * Failure modes. Trace ring or socket overran: counted, collector.gap. No tracefs while there is
 * SCSI: the collector stays open for uevents and says that it is blind for commands. No FC netlink
 * (another network namespace has no such family): uevents don't come there either. A full pipeline:
 * what was refused stays where it is and is tried again.
 */

/* include/uapi/linux/netlink.h; SCSI_NL_GRP_FC_EVENTS of scsi_netlink.h is 4 and the kernel uses it
 * as the number of a group, though the header's comment counts bits: 6.12 nlmsg_multicast in
 * drivers/scsi/scsi_transport_fc.c. */
#define SCSI_NETLINK_GROUP 4
#define SCSI_DATAGRAM_MAX  16384
#define SCSI_STEP_EMPTY	   1
#define SCSI_STEP_FULL	   2

#define SCSI_FILTER "result != 0 && result != 8 && result != 40"
/* ASC 3Ah medium not present, TEST UNIT READY, GET EVENT STATUS NOTIFICATION. */
#define SCSI_FILTER_SENSE SCSI_FILTER " && (asc != 58 || (opcode != 0 && opcode != 74))"

struct scsi_collector {
	struct collector_ctx *ctx;
	struct bell bell;
	struct uevent_socket *uevents;
	struct uevent uevent;
	struct instance *instance; /* NULL: not yet */
	struct scsi_decoder done, timeout;
	struct instance_record record;
	int netlink;
	struct fpin_reader reader;
	struct fpin fpin;
	bool uevent_held, record_held, fpin_held; /* refused by a full pipeline */
	bool reading_fpin;
	bool is_blind;
	struct errmsg why;
	uint8_t datagram[SCSI_DATAGRAM_MAX];
};

static const struct config_option scsi_options[] = {
	{ .name = "buffer_size",
	  .type = CONFIG_SIZE,
	  .offset = offsetof(struct scsi_config, buffer_size),
	  .initial = "64KiB",
	  .min = 8192,
	  .max = 64 << 20,
	  .help = "Kernel ring buffer for each CPU. One failed command needs about 100 bytes; what "
		  "does not fit is counted in a collector.gap event." },
	{ .name = "receive_buffer",
	  .type = CONFIG_SIZE,
	  .offset = offsetof(struct scsi_config, receive_buffer),
	  .initial = "1MiB",
	  .min = 4096,
	  .max = 256 << 20,
	  .help = "Receive buffer of the uevent and Fibre Channel sockets. What does not fit is "
		  "counted in a collector.gap event." },
};

const struct config_table scsi_config_table = {
	.options = scsi_options,
	.n_options = sizeof(scsi_options) / sizeof(scsi_options[0]),
	.size = sizeof(struct scsi_config),
};

/* Opening. */

static int scsi_enable(struct scsi_collector *scsi, const char *event, const char *filter,
		       struct scsi_decoder *decoder)
{
	struct format *format = malloc(sizeof(*format));
	int r;

	if (format == NULL)
		return -ENOMEM;
	r = instance_enable(scsi->instance, "scsi", event, filter, format, &scsi->why);
	if (r == 0)
		r = scsi_decoder_init(decoder, format, &scsi->why);
	free(format);
	return r;
}

static int scsi_listen_trace(struct scsi_collector *scsi)
{
	const struct scsi_config *config = scsi->ctx->config;
	struct instance_options options = { .tracefs_path = scsi->ctx->tracefs_path,
					    .collector = "scsi",
					    .buffer_size = config->buffer_size };
	int r = instance_open(&scsi->instance, &options, &scsi->why);

	if (r == 0)
		r = scsi_enable(scsi, "scsi_dispatch_cmd_timeout", NULL, &scsi->timeout);
	/* Both have the same fields: those of the first say which filter is possible. */
	if (r == 0)
		r = scsi_enable(scsi, "scsi_dispatch_cmd_done",
				scsi->timeout.asc.size != 0 ? SCSI_FILTER_SENSE : SCSI_FILTER,
				&scsi->done);
	if (r == 0)
		r = instance_check(scsi->instance, &scsi->why);
	if (r == 0)
		r = bell_add(&scsi->bell, instance_doorbell(scsi->instance));
	if (r != 0)
		scsi->instance = instance_close(scsi->instance);
	return r;
}

static int scsi_listen_netlink(struct scsi_collector *scsi)
{
	const struct scsi_config *config = scsi->ctx->config;
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int group = SCSI_NETLINK_GROUP, size = (int)config->receive_buffer;
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_SCSITRANSPORT);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		r = -errno;
	if (r == 0)
		r = bell_add(&scsi->bell, fd);
	if (r < 0) {
		fd_close(fd);
		return r;
	}
	scsi->netlink = fd;
	return 0;
}

static bool scsi_is_loaded(const struct scsi_collector *scsi)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/bus/scsi", topology_sysfs_path(scsi->ctx->topology));
	return access(path, F_OK) == 0;
}

/* What is not open yet and can be. */
static void scsi_attach(struct scsi_collector *scsi)
{
	if (!scsi_is_loaded(scsi))
		return;
	if (scsi->netlink < 0)
		(void)scsi_listen_netlink(scsi);
	if (scsi->instance == NULL)
		scsi->is_blind = scsi_listen_trace(scsi) != 0;
}

static int scsi_blind(struct scsi_collector *scsi)
{
	if (!scsi->is_blind)
		return 0;
	scsi->ctx->reason(scsi->ctx, "only unit attentions are heard, no commands: %s",
			  scsi->why.text);
	return COLLECTOR_E_BLIND;
}

static void scsi_close(void *state)
{
	struct scsi_collector *scsi = state;

	bell_close(&scsi->bell);
	instance_close(scsi->instance);
	uevent_close(scsi->uevents);
	fd_close(scsi->netlink);
	free(scsi);
}

static int scsi_open(struct collector_ctx *ctx, void **ret_state, struct collector_fd *ret_fd)
{
	const struct scsi_config *config = ctx->config;
	struct scsi_collector *scsi = calloc(1, sizeof(*scsi));
	int r;

	if (scsi == NULL)
		return -ENOMEM;
	scsi->ctx = ctx;
	scsi->netlink = -1;
	r = bell_open(&scsi->bell);
	if (r == 0)
		r = uevent_open(&scsi->uevents, config->receive_buffer);
	if (r == 0)
		r = bell_add(&scsi->bell, uevent_fd(scsi->uevents));
	if (r < 0) {
		ctx->reason(ctx, "the uevent socket can't be opened");
		scsi_close(scsi);
		return r;
	}
	scsi_attach(scsi);
	*ret_state = scsi;
	*ret_fd = (struct collector_fd){ .fd = scsi->bell.fd };
	return scsi_blind(scsi);
}

/* Reading: each step takes one record. 0, SCSI_STEP_EMPTY, SCSI_STEP_FULL, -errno. */

static int scsi_take_uevent(struct scsi_collector *scsi)
{
	const struct uevent *uevent = &scsi->uevent;
	bool is_add = strcmp(uevent->action, "add") == 0;

	if (is_add && (strcmp(uevent->devpath, "/module/scsi_mod") == 0 ||
		       strcmp(uevent->subsystem, "scsi_host") == 0))
		scsi_attach(scsi);
	if (strcmp(uevent->subsystem, "scsi") != 0 || strcmp(uevent->action, "change") != 0)
		return 0;
	if (!scsi_tell_change(scsi->ctx, uevent))
		return 0;
	scsi->uevent_held = scsi->ctx->pipeline_full;
	return scsi->uevent_held ? SCSI_STEP_FULL : 0;
}

static int scsi_step_uevent(struct scsi_collector *scsi)
{
	uint64_t lost = 0;
	int r = scsi->uevent_held ? 0 : uevent_next(scsi->uevents, &scsi->uevent, &lost);

	switch (r) {
	case 0:
		return scsi_take_uevent(scsi);
	case UEVENT_E_EMPTY:
		return SCSI_STEP_EMPTY;
	case UEVENT_E_LOST:
		scsi->ctx->lost(scsi->ctx, "enobufs", lost, lost == 0, -1);
		/* The sign that SCSI has come may be among them. */
		scsi_attach(scsi);
		return 0;
	default:
		scsi->ctx->reason(scsi->ctx, "reading the uevent socket failed");
		return r;
	}
}

static int scsi_take_record(struct scsi_collector *scsi)
{
	const struct instance_record *raw = &scsi->record;
	struct scsi_record record;
	bool timed_out = false;
	int r = scsi_decode(&scsi->done, raw->data, raw->size, &record);

	if (r == SCSI_E_OTHER_EVENT) {
		timed_out = true;
		r = scsi_decode(&scsi->timeout, raw->data, raw->size, &record);
	}
	scsi->record_held = false;
	if (r == SCSI_E_OTHER_EVENT)
		return 0;
	scsi_tell_command(scsi->ctx, raw, r == 0 ? &record : NULL, timed_out);
	scsi->record_held = scsi->ctx->pipeline_full;
	return scsi->record_held ? SCSI_STEP_FULL : 0;
}

static int scsi_step_trace(struct scsi_collector *scsi)
{
	struct instance_record *record = &scsi->record;
	int r;

	if (scsi->instance == NULL)
		return SCSI_STEP_EMPTY;
	r = scsi->record_held ? 0 : instance_next(scsi->instance, record);
	switch (r) {
	case 0:
		return scsi_take_record(scsi);
	case INSTANCE_E_EMPTY:
		return SCSI_STEP_EMPTY;
	case INSTANCE_E_LOSS:
		scsi->ctx->lost(scsi->ctx, record->loss_cause, record->loss_count,
				record->loss_is_minimum, record->cpu);
		return 0;
	default:
		scsi->ctx->reason(scsi->ctx, "reading the trace buffer failed");
		return r;
	}
}

/* 0: `reader` has a datagram of the kernel. */
static int scsi_receive(struct scsi_collector *scsi)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_size = sizeof(from);
	ssize_t n = recvfrom(scsi->netlink, scsi->datagram, sizeof(scsi->datagram), MSG_TRUNC,
			     (struct sockaddr *)&from, &from_size);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return SCSI_STEP_EMPTY;
	if (n < 0 && errno == ENOBUFS) {
		scsi->ctx->lost(scsi->ctx, "enobufs", 0, true, -1);
		return 0;
	}
	if (n < 0) {
		scsi->ctx->reason(scsi->ctx, "reading the Fibre Channel netlink socket failed");
		return -errno;
	}
	if (from.nl_pid != 0)
		return 0;
	if ((size_t)n > sizeof(scsi->datagram)) {
		scsi->ctx->lost(scsi->ctx, "oversize", 1, true, -1);
		n = sizeof(scsi->datagram);
	}
	fpin_open(&scsi->reader, scsi->datagram, (size_t)n);
	scsi->reading_fpin = true;
	return 0;
}

static int scsi_step_fpin(struct scsi_collector *scsi)
{
	if (scsi->netlink < 0)
		return SCSI_STEP_EMPTY;
	if (!scsi->reading_fpin)
		return scsi_receive(scsi);
	if (!scsi->fpin_held && fpin_next(&scsi->reader, &scsi->fpin) != 0) {
		scsi->reading_fpin = false;
		if (scsi->reader.malformed > 0)
			scsi->ctx->lost(scsi->ctx, "decode", scsi->reader.malformed, true, -1);
		return 0;
	}
	scsi_tell_fpin(scsi->ctx, &scsi->fpin);
	scsi->fpin_held = scsi->ctx->pipeline_full;
	return scsi->fpin_held ? SCSI_STEP_FULL : 0;
}

static int scsi_read(void *state, unsigned budget, struct collector_fd *fd)
{
	static int (*const steps[])(struct scsi_collector *) = { scsi_step_uevent, scsi_step_trace,
								 scsi_step_fpin };
	struct scsi_collector *scsi = state;

	for (; budget > 0; budget--) {
		int r = SCSI_STEP_EMPTY;

		for (size_t i = 0; i < 3 && r == SCSI_STEP_EMPTY; i++)
			r = steps[i](scsi);
		if (r == SCSI_STEP_EMPTY)
			return scsi_blind(scsi);
		if (r < 0)
			return r;
		if (r == SCSI_STEP_FULL)
			break;
	}
	return COLLECTOR_E_MORE;
}

const struct collector_ops scsi_collector = {
	.name = "scsi",
	.help = "SCSI unit attentions, failed commands with their sense, Fibre Channel FPINs.",
	.config = &scsi_config_table,
	.open = scsi_open,
	.read = scsi_read,
	.close = scsi_close,
};
