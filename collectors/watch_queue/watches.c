/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/watch_queue/watches.h"

#include <errno.h>

#include "core/log.h"

void watches_init(struct watches *watches, const struct config_maps *keys)
{
	const struct watch_queue_key *key = keys->items;

	watches->n_keys = 0;
	for (size_t i = 0; i < keys->n_items && i < WATCH_QUEUE_MAX_KEYS; i++, key++) {
		watches->keys[watches->n_keys++] =
			(struct watches_key){ .spec = key->key,
					      .name = key->name != NULL ? key->name : key->key };
	}
	watches->retry_ns = UINT64_MAX;
	watches->pause_ns = WATCHES_RETRY_MIN_NS;
}

/* 0 = watched. Another watch on the same key (EBUSY: two names for one key) is a mistake of the
 * configuration that time does not heal; and neither do wrong names. */
static int watches_add(struct watches_key *key, int queue_fd, int watch_id)
{
	int32_t serial;
	int r = keys_find(key->spec, &serial);

	if (r == 0)
		r = keys_watch(serial, queue_fd, watch_id);
	if (r == 0) {
		key->serial = serial;
		key->told = false;
		if (keys_describe(serial, key->description) != 0)
			key->description[0] = '\0';
		log_info("key is watched name=\"%s\" serial=%d description=\"%s\"", key->name,
			 serial, key->description);
		return 0;
	}
	key->for_ever = r == -EBUSY || r == -EINVAL;
	if (!key->told)
		log_warning("key cannot be watched name=\"%s\" key=\"%s\" reason=\"%s\"", key->name,
			    key->spec,
			    r == KEYS_E_MISSING ? "it does not exist"
			    : r == -EBUSY	? "it is watched under another name"
						: log_errno(r));
	key->told = true;
	return r;
}

void watches_search(struct watches *watches, int queue_fd, uint64_t now_ns)
{
	size_t n_missing = 0;

	for (size_t i = 0; i < watches->n_keys; i++) {
		struct watches_key *key = &watches->keys[i];

		if (key->serial != 0 || key->for_ever)
			continue;
		if (watches_add(key, queue_fd, (int)i + 1) != 0 && !key->for_ever)
			n_missing++;
	}
	if (n_missing == 0) {
		watches->retry_ns = UINT64_MAX;
		watches->pause_ns = WATCHES_RETRY_MIN_NS;
		return;
	}
	/* Records in between do not bring the timer forward, and it does not fire twice at once. */
	if (watches->retry_ns != UINT64_MAX && watches->retry_ns > now_ns)
		return;
	watches->retry_ns = now_ns + watches->pause_ns;
	watches->pause_ns *= 2;
	if (watches->pause_ns > WATCHES_RETRY_MAX_NS)
		watches->pause_ns = WATCHES_RETRY_MAX_NS;
}

struct note_watch watches_name(const struct watches *watches, uint32_t watch_id)
{
	const struct watches_key *key;

	if (watch_id == 0 || watch_id > watches->n_keys)
		return (struct note_watch){ 0 };
	key = &watches->keys[watch_id - 1];
	return (struct note_watch){ .name = key->name,
				    .description =
					    key->description[0] != '\0' ? key->description : NULL };
}

void watches_removed(struct watches *watches, uint32_t watch_id, uint32_t serial, uint64_t now_ns)
{
	struct watches_key *key;

	if (watch_id == 0 || watch_id > watches->n_keys)
		return;
	key = &watches->keys[watch_id - 1];
	/* A late record of an earlier key under this id. */
	if (serial != 0 && (int32_t)serial != key->serial)
		return;
	key->serial = 0;
	key->for_ever = keys_spec_is_serial(key->spec);
	if (!key->for_ever && watches->retry_ns == UINT64_MAX)
		watches->retry_ns = now_ns;
}

size_t watches_find_gone(const struct watches *watches, size_t from)
{
	size_t i;

	for (i = from; i < watches->n_keys; i++) {
		int32_t serial = watches->keys[i].serial;

		if (serial != 0 && !keys_exists(serial))
			break;
	}
	return i;
}
