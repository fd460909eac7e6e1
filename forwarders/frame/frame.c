/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function for each type names its fields once, in the order of docs/formats/frame.md; a coder
 * that either writes or reads runs it. So the two directions cannot disagree, and a limit that
 * decode enforces is enforced by encode: we never send what the other side would refuse.
 *
 * Failure: the first step that does not fit or is out of range sets coder->error, and every later
 * step does nothing. Decode accepts a packet only when its fields fill it exactly.
 */
#include "forwarders/frame/frame.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "forwarders/frame/frame_limits.h"

struct frame_coder {
	uint8_t *out;	   /* when writing */
	const uint8_t *in; /* when reading */
	size_t size, at;
	bool gather; /* writing: a body at the end is counted, not copied */
	size_t gathered;
	int error;
};

static void frame_fail(struct frame_coder *coder, int writing, int reading)
{
	if (!coder->error)
		coder->error = coder->out ? writing : reading;
}

/* Room for @n bytes here; their offset moves past them. */
static bool frame_take(struct frame_coder *coder, size_t n, size_t *ret_at)
{
	if (coder->error)
		return false;
	if (n > coder->size - coder->at) {
		frame_fail(coder, -ENOBUFS, -EBADMSG);
		return false;
	}
	*ret_at = coder->at;
	coder->at += n;
	return true;
}

/* A value outside of its range: our caller's mistake when writing, the other side's when reading.
 */
static void frame_require(struct frame_coder *coder, bool holds)
{
	if (!holds)
		frame_fail(coder, -EINVAL, -EBADMSG);
}

static void frame_put(uint8_t *out, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t frame_get(const uint8_t *in, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value |= (uint64_t)in[i] << (8 * i);
	return value;
}

static uint64_t frame_number(struct frame_coder *coder, uint64_t value, size_t n)
{
	size_t at;

	if (!frame_take(coder, n, &at))
		return 0;
	if (!coder->out)
		return frame_get(coder->in + at, n);
	frame_put(coder->out + at, value, n);
	return value;
}

/*
 * Writing, the fields belong to the caller and are only read: each step below stores nothing then.
 */
static void frame_u8(struct frame_coder *coder, uint8_t *value)
{
	uint8_t number = (uint8_t)frame_number(coder, coder->out ? *value : 0, 1);

	if (!coder->out)
		*value = number;
}

static void frame_u32(struct frame_coder *coder, uint32_t *value)
{
	uint32_t number = (uint32_t)frame_number(coder, coder->out ? *value : 0, 4);

	if (!coder->out)
		*value = number;
}

static void frame_u64(struct frame_coder *coder, uint64_t *value)
{
	uint64_t number = frame_number(coder, coder->out ? *value : 0, 8);

	if (!coder->out)
		*value = number;
}

static void frame_bool(struct frame_coder *coder, bool *value)
{
	uint64_t number = frame_number(coder, coder->out ? *value : 0, 1);

	frame_require(coder, number <= 1);
	if (!coder->out)
		*value = number == 1;
}

/* A count of elements that follow, at most @max. Zero after an error: no loop runs on a bad count.
 */
static size_t frame_count(struct frame_coder *coder, size_t *n, size_t max)
{
	uint64_t number;

	frame_require(coder, !coder->out || *n <= max);
	number = frame_number(coder, coder->out ? *n : 0, 2);
	frame_require(coder, number <= max);
	if (coder->error)
		number = 0;
	if (!coder->out)
		*n = number;
	return number;
}

static void frame_id(struct frame_coder *coder, uint8_t id[16])
{
	size_t at;

	if (!frame_take(coder, 16, &at))
		return;
	if (coder->out)
		memcpy(coder->out + at, id, 16);
	else
		memcpy(id, coder->in + at, 16);
}

static void frame_string(struct frame_coder *coder, struct frame_text *text)
{
	size_t len = text->len, at;

	frame_require(coder, !coder->out || text->text || len == 0);
	len = frame_count(coder, &len, FRAME_MAX_TEXT);
	if (!frame_take(coder, len, &at))
		return;
	if (!coder->out) {
		text->text = (const char *)coder->in + at;
		text->len = len;
	} else if (text->text) {
		memcpy(coder->out + at, text->text, len);
	}
}

/* The rest of the packet, never empty. */
static void frame_body(struct frame_coder *coder, const uint8_t **body, size_t *size)
{
	size_t at, n = coder->out ? *size : coder->size - coder->at;

	frame_require(coder, n > 0 && (!coder->out || *body));
	if (coder->out && coder->gather) {
		frame_require(coder, n <= FRAME_MAX - coder->at);
		coder->gathered = n;
		return;
	}
	if (!frame_take(coder, n, &at))
		return;
	if (!coder->out) {
		*body = coder->in + at;
		*size = n;
	} else if (*body) {
		memcpy(coder->out + at, *body, n);
	}
}

static void frame_code_hello(struct frame_coder *coder, struct frame_hello *hello)
{
	frame_u32(coder, &hello->version);
	frame_u32(coder, &hello->pid);
	frame_string(coder, &hello->program);
}

static void frame_code_config(struct frame_coder *coder, struct frame_config *config)
{
	size_t n;

	frame_u64(coder, &config->backoff_base_ns);
	frame_u64(coder, &config->backoff_cap_ns);
	frame_u64(coder, &config->keepalive_ns);
	frame_u64(coder, &config->keepalive_timeout_ns);
	frame_u64(coder, &config->max_unacked_bytes);
	frame_u64(coder, &config->session_generation);
	frame_u8(coder, &config->log_level);
	frame_require(coder, config->log_level <= FRAME_MAX_LOG_LEVEL);
	frame_string(coder, &config->host_id);
	frame_string(coder, &config->agent_version);
	frame_string(coder, &config->hostname);
	frame_string(coder, &config->kernel_release);
	frame_string(coder, &config->ca_file);
	frame_string(coder, &config->certificate_file);
	frame_string(coder, &config->key_file);
	frame_string(coder, &config->server_name);
	frame_string(coder, &config->http_proxy);
	n = frame_count(coder, &config->n_addresses, FRAME_MAX_ADDRESSES);
	for (size_t i = 0; i < n; i++)
		frame_string(coder, &config->addresses[i]);
}

static void frame_code_epochs(struct frame_coder *coder, struct frame_epochs *epochs)
{
	size_t n = frame_count(coder, &epochs->n_epochs, FRAME_MAX_EPOCHS);

	for (size_t i = 0; i < n; i++) {
		frame_id(coder, epochs->epochs[i].epoch);
		frame_u64(coder, &epochs->epochs[i].oldest_seq);
		frame_u64(coder, &epochs->epochs[i].first_unacked_seq);
		frame_u64(coder, &epochs->epochs[i].tail_seq);
	}
}

static void frame_code_session(struct frame_coder *coder, struct frame_session_state *session)
{
	uint8_t state = coder->out ? (uint8_t)session->state : 0;
	size_t n;

	frame_require(coder, !coder->out || (unsigned)session->state <= FRAME_SESSION_HELD);
	frame_u8(coder, &state);
	frame_require(coder, state <= FRAME_SESSION_HELD);
	if (!coder->out)
		session->state = (enum frame_session)state;
	frame_u64(coder, &session->retry_ns);
	frame_u64(coder, &session->credit_bytes);
	frame_u64(coder, &session->credit_records);
	frame_u32(coder, &session->max_batch_records);
	frame_string(coder, &session->cause);
	frame_string(coder, &session->detail);
	frame_string(coder, &session->address);
	n = frame_count(coder, &session->n_resume, FRAME_MAX_EPOCHS);
	for (size_t i = 0; i < n; i++) {
		frame_id(coder, session->resume[i].epoch);
		frame_u64(coder, &session->resume[i].seq);
	}
}

static void frame_code_batch(struct frame_coder *coder, struct frame_batch *batch)
{
	frame_id(coder, batch->epoch);
	frame_u64(coder, &batch->first_seq);
	frame_u32(coder, &batch->count);
	frame_u32(coder, &batch->crc32c);
	frame_body(coder, &batch->events, &batch->events_size);
	if (coder->error)
		return;
	/* A framed event is a tag and a length at least. */
	frame_require(coder, batch->count > 0 && batch->count <= batch->events_size / 2);
	frame_require(coder, batch->first_seq <= UINT64_MAX - batch->count);
}

/* Epoch and a closed range of seqs, as GONE and RESEND have it. */
static void frame_code_range(struct frame_coder *coder, uint8_t epoch[16], uint64_t *first,
			     uint64_t *last)
{
	frame_id(coder, epoch);
	frame_u64(coder, first);
	frame_u64(coder, last);
	if (!coder->error)
		frame_require(coder, *first <= *last);
}

static void frame_code_ack(struct frame_coder *coder, struct frame_ack *ack)
{
	frame_id(coder, ack->epoch);
	frame_u64(coder, &ack->seq);
	frame_u8(coder, &ack->level);
	if (!coder->error)
		frame_require(coder, ack->level >= 1 && ack->level <= FRAME_MAX_ACK_LEVEL);
}

static void frame_code_alarm(struct frame_coder *coder, struct frame_alarm *alarm)
{
	frame_u64(coder, &alarm->not_after_unix_ns);
	frame_string(coder, &alarm->what);
	frame_string(coder, &alarm->detail);
}

static void frame_code_beat(struct frame_coder *coder, struct frame_beat *beat)
{
	frame_u64(coder, &beat->tail_seq);
	frame_u64(coder, &beat->unacked);
	frame_u64(coder, &beat->oldest_unacked_unix_ns);
	frame_bool(coder, &beat->degraded);
}

static void frame_code_stats(struct frame_coder *coder, struct frame_stats *stats)
{
	frame_u64(coder, &stats->reconnects);
	frame_u64(coder, &stats->batches);
	frame_u64(coder, &stats->bytes);
	frame_u64(coder, &stats->acks);
	frame_u64(coder, &stats->commands);
	frame_u64(coder, &stats->certificate_not_after_unix_ns);
}

static void frame_code_rare(struct frame_coder *coder, struct frame *frame)
{
	switch (frame->type) {
	case FRAME_RECEIPT:
		frame_id(coder, frame->receipt.command_id);
		break;
	case FRAME_RECONNECT:
		frame_string(coder, &frame->reconnect.address);
		frame_string(coder, &frame->reconnect.reason);
		break;
	case FRAME_RESEND:
		frame_code_range(coder, frame->resend.epoch, &frame->resend.first_seq,
				 &frame->resend.last_seq);
		break;
	case FRAME_ALARM:
		frame_code_alarm(coder, &frame->alarm);
		break;
	case FRAME_STOP:
		frame_u64(coder, &frame->stop.deadline_ns);
		break;
	case FRAME_BEAT:
		frame_code_beat(coder, &frame->beat);
		break;
	case FRAME_STATS:
		frame_code_stats(coder, &frame->stats);
		break;
	case FRAME_SESSION_WANTED:
	case FRAME_BEAT_WANTED:
		break;
	default:
		frame_require(coder, false);
		break;
	}
}

static void frame_code(struct frame_coder *coder, struct frame *frame)
{
	switch (frame->type) {
	case FRAME_HELLO:
		frame_code_hello(coder, &frame->hello);
		break;
	case FRAME_CONFIG:
		frame_code_config(coder, &frame->config);
		break;
	case FRAME_EPOCHS:
		frame_code_epochs(coder, &frame->epochs);
		break;
	case FRAME_SESSION:
		frame_code_session(coder, &frame->session);
		break;
	case FRAME_BATCH:
		frame_code_batch(coder, &frame->batch);
		break;
	case FRAME_GONE:
		frame_code_range(coder, frame->gone.epoch, &frame->gone.first_seq,
				 &frame->gone.last_seq);
		frame_u32(coder, &frame->gone.reason);
		break;
	case FRAME_ACK:
		frame_code_ack(coder, &frame->ack);
		break;
	case FRAME_CREDIT:
		frame_u64(coder, &frame->credit.bytes);
		frame_u64(coder, &frame->credit.records);
		break;
	case FRAME_COMMAND:
		frame_body(coder, &frame->command.envelope, &frame->command.envelope_size);
		break;
	default:
		frame_code_rare(coder, frame);
		break;
	}
}

int frame_encode(const struct frame *frame, bool gather, uint8_t *out, size_t size)
{
	struct frame_coder coder = { .out = out, .size = size, .gather = gather };

	if (size < FRAME_HEADER_SIZE)
		return -ENOBUFS;
	assert(out);
	if (size > FRAME_MAX)
		coder.size = FRAME_MAX;
	coder.at = FRAME_HEADER_SIZE;
	/* A writing coder stores into @out alone. */
	frame_code(&coder, (struct frame *)frame);
	if (coder.error)
		return coder.error;
	frame_put(out, frame->type, 2);
	frame_put(out + 2, FRAME_VERSION, 1);
	frame_put(out + 3, 0, 1);
	frame_put(out + 4, coder.at - FRAME_HEADER_SIZE + coder.gathered, 4);
	return (int)coder.at;
}

int frame_decode(const uint8_t *packet, size_t size, struct frame *ret_frame)
{
	struct frame_coder coder = { .in = packet, .size = size };
	struct frame frame;

	if (size < FRAME_HEADER_SIZE || size > FRAME_MAX)
		return -EBADMSG;
	assert(packet);
	if (packet[2] != FRAME_VERSION || packet[3] != 0 ||
	    frame_get(packet + 4, 4) != size - FRAME_HEADER_SIZE)
		return -EBADMSG;
	coder.at = FRAME_HEADER_SIZE;

	/* A range is checked against a field also where its bytes were missing: never unset memory.
	 */
	memset(&frame, 0, sizeof(frame));
	frame.type = (enum frame_type)frame_get(packet, 2);
	frame_code(&coder, &frame);
	if (coder.error || coder.at != size)
		return -EBADMSG;
	*ret_frame = frame;
	return 0;
}

const char *frame_type_name(enum frame_type type)
{
	static const char *const names[] = {
		[FRAME_HELLO] = "HELLO",
		[FRAME_CONFIG] = "CONFIG",
		[FRAME_EPOCHS] = "EPOCHS",
		[FRAME_SESSION_WANTED] = "SESSION_WANTED",
		[FRAME_SESSION] = "SESSION",
		[FRAME_BATCH] = "BATCH",
		[FRAME_GONE] = "GONE",
		[FRAME_ACK] = "ACK",
		[FRAME_CREDIT] = "CREDIT",
		[FRAME_COMMAND] = "COMMAND",
		[FRAME_RECEIPT] = "RECEIPT",
		[FRAME_RECONNECT] = "RECONNECT",
		[FRAME_RESEND] = "RESEND",
		[FRAME_ALARM] = "ALARM",
		[FRAME_STOP] = "STOP",
		[FRAME_BEAT] = "BEAT",
		[FRAME_BEAT_WANTED] = "BEAT_WANTED",
		[FRAME_STATS] = "STATS",
	};

	if ((size_t)type >= sizeof(names) / sizeof(names[0]) || !names[type])
		return "unknown";
	return names[type];
}
