/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/where.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void where_init(struct where *where)
{
	*where = (struct where){ .selector = PATHBELL__V1__CAMPAIGN_SELECTOR__INIT };
	where->selector.host_globs = where->globs;
}

void where_deinit(struct where *where)
{
	free(where->text);
	where->text = NULL;
}

enum where_key { WHERE_NONE, WHERE_TARGET, WHERE_ARRAY, WHERE_HOST, WHERE_DEGRADED };

/* The term that begins at @text; *ret_len is the key with its '='. */
static enum where_key where_key(const char *text, size_t *ret_len)
{
	static const struct {
		const char *text;
		enum where_key key;
	} keys[] = { { "target=", WHERE_TARGET },
		     { "array=", WHERE_ARRAY },
		     { "host=", WHERE_HOST } };
	size_t len = strlen("degraded");

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		*ret_len = strlen(keys[i].text);
		if (strncmp(text, keys[i].text, *ret_len) == 0)
			return keys[i].key;
	}
	*ret_len = len;
	if (strncmp(text, "degraded", len) == 0 && (text[len] == '\0' || text[len] == ','))
		return WHERE_DEGRADED;
	return WHERE_NONE;
}

/* From @text to the comma before the next term, or to the end. */
static size_t where_term_len(const char *text)
{
	const char *at = text;
	size_t len;

	while ((at = strchr(at, ','))) {
		if (where_key(at + 1, &len) != WHERE_NONE)
			return (size_t)(at - text);
		at++;
	}
	return strlen(text);
}

static int where_once(char **field, char *value, const char *name, struct errmsg *err)
{
	if (**field) {
		errmsg_set(err, "%s= is given twice", name);
		return -EINVAL;
	}
	*field = value;
	return 0;
}

static int where_take(struct where *where, enum where_key key, char *value, struct errmsg *err)
{
	Pathbell__V1__CampaignSelector *selector = &where->selector;

	if (key == WHERE_DEGRADED) {
		selector->degraded_only = true;
		return 0;
	}
	if (!*value) {
		errmsg_set(err, "a term without a value");
		return -EINVAL;
	}
	if (key == WHERE_TARGET)
		return where_once(&selector->target, value, "target", err);
	if (key == WHERE_ARRAY)
		return where_once(&selector->array, value, "array", err);
	if (selector->n_host_globs == WHERE_MAX_GLOBS) {
		errmsg_set(err, "more than %d host=", WHERE_MAX_GLOBS);
		return -EINVAL;
	}
	where->globs[selector->n_host_globs++] = value;
	return 0;
}

int where_add(struct where *where, const char *text, struct errmsg *err)
{
	/* not realloc: values point into it */
	if (!where->text)
		where->text = malloc(WHERE_MAX_TEXT);
	if (!where->text || where->size + strlen(text) + 2 > WHERE_MAX_TEXT) {
		errmsg_set(err, "longer than %d bytes", WHERE_MAX_TEXT);
		return -EINVAL;
	}
	for (;;) {
		size_t key_len;
		enum where_key key = where_key(text, &key_len);
		size_t len = where_term_len(text);
		char *value = where->text + where->size;
		int r;

		if (key == WHERE_NONE) {
			errmsg_set(err,
				   "'%.60s' is none of target=NQN, array=GLOB, host=GLOB, degraded",
				   text);
			return -EINVAL;
		}
		memcpy(value, text + key_len, len - key_len);
		value[len - key_len] = '\0';
		where->size += len - key_len + 1;
		r = where_take(where, key, value, err);
		if (r != 0 || !text[len])
			return r;
		text += len + 1;
	}
}

bool where_is_empty(const struct where *where)
{
	const Pathbell__V1__CampaignSelector *selector = &where->selector;

	return !*selector->target && !*selector->array && selector->n_host_globs == 0;
}
