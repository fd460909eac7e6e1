/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three texts that a table and a struct give: the dump of what is in effect, the commented
 * sample, and the values of both. All of it can be read back by config_parse.
 */
#include "core/config_print.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/config_value.h"
#include "core/utf8.h"

#define CONFIG_LINE_WIDTH 100
#define CONFIG_INDENT	  2

/*
 * What YAML 1.1 would refuse or fold when it is read back: controls, its three line breaks beyond
 * ASCII (5.4) and what c-printable (5.1) leaves out.
 */
static bool config_needs_escape(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
	       code == 0xfeff || code == 0xfffe || code == 0xffff;
}

void config_print_quoted(FILE *out, const char *text)
{
	size_t left = strlen(text);

	fputc('"', out);
	while (left > 0) {
		uint32_t code = 0xfffd; /* for a byte that is not UTF-8 */
		size_t len = utf8_decode(text, left, &code);

		if (len == 0 || config_needs_escape(code))
			fprintf(out, "\\u%04x", code);
		else if (*text == '"' || *text == '\\')
			fprintf(out, "\\%c", *text);
		else
			fwrite(text, 1, len, out);
		text += len ? len : 1;
		left -= len ? len : 1;
	}
	fputc('"', out);
}

static void config_print_scalar(FILE *out, const struct config_option *option, const void *field)
{
	char text[CONFIG_VALUE_TEXT_SIZE];

	switch (option->type) {
	case CONFIG_BOOL:
		fputs(*(const bool *)field ? "true" : "false", out);
		break;
	case CONFIG_UINT:
		fprintf(out, "%" PRIu64, *(const uint64_t *)field);
		break;
	case CONFIG_SIZE:
		config_value_format_size(*(const uint64_t *)field, text);
		fputs(text, out);
		break;
	case CONFIG_DURATION:
		config_value_format_duration(*(const uint64_t *)field, text);
		fputs(text, out);
		break;
	case CONFIG_ENUM:
		fputs(option->names[*(const int *)field], out);
		break;
	default:
		config_print_quoted(out, *(char *const *)field);
		break;
	}
}

static void config_dump_table(FILE *out, const struct config_table *table, const void *target,
			      int indent);

static void config_dump_strings(FILE *out, const struct config_strings *strings)
{
	fputs(" [", out);
	for (size_t i = 0; i < strings->n_items; i++) {
		fputs(i ? ", " : "", out);
		config_print_quoted(out, strings->items[i]);
	}
	fputs("]\n", out);
}

static void config_dump_maps(FILE *out, const struct config_table *element,
			     const struct config_maps *maps, int indent)
{
	if (maps->n_items == 0) {
		fputs(" []\n", out);
		return;
	}
	fputc('\n', out);
	for (size_t i = 0; i < maps->n_items; i++) {
		fprintf(out, "%*s-\n", indent, "");
		config_dump_table(out, element, (const char *)maps->items + i * element->size,
				  indent + CONFIG_INDENT);
	}
}

static bool config_is_text(const struct config_option *option)
{
	return option->type == CONFIG_STRING || option->type == CONFIG_PATH;
}

static void config_dump_option(FILE *out, const struct config_option *option, const void *field,
			       int indent)
{
	bool absent = config_is_text(option) && !*(char *const *)field;

	fprintf(out, "%*s%s%s:", indent, "", absent ? "# " : "", option->name);
	if (absent) {
		fputc('\n', out);
	} else if (option->type == CONFIG_SECTION) {
		fputc('\n', out);
		config_dump_table(out, option->element, field, indent + CONFIG_INDENT);
	} else if (option->type == CONFIG_STRINGS) {
		config_dump_strings(out, field);
	} else if (option->type == CONFIG_MAPS) {
		config_dump_maps(out, option->element, field, indent + CONFIG_INDENT);
	} else {
		fputc(' ', out);
		config_print_scalar(out, option, field);
		fputc('\n', out);
	}
}

static void config_dump_table(FILE *out, const struct config_table *table, const void *target,
			      int indent)
{
	for (size_t i = 0; i < table->n_options; i++)
		config_dump_option(out, &table->options[i],
				   (const char *)target + table->options[i].offset, indent);
}

int config_print_finish(FILE *out)
{
	errno = 0;
	if (fflush(out) != 0 || ferror(out))
		return errno ? -errno : -EIO;
	return 0;
}

int config_dump(const struct config_table *table, const void *target, FILE *out)
{
	config_dump_table(out, table, target, 0);
	return config_print_finish(out);
}

/* @text as comment lines of at most CONFIG_LINE_WIDTH, broken at blanks. */
static void config_sample_comment(FILE *out, const char *text, int indent)
{
	size_t width = CONFIG_LINE_WIDTH - (size_t)indent - 2;

	while (*text) {
		size_t len = strcspn(text, "\n");

		if (len > width) {
			len = width;
			while (len > 0 && text[len] != ' ')
				len--;
			if (len == 0)
				len = strcspn(text, " \n");
		}
		fprintf(out, "%*s# %.*s\n", indent, "", (int)len, text);
		text += len;
		text += *text == ' ' || *text == '\n';
	}
}

/* What may stand behind the help: limits and choices, from the table and never out of step with it.
 */
static void config_sample_limits(FILE *out, const struct config_option *option, int indent)
{
	char min[CONFIG_VALUE_TEXT_SIZE], max[CONFIG_VALUE_TEXT_SIZE];

	if (option->type == CONFIG_ENUM) {
		fprintf(out, "%*s# One of:", indent, "");
		for (size_t i = 0; option->names[i]; i++)
			fprintf(out, "%s %s", i ? "," : "", option->names[i]);
		fputc('\n', out);
	}
	if (option->max == 0 || option->type == CONFIG_PATH || option->type == CONFIG_STRING)
		return;
	config_value_format_limit(option, option->min, min);
	config_value_format_limit(option, option->max, max);
	fprintf(out, "%*s# From %s to %s%s.\n", indent, "", min, max,
		option->type == CONFIG_STRINGS || option->type == CONFIG_MAPS ? " elements" : "");
}

static void config_sample_table(FILE *out, const struct config_table *table, int indent,
				const char *before);

/* A list of maps: one commented element that shows every option of it. */
static void config_sample_maps(FILE *out, const struct config_option *option, int indent,
			       const char *before)
{
	if (option->initial) {
		fprintf(out, "%*s%s%s: %s\n", indent, "", before, option->name, option->initial);
		return;
	}
	fprintf(out, "%*s# %s:\n%*s#   -\n", indent, "", option->name, indent, "");
	config_sample_table(out, option->element, indent, "#     ");
}

static void config_sample_value(FILE *out, const struct config_option *option)
{
	if (option->type == CONFIG_STRING && option->initial)
		config_print_quoted(out, option->initial);
	else
		fputs(option->initial ? option->initial : "", out);
}

static void config_sample_option(FILE *out, const struct config_option *option, int indent,
				 const char *before)
{
	if (!*before) {
		config_sample_comment(out, option->help ? option->help : "", indent);
		config_sample_limits(out, option, indent);
		if (option->required)
			fprintf(out, "%*s# Required.\n", indent, "");
	}
	if (option->type == CONFIG_SECTION) {
		fprintf(out, "%*s%s%s:\n", indent, "", before, option->name);
		config_sample_table(out, option->element, indent + CONFIG_INDENT, before);
		return;
	}
	if (option->type == CONFIG_MAPS) {
		config_sample_maps(out, option, indent, before);
		return;
	}
	fprintf(out, "%*s%s%s%s: ", indent, "", before, option->initial || *before ? "" : "# ",
		option->name);
	config_sample_value(out, option);
	fputc('\n', out);
}

static void config_sample_table(FILE *out, const struct config_table *table, int indent,
				const char *before)
{
	for (size_t i = 0; i < table->n_options; i++) {
		if (i > 0 && !*before)
			fputc('\n', out);
		config_sample_option(out, &table->options[i], indent, before);
	}
}

int config_sample(const struct config_table *table, const char *heading, FILE *out)
{
	config_sample_comment(out, heading, 0);
	fputc('\n', out);
	config_sample_table(out, table, 0, "");
	return config_print_finish(out);
}
