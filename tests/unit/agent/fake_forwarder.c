/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/file.h"
#include "core/id.h"
#include "forwarders/frame/frame.h"

/*
 * A forwarder for tests, without a network: it acknowledges what it gets. The name that it is
 *started under (a link to it) says how it misbehaves:
 *	fake-ok		does not; sends the envelope in the file CONFIG.key_file, if any, when a
 *session is up fake-die	ends after its first batch without acknowledging it fake-version
 *says HELLO with a version of the future fake-garbage	sends a packet that is no frame fake-silent
 *never says anything fake-slow	grants credit for one small batch after the other fake-flood
 *sends commands as fast as it can fake-early	sends ACK before HELLO
 *	fake-stubborn	does not stop when it is told to
 *	fake-blank	names no resume points, and ends after the first batch of its first life
 *	fake-ahead	claims to have more than was ever sent
 * What happens to it is appended to the file CONFIG.ca_file, one line each.
 */
struct fake {
	const char *mode;
	int log;
	char command[1024];
	uint64_t credit_bytes, credit_records, got_bytes;
	bool up, stop;
	uint8_t packet[FRAME_MAX];
};

static struct fake fake = { .mode = "fake-ok", .log = -1 };

static bool fake_is(const char *mode)
{
	return fake.mode && strcmp(fake.mode, mode) == 0;
}

static void fake_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void fake_log(const char *format, ...)
{
	char line[256];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (fake.log >= 0 && len > 0)
		fd_write_all(fake.log, line, (size_t)len);
}

static void fake_send(const struct frame *frame)
{
	struct pollfd wait = { .fd = FRAME_FD, .events = POLLOUT };
	int r;

	while ((r = frame_send(FRAME_FD, frame)) == FRAME_E_AGAIN)
		poll(&wait, 1, -1);
	if (r)
		exit(3);
}

static struct frame_text fake_text(const char *text)
{
	return (struct frame_text){ text, strlen(text) };
}

static void fake_send_command(void)
{
	struct frame frame = { .type = FRAME_COMMAND };
	_cleanup_free_ char *envelope = NULL;
	size_t size;

	if (!*fake.command || file_read(fake.command, 131072, &envelope, &size) || !size)
		return;
	frame.command.envelope = (uint8_t *)envelope;
	frame.command.envelope_size = size;
	fake_send(&frame);
	fake_log("command\n");
}

static void fake_session_up(const struct frame_epochs *epochs)
{
	struct frame frame = { .type = FRAME_SESSION };
	struct frame_session_state *session = &frame.session;

	fake.credit_bytes = fake_is("fake-slow") ? 512 : 1u << 30;
	fake.credit_records = fake_is("fake-slow") ? 4 : 1u << 30;
	session->state = FRAME_SESSION_UP;
	session->address = fake_text("nowhere:1");
	session->credit_bytes = fake.credit_bytes;
	session->credit_records = fake.credit_records;
	session->max_batch_records = 8192;
	session->n_resume = fake_is("fake-blank") ? 0 : epochs->n_epochs;
	for (size_t i = 0; i < epochs->n_epochs; i++) {
		memcpy(session->resume[i].epoch, epochs->epochs[i].epoch, 16);
		session->resume[i].seq = epochs->epochs[i].first_unacked_seq
						 ? epochs->epochs[i].first_unacked_seq - 1
						 : 0;
		if (fake_is("fake-ahead") && epochs->n_epochs == 1)
			session->resume[i].seq = epochs->epochs[i].tail_seq + 1000;
	}
	fake_send(&frame);
	fake.up = true;
	fake.got_bytes = 0;
	fake_log("up\n");
	fake_send_command();
	for (int i = 0; fake_is("fake-flood") && i < 2000; i++) {
		static const uint8_t junk[] = { 1, 2, 3 };
		struct frame flood = { .type = FRAME_COMMAND, .command = { junk, sizeof(junk) } };

		fake_send(&flood);
	}
}

static void fake_want_session(void)
{
	struct frame frame = { .type = FRAME_SESSION_WANTED };

	fake_send(&frame);
}

static void fake_take_config(const struct frame_config *config)
{
	char path[1024];

	snprintf(path, sizeof(path), "%.*s", (int)config->ca_file.len, config->ca_file.text);
	snprintf(fake.command, sizeof(fake.command), "%.*s", (int)config->key_file.len,
		 config->key_file.text);
	if (fake.log < 0)
		fake.log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	fake_log("config %zu %llu\n", config->n_addresses,
		 (unsigned long long)config->session_generation);
	if (!fake.up)
		fake_want_session();
}

/* The first one leaves a mark for those that follow. */
static bool fake_is_first_life(void)
{
	int fd = open(fake.command, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;
	fd_close(fd);
	return true;
}

static void fake_take_batch(const struct frame_batch *batch)
{
	struct frame ack = { .type = FRAME_ACK, .ack = { .level = 2 } };
	struct frame credit = { .type = FRAME_CREDIT };

	fake_log("batch %llu %u\n", (unsigned long long)batch->first_seq, batch->count);
	if (fake_is("fake-die") || (fake_is("fake-blank") && fake_is_first_life()))
		exit(5);
	fake.got_bytes += batch->events_size;
	if (fake.got_bytes > fake.credit_bytes)
		fake_log("beyond credit\n");
	memcpy(ack.ack.epoch, batch->epoch, 16);
	ack.ack.seq = batch->first_seq + batch->count - 1;
	fake_send(&ack);
	if (!fake_is("fake-slow"))
		return;
	fake.credit_bytes += 512;
	fake.credit_records += 4;
	credit.credit = (struct frame_credit){ fake.credit_bytes, fake.credit_records };
	fake_send(&credit);
}

static void fake_take_gone(const struct frame_gone *gone)
{
	struct frame ack = { .type = FRAME_ACK, .ack = { .level = 2, .seq = gone->last_seq } };

	fake_log("gone %llu %llu %u\n", (unsigned long long)gone->first_seq,
		 (unsigned long long)gone->last_seq, gone->reason);
	memcpy(ack.ack.epoch, gone->epoch, 16);
	fake_send(&ack);
}

static void fake_take_reconnect(const struct frame_reconnect *reconnect)
{
	struct frame frame = { .type = FRAME_SESSION };

	fake_log("reconnect %.*s\n", (int)reconnect->reason.len, reconnect->reason.text);
	frame.session.state = FRAME_SESSION_DOWN;
	frame.session.cause = fake_text("drained");
	fake_send(&frame);
	fake.up = false;
	fake_want_session();
}

static void fake_take(const struct frame *frame)
{
	char id[ID_TEXT_SIZE];

	switch (frame->type) {
	case FRAME_CONFIG:
		fake_take_config(&frame->config);
		break;
	case FRAME_EPOCHS:
		fake_session_up(&frame->epochs);
		break;
	case FRAME_BATCH:
		fake_take_batch(&frame->batch);
		break;
	case FRAME_GONE:
		fake_take_gone(&frame->gone);
		break;
	case FRAME_RECONNECT:
		fake_take_reconnect(&frame->reconnect);
		break;
	case FRAME_RECEIPT:
		id_format(frame->receipt.command_id, id);
		fake_log("receipt %s\n", id);
		break;
	case FRAME_STOP:
		fake_log("stop\n");
		fake.stop = !fake_is("fake-stubborn");
		break;
	default:
		break;
	}
}

static void fake_say_hello(void)
{
	struct frame hello = { .type = FRAME_HELLO };

	hello.hello.version = fake_is("fake-version") ? FRAME_VERSION + 7 : FRAME_VERSION;
	hello.hello.program = fake_text(fake.mode);
	hello.hello.pid = (uint32_t)getpid();
	if (fake_is("fake-early"))
		hello = (struct frame){ .type = FRAME_ACK, .ack = { .seq = 1, .level = 2 } };
	if (fake_is("fake-garbage"))
		exit(write(FRAME_FD, "garbage", 7) == 7 ? (pause(), 0) : 4);
	if (!fake_is("fake-silent"))
		fake_send(&hello);
}

int main(void)
{
	struct pollfd wait = { .fd = FRAME_FD, .events = POLLIN };
	const char *name = (const char *)getauxval(AT_EXECFN);
	struct frame frame;
	int r;

	if (!name)
		return 2;
	fake.mode = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	fd_set_nonblock(FRAME_FD);
	fake_say_hello();
	while (!fake.stop) {
		r = frame_receive(FRAME_FD, fake.packet, &frame);
		if (r == FRAME_E_AGAIN) {
			poll(&wait, 1, -1);
			continue;
		}
		if (r)
			return 1;
		fake_take(&frame);
	}
	return 0;
}
