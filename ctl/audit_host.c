/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/audit_host.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "ctl/cli.h"

void audit_host_deinit(struct audit_host *host)
{
	free(host->lines);
	*host = (struct audit_host){ 0 };
}

int audit_host_add(struct audit_host *host, const char *name, const char *line, size_t len)
{
	struct audit_head last = host->n ? host->lines[host->n - 1] : (struct audit_head){ 0 };
	uint64_t after = last.seq;
	enum audit_break what = audit_line_check(line, len, &last, &host->unchecked);

	if (what != AUDIT_FITS)
		return cli_fail(CLI_FAILED, "%s: BROKEN behind record %" PRIu64 ": %s", name, after,
				audit_break_text(what));
	if (host->n == host->capacity) {
		size_t capacity = host->capacity ? 2 * host->capacity : 256;
		void *lines = realloc(host->lines, capacity * sizeof(*host->lines));

		if (!lines)
			return cli_fail(CLI_FAILED, "out of memory");
		host->lines = lines;
		host->capacity = capacity;
	}
	host->lines[host->n++] = last;
	return CLI_OK;
}

static int audit_lines_each(const char *path, const char *text, size_t size, audit_on_line on_line,
			    void *data)
{
	int code = CLI_OK;

	while (code == CLI_OK && size) {
		const char *end = memchr(text, '\n', size);
		size_t len = end ? (size_t)(end - text) : size;

		if (!end)
			return cli_fail(CLI_FAILED,
					"%s: the last line is torn; all before it was "
					"read",
					path);
		code = on_line(data, path, text, len);
		text += len + 1;
		size -= len + 1;
	}
	return code;
}

int audit_lines_read(const char *path, audit_on_line on_line, void *data)
{
	char *text = NULL;
	size_t size = 0;
	int r = file_read(path, AUDIT_HOST_MAX_FILE, &text, &size);
	int code;

	if (r < 0)
		return cli_fail(r == -ENOENT   ? CLI_NOT_FOUND
				: r == -EACCES ? CLI_PERMISSION
					       : CLI_FAILED,
				"%s: %s", path, strerror(-r));
	code = audit_lines_each(path, text, size, on_line, data);
	free(text);
	return code;
}

static int audit_host_on_line(void *data, const char *name, const char *line, size_t len)
{
	return audit_host_add(data, name, line, len);
}

int audit_host_read(const char *path, struct audit_host *ret_host)
{
	return audit_lines_read(path, audit_host_on_line, ret_host);
}

bool audit_host_fits(const struct audit_host *host, const struct audit_head *told)
{
	uint64_t first = host->n ? host->lines[0].seq : 0;

	if (!host->n || told->seq < first || told->seq - first >= host->n)
		return true;
	return memcmp(host->lines[told->seq - first].hash, told->hash, sizeof(told->hash)) == 0;
}
