/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "core/config.h"
#include "core/config_tree.h"
#include "core/utf8.h"

struct config_scanner {
	const char *name;
	unsigned line, column;
	bool in_indent; /* only blanks so far on this line */
	struct errmsg *err;
};

/* YAML 1.1 section 5.1, c-printable; U+FEFF only as the first character. */
static bool config_scan_is_printable(uint32_t code)
{
	if (code < 0x80)
		return code == '\n' || code == '\r' || code == '\t' ||
		       (code >= 0x20 && code < 0x7f);
	return code == 0x85 || (code >= 0xa0 && code != 0xfeff && code != 0xfffe && code != 0xffff);
}

static int config_scan_refuse(const struct config_scanner *scanner, const char *what)
{
	errmsg_at(scanner->err, scanner->name, scanner->line, scanner->column, "%s", what);
	return CONFIG_E_INVALID;
}

static int config_scan_one(struct config_scanner *scanner, uint32_t code)
{
	if (code == 0)
		return config_scan_refuse(scanner, "NUL byte in a text file");
	if (code == '\t' && scanner->in_indent)
		return config_scan_refuse(scanner, "tab in the indentation, use spaces");
	if (!config_scan_is_printable(code)) {
		errmsg_at(scanner->err, scanner->name, scanner->line, scanner->column,
			  "control character U+%04X is not allowed", code);
		return CONFIG_E_INVALID;
	}
	if (code == '\n') {
		scanner->line++;
		scanner->column = 1;
		scanner->in_indent = true;
		return 0;
	}
	scanner->column++;
	scanner->in_indent = scanner->in_indent && code == ' ';
	return 0;
}

int config_scan(const char *name, const char *text, size_t text_len, struct errmsg *err)
{
	struct config_scanner scanner = {
		.name = name, .line = 1, .column = 1, .in_indent = true, .err = err
	};
	size_t at = 0;

	if (text_len > CONFIG_TREE_MAX_BYTES)
		return config_scan_refuse(&scanner, "file is larger than 1 MiB");
	if (text_len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		at = 3;
	while (at < text_len) {
		uint32_t code = 0;
		size_t len = utf8_decode(text + at, text_len - at, &code);
		int r;

		if (len == 0)
			return config_scan_refuse(&scanner, "byte that is not UTF-8");
		r = config_scan_one(&scanner, code);
		if (r != 0)
			return r;
		at += len;
	}
	return 0;
}
