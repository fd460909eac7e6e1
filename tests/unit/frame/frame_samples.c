/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_samples.h"

#include <string.h>

static const uint8_t frame_events[] = { 0x42, 3, 'a', 'b', 'c', 0x42, 1, 'd', 0x42, 0 };

static struct frame_text frame_sample_text(const char *text)
{
	return (struct frame_text){ text, strlen(text) };
}

static void frame_sample_id(uint8_t id[16], uint8_t first)
{
	for (uint8_t i = 0; i < 16; i++)
		id[i] = (uint8_t)(first + i);
}

static void frame_sample_config(struct frame_config *config)
{
	*config = (struct frame_config){
		.host_id = frame_sample_text("host-1"),
		.agent_version = frame_sample_text("0.1.0"),
		.hostname = frame_sample_text("h\xc3\xa4uschen"),
		.kernel_release = frame_sample_text("6.1.0-18-amd64"),
		.addresses = { frame_sample_text("127.0.0.1:7443"),
			       frame_sample_text("[::1]:7443") },
		.n_addresses = 2,
		.ca_file = frame_sample_text("/etc/pathbell/ca.pem"),
		.certificate_file = frame_sample_text("/etc/pathbell/host.pem"),
		.key_file = frame_sample_text("/etc/pathbell/host.key"),
		.backoff_base_ns = 1,
		.backoff_cap_ns = UINT64_MAX,
		.keepalive_ns = UINT64_C(60000000000),
		.keepalive_timeout_ns = 5,
		.max_unacked_bytes = 512 * 1024,
		.session_generation = 7,
		.http_proxy = frame_sample_text(""),
		.log_level = 6,
	};
}

static void frame_sample_session(struct frame_session_state *session)
{
	*session = (struct frame_session_state){
		.state = FRAME_SESSION_UP,
		.cause = frame_sample_text("refused"),
		.detail = frame_sample_text("connection refused"),
		.address = frame_sample_text("127.0.0.1:7443"),
		.retry_ns = 9,
		.n_resume = FRAME_MAX_EPOCHS,
		.credit_bytes = 1 << 20,
		.credit_records = 4096,
		.max_batch_records = 1024,
	};
	for (size_t i = 0; i < FRAME_MAX_EPOCHS; i++) {
		frame_sample_id(session->resume[i].epoch, (uint8_t)i);
		session->resume[i].seq = i * 1000;
	}
}

static void frame_sample_session_frames(struct frame *frame)
{
	switch (frame->type) {
	case FRAME_HELLO:
		frame->hello = (struct frame_hello){ 1, frame_sample_text("pathbell-null"), 4242 };
		break;
	case FRAME_CONFIG:
		frame_sample_config(&frame->config);
		break;
	case FRAME_EPOCHS:
		frame->epochs.n_epochs = 2;
		frame_sample_id(frame->epochs.epochs[0].epoch, 1);
		frame->epochs.epochs[1] = (struct frame_epoch){ { 9 }, 1, 2, UINT64_MAX };
		break;
	case FRAME_SESSION:
		frame_sample_session(&frame->session);
		break;
	case FRAME_STATS:
		frame->stats = (struct frame_stats){ 1, 2, 3, 4, 5, 6 };
		break;
	case FRAME_BEAT:
		frame->beat = (struct frame_beat){ 10, 2, 3, true };
		break;
	case FRAME_STOP:
		frame->stop.deadline_ns = 2000000000;
		break;
	default:
		break;
	}
}

void frame_sample(enum frame_type type, struct frame *ret_frame)
{
	memset(ret_frame, 0, sizeof(*ret_frame));
	ret_frame->type = type;
	switch (type) {
	case FRAME_BATCH:
		ret_frame->batch =
			(struct frame_batch){ { 1 },	  100,		3,
					      0xdeadbeef, frame_events, sizeof(frame_events) };
		break;
	case FRAME_GONE:
		ret_frame->gone = (struct frame_gone){ { 2 }, 5, 9, 3 };
		break;
	case FRAME_ACK:
		ret_frame->ack = (struct frame_ack){ { 3 }, 102, 2 };
		break;
	case FRAME_CREDIT:
		ret_frame->credit = (struct frame_credit){ 1 << 20, 500 };
		break;
	case FRAME_COMMAND:
		ret_frame->command = (struct frame_command){ frame_events, 5 };
		break;
	case FRAME_RECEIPT:
		frame_sample_id(ret_frame->receipt.command_id, 0x40);
		break;
	case FRAME_RECONNECT:
		ret_frame->reconnect.address = frame_sample_text("10.0.0.2:7443");
		ret_frame->reconnect.reason = frame_sample_text("command");
		break;
	case FRAME_RESEND:
		ret_frame->resend = (struct frame_resend){ { 4 }, 7, 7 };
		break;
	case FRAME_ALARM:
		ret_frame->alarm = (struct frame_alarm){ frame_sample_text("expiring"),
							 frame_sample_text("in 3 days"),
							 UINT64_C(1800000000000000000) };
		break;
	default:
		frame_sample_session_frames(ret_frame);
		break;
	}
}
