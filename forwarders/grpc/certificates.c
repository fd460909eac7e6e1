/* SPDX-License-Identifier: Apache-2.0 */
#include "certificates.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/clock.h"

#define CERTIFICATES_DAY_NS (86400 * CLOCK_NS_PER_S)

const char *certificates_state_name(enum certificates_state state)
{
	static const char *const names[] = {
		[CERTIFICATES_OK] = "ok",
		[CERTIFICATES_EXPIRING] = "expiring",
		[CERTIFICATES_EXPIRED] = "expired",
		[CERTIFICATES_MISMATCH] = "mismatch",
		[CERTIFICATES_UNREADABLE] = "unreadable",
	};

	return names[state];
}

bool certificates_is_usable(const struct certificates *certificates)
{
	return certificates->state <= CERTIFICATES_EXPIRING;
}

static uint64_t certificates_warn_ns(const struct rpc_certificate *leaf)
{
	uint64_t life_ns = leaf->not_after_unix_ns - leaf->not_before_unix_ns;
	uint64_t ahead_ns =
		life_ns / 5 < 7 * CERTIFICATES_DAY_NS ? life_ns / 5 : 7 * CERTIFICATES_DAY_NS;

	return leaf->not_after_unix_ns - ahead_ns;
}

static void certificates_check_time(const struct settings *settings,
				    const struct rpc_certificate *leaf, uint64_t now_unix_ns,
				    struct certificates *certificates)
{
	char when[CLOCK_TEXT_SIZE];

	if (now_unix_ns < leaf->not_before_unix_ns) {
		certificates->state = CERTIFICATES_EXPIRED;
		certificates->next_unix_ns = leaf->not_before_unix_ns;
		clock_format(leaf->not_before_unix_ns, when);
		snprintf(certificates->detail, sizeof(certificates->detail),
			 "%.400s: not valid before %s (is the clock right?)",
			 settings->certificate_file, when);
		return;
	}
	clock_format(leaf->not_after_unix_ns, when);
	if (now_unix_ns >= leaf->not_after_unix_ns) {
		certificates->state = CERTIFICATES_EXPIRED;
		snprintf(certificates->detail, sizeof(certificates->detail),
			 "%.400s: expired on %s", settings->certificate_file, when);
	} else if (now_unix_ns >= certificates_warn_ns(leaf)) {
		certificates->state = CERTIFICATES_EXPIRING;
		certificates->next_unix_ns = leaf->not_after_unix_ns;
		snprintf(certificates->detail, sizeof(certificates->detail),
			 "%.400s: expires on %s", settings->certificate_file, when);
	} else {
		certificates->state = CERTIFICATES_OK;
		certificates->next_unix_ns = certificates_warn_ns(leaf);
	}
}

static bool certificates_is_ours(const struct settings *settings,
				 const struct rpc_certificate *leaf,
				 struct certificates *certificates)
{
	struct rpc_spiffe id;

	if (rpc_spiffe_parse(leaf->uri, &id) && strcmp(id.kind, "host") == 0 &&
	    strcmp(id.name, settings->host_id) == 0)
		return true;
	certificates->state = CERTIFICATES_MISMATCH;
	snprintf(certificates->detail, sizeof(certificates->detail),
		 "%.256s: the certificate says \"%.128s\" and not spiffe://.../host/%.128s",
		 settings->certificate_file, leaf->uri[0] ? leaf->uri : "nothing",
		 settings->host_id);
	return false;
}

void certificates_check(const struct settings *settings, uint64_t now_unix_ns,
			struct certificates *ret_certificates)
{
	const struct rpc_credentials files = settings_credentials(settings);
	struct certificates certificates = { .state = CERTIFICATES_UNREADABLE };
	struct rpc_certificate leaf;
	struct errmsg err = { .line = 0 };

	if (rpc_credentials_check(&files, &err) < 0 ||
	    rpc_certificate_read(files.certificate_file, &leaf, &err) < 0) {
		errmsg_format(&err, certificates.detail, sizeof(certificates.detail));
	} else {
		certificates.not_after_unix_ns = leaf.not_after_unix_ns;
		if (certificates_is_ours(settings, &leaf, &certificates))
			certificates_check_time(settings, &leaf, now_unix_ns, &certificates);
	}
	*ret_certificates = certificates;
}

static uint64_t certificates_mix(uint64_t hash, uint64_t value)
{
	hash ^= value;
	hash *= UINT64_C(0x9E3779B97F4A7C15);
	return hash ^ (hash >> 29);
}

uint64_t certificates_stamp(const struct settings *settings)
{
	const char *const paths[] = { settings->ca_file, settings->certificate_file,
				      settings->key_file };
	uint64_t hash = 1;
	struct stat st;

	for (size_t i = 0; i < 3; i++) {
		if (stat(paths[i], &st) < 0) {
			hash = certificates_mix(hash, i + 1);
			continue;
		}
		hash = certificates_mix(hash, st.st_ino ^ (uint64_t)st.st_dev << 40);
		hash = certificates_mix(hash, (uint64_t)st.st_size);
		hash = certificates_mix(hash, (uint64_t)st.st_mtim.tv_sec * CLOCK_NS_PER_S +
						      (uint64_t)st.st_mtim.tv_nsec);
		hash = certificates_mix(hash, (uint64_t)st.st_ctim.tv_sec * CLOCK_NS_PER_S +
						      (uint64_t)st.st_ctim.tv_nsec);
	}
	return hash;
}
