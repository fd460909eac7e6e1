/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/halt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"

static void halt_say(struct halt *halt)
{
	char since[CLOCK_TEXT_SIZE];

	clock_format(halt->since_ms * CLOCK_NS_PER_MS, since);
	halt->active = true;
	snprintf(halt->reason, sizeof(halt->reason),
		 "halted by %s since %s: nothing but resume, probe and diag executes", halt->issuer,
		 since);
}

void halt_parse(const char *line, struct halt *ret_halt)
{
	struct halt halt = { .issuer = "an unreadable record" };
	char *end;
	uint64_t since = strtoull(line, &end, 10);

	if (end != line && *end == ' ' && strlen(end + 1) > ID_TEXT_SIZE &&
	    end[ID_TEXT_SIZE] == ' ') {
		halt.since_ms = since;
		memcpy(halt.id, end + 1, ID_TEXT_SIZE - 1);
		snprintf(halt.issuer, sizeof(halt.issuer), "%s", end + 1 + ID_TEXT_SIZE);
	}
	halt_say(&halt);
	*ret_halt = halt;
}

void halt_load(const char *path, struct halt *ret_halt)
{
	char line[512] = "";
	int r = file_read_line(AT_FDCWD, path, line, sizeof(line));

	if (r == -ENOENT) {
		memset(ret_halt, 0, sizeof(*ret_halt));
		return;
	}
	if (r)
		log_error("cannot read the halt file=%s error=\"%s\"", path, log_errno(r));
	halt_parse(line, ret_halt);
}

void halt_begin(struct halt *halt, uint64_t now_ms, const uint8_t id[16], const char *issuer)
{
	halt->since_ms = now_ms;
	id_format(id, halt->id);
	snprintf(halt->issuer, sizeof(halt->issuer), "%s", issuer);
	halt_say(halt);
}

void halt_end(struct halt *halt)
{
	memset(halt, 0, sizeof(*halt));
}
