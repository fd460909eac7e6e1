/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Schema, draft 2020-12, of a table: for editors. It says no less than config_parse checks, as
 * far as JSON Schema can say it (it cannot compare 64KiB with 1MiB).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"
#include "core/config_print.h"

#define CONFIG_SCHEMA_INDENT 2

/* Scalars that config_parse takes as text: 1234 and true are words where a word is wanted. */
#define CONFIG_SCHEMA_WORD "\"type\": [\"string\", \"number\", \"boolean\"]"

static void config_schema_members(FILE *out, const struct config_table *table, const char *type,
				  int indent);

static void config_schema_range(FILE *out, const struct config_option *option, const char *min,
				const char *max)
{
	if (option->min)
		fprintf(out, ", \"%s\": %" PRIu64, min, option->min);
	if (option->max)
		fprintf(out, ", \"%s\": %" PRIu64, max, option->max);
}

static void config_schema_names(FILE *out, const struct config_option *option)
{
	fputs("\"enum\": [", out);
	for (size_t i = 0; option->names[i]; i++) {
		fputs(i ? ", " : "", out);
		config_print_quoted(out, option->names[i]);
	}
	fputc(']', out);
}

/* The keywords of a single value. */
static void config_schema_scalar(FILE *out, const struct config_option *option)
{
	switch (option->type) {
	case CONFIG_BOOL:
		fputs("\"type\": \"boolean\"", out);
		break;
	case CONFIG_UINT:
		fputs("\"type\": \"integer\"", out);
		config_schema_range(out, option, "minimum", "maximum");
		break;
	case CONFIG_SIZE:
		fputs("\"type\": [\"integer\", \"string\"], "
		      "\"pattern\": \"^(0|[1-9][0-9]*)(B|KiB|MiB|GiB|TiB)?$\"",
		      out);
		break;
	case CONFIG_DURATION:
		fputs("\"type\": \"string\", \"pattern\": \"^(0|[1-9][0-9]*)(ns|us|ms|s|m|h|d)$\"",
		      out);
		break;
	case CONFIG_PATH:
		fputs("\"type\": \"string\", \"pattern\": \"^/\"", out);
		break;
	case CONFIG_ENUM:
		config_schema_names(out, option);
		break;
	default:
		fputs(CONFIG_SCHEMA_WORD, out);
		config_schema_range(out, option, "minLength", "maxLength");
		break;
	}
}

static void config_schema_list(FILE *out, const struct config_option *option, int indent)
{
	fputs("\"type\": \"array\"", out);
	config_schema_range(out, option, "minItems", "maxItems");
	fputs(", \"items\": { ", out);
	if (option->type == CONFIG_MAPS)
		config_schema_members(out, option->element, "\"object\"", indent);
	else
		fputs(CONFIG_SCHEMA_WORD, out);
	fputs(" }", out);
}

static void config_schema_default(FILE *out, const struct config_option *option)
{
	bool bare = option->type == CONFIG_BOOL || option->type == CONFIG_UINT;

	/* A flow list of bare words is YAML, not JSON: only the empty one is both. */
	if (!option->initial || option->type == CONFIG_STRINGS || option->type == CONFIG_MAPS)
		return;
	fputs(", \"default\": ", out);
	if (bare)
		fputs(option->initial, out);
	else
		config_print_quoted(out, option->initial);
}

static void config_schema_option(FILE *out, const struct config_option *option, int indent)
{
	fprintf(out, "%*s", indent, "");
	config_print_quoted(out, option->name);
	fputs(": { ", out);
	if (option->help) {
		fputs("\"description\": ", out);
		config_print_quoted(out, option->help);
		fputs(", ", out);
	}
	if (option->type == CONFIG_SECTION)
		config_schema_members(out, option->element, "[\"object\", \"null\"]", indent);
	else if (option->type == CONFIG_STRINGS || option->type == CONFIG_MAPS)
		config_schema_list(out, option, indent);
	else
		config_schema_scalar(out, option);
	config_schema_default(out, option);
	fputs(" }", out);
}

static void config_schema_required(FILE *out, const struct config_table *table)
{
	bool any = false;

	for (size_t i = 0; i < table->n_options; i++) {
		if (!table->options[i].required)
			continue;
		fputs(any ? ", " : ", \"required\": [", out);
		config_print_quoted(out, table->options[i].name);
		any = true;
	}
	fputs(any ? "]" : "", out);
}

static void config_schema_members(FILE *out, const struct config_table *table, const char *type,
				  int indent)
{
	int inner = indent + CONFIG_SCHEMA_INDENT;

	fprintf(out, "\"type\": %s, \"additionalProperties\": false", type);
	config_schema_required(out, table);
	fputs(", \"properties\": {\n", out);
	for (size_t i = 0; i < table->n_options; i++) {
		config_schema_option(out, &table->options[i], inner);
		fputs(i + 1 < table->n_options ? ",\n" : "\n", out);
	}
	fprintf(out, "%*s}", indent, "");
}

int config_schema(const struct config_table *table, const char *title, FILE *out)
{
	fputs("{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"title\": ",
	      out);
	config_print_quoted(out, title);
	fputs(",\n  ", out);
	config_schema_members(out, table, "\"object\"", CONFIG_SCHEMA_INDENT);
	fputs("\n}\n", out);
	return config_print_finish(out);
}
