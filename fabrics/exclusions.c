/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/exclusions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabrics/lines.h"

struct exclusions_reader {
	struct exclusions *exclusions;
	void (*tell)(void *data, const struct errmsg *err);
	void *data;
};

static void exclusions_tell(void *data, const struct errmsg *err)
{
	struct exclusions_reader *reader = data;

	reader->exclusions->n_bad++;
	if (reader->tell)
		reader->tell(reader->data, err);
}

static int exclusions_add(struct exclusions *exclusions, const struct exclusion *exclusion)
{
	struct exclusion *items = exclusions->items;

	if ((exclusions->n & (exclusions->n - 1)) == 0) {
		items = reallocarray(items, exclusions->n ? exclusions->n * 2 : 1, sizeof(*items));
		if (!items)
			return -ENOMEM;
		exclusions->items = items;
	}
	items[exclusions->n++] = *exclusion;
	return 0;
}

static int exclusions_line(void *data, const char *file, unsigned number, char *text)
{
	struct exclusions_reader *reader = data;
	struct exclusion exclusion = { .line = number };
	char *equals = strchr(text, '=');
	struct errmsg err = { 0 };
	int r;

	if (*text == '[')
		return 0;
	errmsg_at(&err, file, number, 0, "only lines like exclusion = KEY=VALUE;... are read");
	if (equals)
		*equals = '\0';
	if (!equals || strcmp(lines_trim(text), "exclusion") != 0) {
		exclusions_tell(reader, &err);
		return 0;
	}
	errmsg_at(&err, file, number, 0, "the exclusion names nothing");
	r = tid_parse(equals + 1, &exclusion.tid, &err);
	if (r < 0 || !equals[1 + strspn(equals + 1, " \t;,")]) {
		exclusions_tell(reader, &err);
		return 0;
	}
	if (reader->exclusions->n == EXCLUSIONS_MAX) {
		errmsg_at(&err, file, number, 0, "more than %d exclusions", EXCLUSIONS_MAX);
		exclusions_tell(reader, &err);
		return 0;
	}
	snprintf(exclusion.file, sizeof(exclusion.file), "%s", file);
	return exclusions_add(reader->exclusions, &exclusion);
}

static struct lines_reader exclusions_lines(struct exclusions_reader *reader)
{
	return (struct lines_reader){ reader, exclusions_line, exclusions_tell };
}

int exclusions_parse(struct exclusions *exclusions, const char *name, const char *text, size_t size,
		     void (*tell)(void *data, const struct errmsg *err), void *data)
{
	struct exclusions_reader reader = { exclusions, tell, data };
	struct lines_reader lines = exclusions_lines(&reader);

	return lines_parse(&lines, name, text, size);
}

int exclusions_read(struct exclusions *exclusions, const char *path,
		    void (*tell)(void *data, const struct errmsg *err), void *data)
{
	struct exclusions_reader reader = { exclusions, tell, data };
	struct lines_reader lines = exclusions_lines(&reader);

	return lines_read_all(&lines, path);
}

static bool exclusions_fits(const char *given, const char *value)
{
	return !given[0] || strcmp(given, value) == 0;
}

/* The host's side as it is: a controller without host_iface uses source_iface. */
static bool exclusions_covers(const struct exclusion *exclusion, const struct tid *tid)
{
	struct tid given = exclusion->tid;

	/* One spelling of addresses, without the defaults that normalising adds. */
	tid_normalise(&given);
	if (!exclusion->tid.transport[0])
		snprintf(given.transport, sizeof(given.transport), "%s", tid->transport);
	tid_normalise(&given);
	if (!exclusion->tid.trsvcid[0])
		given.trsvcid[0] = '\0';
	return exclusions_fits(given.transport, tid->transport) &&
	       exclusions_fits(given.traddr, tid->traddr) &&
	       exclusions_fits(given.trsvcid, tid->trsvcid) &&
	       exclusions_fits(given.nqn, tid->nqn) &&
	       exclusions_fits(given.host_nqn, tid->host_nqn) &&
	       exclusions_fits(given.host_traddr,
			       tid->host_traddr[0] ? tid->host_traddr : tid->source_addr) &&
	       exclusions_fits(given.host_iface,
			       tid->host_iface[0] ? tid->host_iface : tid->source_iface);
}

const struct exclusion *exclusions_find(const struct exclusions *exclusions, const struct tid *tid)
{
	for (size_t i = 0; i < exclusions->n; i++)
		if (exclusions_covers(&exclusions->items[i], tid))
			return &exclusions->items[i];
	return NULL;
}

void exclusions_deinit(struct exclusions *exclusions)
{
	free(exclusions->items);
	*exclusions = (struct exclusions){ 0 };
}
