/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/writers.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/buf.h"
#include "core/file.h"
#include "proto/chain.h"

#define WRITERS_MIN_TOKEN 32
#define WRITERS_MAX_TOKEN 512
#define WRITERS_MAX_FILE  4096

struct writer_entry {
	char *name;
	char digest[2 * CHAIN_HASH_SIZE + 1];
};

struct writers {
	struct writer_entry *entries;
	size_t n_entries;
};

/* Without the line's end; false: too short, too long, or not printable. */
static bool writers_trim(char *token, size_t *size)
{
	while (*size > 0 && (token[*size - 1] == '\n' || token[*size - 1] == '\r'))
		(*size)--;
	if (*size < WRITERS_MIN_TOKEN || *size > WRITERS_MAX_TOKEN)
		return false;
	for (size_t i = 0; i < *size; i++)
		if (!isgraph((unsigned char)token[i]))
			return false;
	return true;
}

static int writers_token(const struct http_writer *from, char digest[2 * CHAIN_HASH_SIZE + 1],
			 struct errmsg *err)
{
	_cleanup_free_ char *token = NULL;
	struct stat status;
	size_t size = 0;
	int r = stat(from->token_file, &status) == 0 ? 0 : -errno;

	if (r == 0 && (status.st_mode & 077) != 0) {
		errmsg_set(err, "%s: readable by group or others", from->token_file);
		return -EACCES;
	}
	if (r == 0)
		r = file_read(from->token_file, WRITERS_MAX_FILE, &token, &size);
	if (r < 0) {
		errmsg_set(err, "%s: %s", from->token_file, strerror(-r));
		return r;
	}
	if (!writers_trim(token, &size)) {
		errmsg_set(err, "%s: not one line of 32 to 512 printable characters",
			   from->token_file);
		return -EINVAL;
	}
	return chain_digest(token, size, digest);
}

static int writers_add(struct writers *writers, const struct http_writer *from, struct errmsg *err)
{
	struct writer_entry *entry = &writers->entries[writers->n_entries];
	int r = writers_token(from, entry->digest, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < writers->n_entries; i++) {
		if (strcmp(writers->entries[i].name, from->name) != 0 &&
		    strcmp(writers->entries[i].digest, entry->digest) != 0)
			continue;
		errmsg_set(err, "http.writers: the name or the token of \"%s\" is there twice",
			   from->name);
		return -EINVAL;
	}
	entry->name = strdup(from->name);
	if (!entry->name)
		return -ENOMEM;
	writers->n_entries++;
	return 0;
}

struct writers *writers_new(const struct settings_http *settings, struct errmsg *err)
{
	const struct http_writer *from = settings->writers.items;
	struct writers *writers = calloc(1, sizeof(*writers));
	int r = 0;

	if (writers)
		writers->entries = calloc(settings->writers.n_items + 1, sizeof(*writers->entries));
	if (!writers || !writers->entries) {
		errmsg_set(err, "no memory");
		return writers_free(writers);
	}
	for (size_t i = 0; r == 0 && i < settings->writers.n_items; i++)
		r = writers_add(writers, &from[i], err);
	return r < 0 ? writers_free(writers) : writers;
}

struct writers *writers_free(struct writers *writers)
{
	if (!writers)
		return NULL;
	for (size_t i = 0; i < writers->n_entries; i++)
		free(writers->entries[i].name);
	free(writers->entries);
	free(writers);
	return NULL;
}

bool writers_any(const struct writers *writers)
{
	return writers->n_entries > 0;
}

/* Digests have one length, and every byte of every one is looked at. */
static bool writers_is(const char *a, const char *b)
{
	unsigned char difference = 0;

	for (size_t i = 0; i < 2 * CHAIN_HASH_SIZE; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

const char *writers_find(const struct writers *writers, const char *authorization)
{
	char digest[2 * CHAIN_HASH_SIZE + 1];
	const char *found = NULL;

	if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0 ||
	    chain_digest(authorization + 7, strlen(authorization + 7), digest) < 0)
		return NULL;
	for (size_t i = 0; i < writers->n_entries; i++)
		if (writers_is(writers->entries[i].digest, digest))
			found = writers->entries[i].name;
	return found;
}
