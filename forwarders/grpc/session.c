/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * An attempt that fails moves on to the next address, at once but for the base delay, until each
 * was tried; only then the backoff grows (facts: delivery C-3, N11). A session that worked comes
 * back to where it was. What the server asks for (slot, not-before) is bounded by core/backoff.
 */
#define SESSION_S		 UINT64_C(1000000000)
#define SESSION_PATIENCE_NS	 (120 * SESSION_S) /* a storm of handshakes needs it (grpc-core 0.6) */
#define SESSION_PATIENCE_MANY_NS (25 * SESSION_S) /* a dead address costs less than 30 s */

void session_init(struct session *session, uint64_t seed)
{
	const struct backoff_options options = { .base_ns = SESSION_S,
						 .cap_ns = 60 * SESSION_S,
						 .healthy_ns = SESSION_HEALTHY_NS };

	memset(session, 0, sizeof(*session));
	backoff_init(&session->backoff, &options, seed);
}

static void session_free_addresses(char **addresses, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(addresses[i]);
}

void session_deinit(struct session *session)
{
	session_free_addresses(session->addresses, session->n_addresses);
	session->n_addresses = 0;
}

/* FNV-1a (draft-eastlake-fnv), then a finaliser: similar names must not sort alike. */
static uint64_t session_weight(const char *host_id, const char *address)
{
	const char *parts[2] = { host_id, address };
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < 2; i++) {
		for (const char *c = parts[i]; *c; c++)
			hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
		hash = (hash ^ 0xff) * UINT64_C(0x100000001b3);
	}
	hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	return hash ^ (hash >> 33);
}

static void session_sort(const char *host_id, char **addresses, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		char *address = addresses[i];
		size_t j = i;

		for (; j > 0 &&
		       session_weight(host_id, addresses[j - 1]) < session_weight(host_id, address);
		     j--)
			addresses[j] = addresses[j - 1];
		addresses[j] = address;
	}
}

static bool session_is_same_list(const struct session *session, char *const *addresses, size_t n)
{
	if (n != session->n_addresses)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(addresses[i], session->addresses[i]) != 0)
			return false;
	}
	return true;
}

int session_configure(struct session *session, const char *host_id, const char *const *addresses,
		      size_t n_addresses, const struct backoff_options *backoff, uint64_t now_ns)
{
	char *sorted[SESSION_MAX_ADDRESSES];
	size_t n = n_addresses < SESSION_MAX_ADDRESSES ? n_addresses : SESSION_MAX_ADDRESSES;

	for (size_t i = 0; i < n; i++) {
		sorted[i] = strdup(addresses[i]);
		if (!sorted[i]) {
			session_free_addresses(sorted, i);
			return -ENOMEM;
		}
	}
	session_sort(host_id, sorted, n);
	session->backoff.options = *backoff;
	if (session_is_same_list(session, sorted, n)) {
		session_free_addresses(sorted, n);
	} else {
		session_deinit(session);
		memcpy(session->addresses, sorted, n * sizeof(sorted[0]));
		session->n_addresses = n;
		session->address = 0;
		session->n_tried = 0;
	}
	if (session->state == SESSION_IDLE && n > 0) {
		session->state = SESSION_WAITING;
		session->due_ns = now_ns;
	}
	return 0;
}

bool session_prefer(struct session *session, const char *address)
{
	for (size_t i = 0; i < session->n_addresses; i++) {
		if (strcmp(session->addresses[i], address) == 0) {
			session->address = i;
			return true;
		}
	}
	return false;
}

void session_prefer_next(struct session *session)
{
	if (session->n_addresses > 0)
		session->address = (session->address + 1) % session->n_addresses;
}

const char *session_address(const struct session *session)
{
	return session->n_addresses > 0 ? session->addresses[session->address] : "";
}

uint64_t session_due_ns(const struct session *session)
{
	if (session->state == SESSION_WAITING || session->state == SESSION_HELD)
		return session->due_ns;
	return UINT64_MAX;
}

void session_connecting(struct session *session)
{
	session->state = SESSION_CONNECTING;
}

void session_up(struct session *session, uint64_t now_ns, uint64_t window_ns)
{
	session->state = SESSION_UP;
	session->sessions++;
	session->n_tried = 0;
	session->n_refused = 0;
	backoff_set_window(&session->backoff, window_ns);
	backoff_up(&session->backoff, now_ns);
}

static bool session_is_for_a_person(struct session *session, const struct session_end *end)
{
	if (end->cause == SESSION_AUTH)
		return true;
	if (!end->certificate_refused)
		return false;
	/* Looks the same as a server that dies during a handshake: believed when it goes on. */
	return ++session->n_refused >= SESSION_TLS_PATIENCE;
}

/* After a failed attempt, with addresses left that were not tried: only the base delay. */
static bool session_has_another(struct session *session, bool was_up)
{
	if (was_up)
		return false;
	session_prefer_next(session);
	if (++session->n_tried < session->n_addresses)
		return true;
	session->n_tried = 0;
	return false;
}

static uint64_t session_later(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns > b_ns ? a_ns : b_ns;
}

/* The long delay: at least the cap, spread by a quarter so that a fleet that is held does not come
 * in one wave. */
static uint64_t session_held_ns(const struct session *session, uint64_t now_ns, uint64_t due_ns)
{
	uint64_t cap_ns = session->backoff.options.cap_ns;

	return session_later(due_ns, now_ns + cap_ns + session->backoff.random % (cap_ns / 4 + 1));
}

void session_ended(struct session *session, uint64_t now_ns, const struct session_end *end)
{
	bool was_up = session->state == SESSION_UP;
	uint64_t asked_ns = end->return_after_ns < BACKOFF_SERVER_MAX_NS ? end->return_after_ns
									 : BACKOFF_SERVER_MAX_NS;

	session->ended[end->cause]++;
	session->state = SESSION_WAITING;
	if (end->cause == SESSION_DRAINED) {
		session->due_ns = backoff_drained(&session->backoff, now_ns, asked_ns);
	} else if (session_is_for_a_person(session, end)) {
		session->state = SESSION_HELD;
		session->due_ns =
			session_held_ns(session, now_ns, backoff_down(&session->backoff, now_ns));
		session_prefer_next(session);
	} else if (session_has_another(session, was_up)) {
		session->due_ns = now_ns + session->backoff.options.base_ns;
	} else {
		session->due_ns = backoff_down(&session->backoff, now_ns);
	}
	session->due_ns = session_later(session->due_ns, now_ns + asked_ns);
	if (session->n_addresses == 0)
		session->state = SESSION_IDLE;
}

void session_wake(struct session *session, uint64_t now_ns)
{
	if (session->state != SESSION_WAITING && session->state != SESSION_HELD)
		return;
	session->state = SESSION_WAITING;
	session->due_ns = now_ns;
	session->n_refused = 0;
}

uint64_t session_patience_ns(const struct session *session)
{
	return session->n_addresses > 1 ? SESSION_PATIENCE_MANY_NS : SESSION_PATIENCE_NS;
}

const char *session_cause_name(enum session_cause cause)
{
	static const char *const names[SESSION_N_CAUSES] = {
		[SESSION_REFUSED] = "refused",	 [SESSION_TIMEOUT] = "timeout",
		[SESSION_TLS] = "tls",		 [SESSION_AUTH] = "auth",
		[SESSION_PROTOCOL] = "protocol", [SESSION_BUSY] = "busy",
		[SESSION_LOST] = "lost",	 [SESSION_DRAINED] = "drained",
		[SESSION_SHUTDOWN] = "shutdown",
	};

	return names[cause];
}
