/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct config_unit {
	const char *name;
	uint64_t factor;
};

/* Greatest first: the order in which the dump tries them. */
static const struct config_unit config_duration_units[] = {
	{ "d", UINT64_C(86400000000000) },
	{ "h", UINT64_C(3600000000000) },
	{ "m", UINT64_C(60000000000) },
	{ "s", UINT64_C(1000000000) },
	{ "ms", UINT64_C(1000000) },
	{ "us", UINT64_C(1000) },
	{ "ns", UINT64_C(1) },
};

static const struct config_unit config_size_units[] = {
	{ "TiB", UINT64_C(1) << 40 }, { "GiB", UINT64_C(1) << 30 }, { "MiB", UINT64_C(1) << 20 },
	{ "KiB", UINT64_C(1) << 10 }, { "B", UINT64_C(1) },
};

#define CONFIG_N_UNITS(units) (sizeof(units) / sizeof((units)[0]))

/* Levenshtein distance, given up above @limit. Words beyond CONFIG_WORD_MAX are never near. */
#define CONFIG_WORD_MAX 64

static size_t config_distance(const char *a, const char *b, size_t limit)
{
	size_t row[CONFIG_WORD_MAX + 1];
	size_t a_len = strlen(a), b_len = strlen(b);

	if (a_len > CONFIG_WORD_MAX || b_len > CONFIG_WORD_MAX)
		return limit + 1;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			best = best < row[j] + 1 ? best : row[j] + 1;
			best = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[b_len];
}

const char *config_value_nearest(const char *word, const char *const *names, size_t n_names)
{
	const char *nearest = NULL;
	size_t best = 4;

	for (size_t i = 0; i < n_names; i++) {
		size_t distance = config_distance(word, names[i], 3);

		/* Three edits of a word of three letters are any other word. */
		if (distance < best && distance < strlen(names[i])) {
			best = distance;
			nearest = names[i];
		}
	}
	return nearest;
}

/* Decimal digits at the start of @text. Where they end, or NULL with err->text. */
static const char *config_digits(const char *text, uint64_t *ret_value, struct errmsg *err)
{
	uint64_t value = 0;
	const char *p = text;

	if (!isdigit((unsigned char)*p)) {
		errmsg_set(err, "\"%.40s\" is not a number%s", text,
			   *p == '-' ? " from 0 upwards" : "");
		return NULL;
	}
	for (; isdigit((unsigned char)*p); p++) {
		unsigned digit = (unsigned)(*p - '0');

		if (value > (UINT64_MAX - digit) / 10) {
			errmsg_set(err, "\"%.40s\" is larger than 2^64", text);
			return NULL;
		}
		value = value * 10 + digit;
	}
	if (text[0] == '0' && p - text > 1) {
		errmsg_set(err, "\"%.40s\" has a leading zero, numbers are decimal", text);
		return NULL;
	}
	*ret_value = value;
	return p;
}

static int config_parse_unit(const char *text, const struct config_unit *units, size_t n_units,
			     const char *hint, uint64_t *ret_value, struct errmsg *err)
{
	uint64_t number = 0;
	const char *unit = config_digits(text, &number, err);

	if (!unit)
		return CONFIG_E_INVALID;
	if (number == 0 && !*unit) {
		*ret_value = 0;
		return 0;
	}
	for (size_t i = 0; i < n_units; i++) {
		if (strcmp(unit, units[i].name) != 0)
			continue;
		if (number > UINT64_MAX / units[i].factor) {
			errmsg_set(err, "\"%.40s\" is too large", text);
			return CONFIG_E_INVALID;
		}
		*ret_value = number * units[i].factor;
		return 0;
	}
	errmsg_set(err, "\"%.40s\" has %s unit, %s", text, *unit ? "an unknown" : "no", hint);
	return CONFIG_E_INVALID;
}

int config_parse_duration(const char *text, uint64_t *ret_ns, struct errmsg *err)
{
	return config_parse_unit(text, config_duration_units, CONFIG_N_UNITS(config_duration_units),
				 "write for example 500ms, 30s, 10m, 24h or 7d", ret_ns, err);
}

int config_parse_size(const char *text, uint64_t *ret_bytes, struct errmsg *err)
{
	uint64_t number = 0;
	const char *unit = config_digits(text, &number, err);

	if (!unit)
		return CONFIG_E_INVALID;
	if (!*unit) {
		*ret_bytes = number;
		return 0;
	}
	return config_parse_unit(text, config_size_units, CONFIG_N_UNITS(config_size_units),
				 "write for example 512, 64KiB, 256MiB or 1GiB", ret_bytes, err);
}

static void config_format_unit(uint64_t value, const struct config_unit *units,
			       char ret_text[CONFIG_VALUE_TEXT_SIZE])
{
	while (units->factor > 1 && (value == 0 || value % units->factor != 0))
		units++;
	snprintf(ret_text, CONFIG_VALUE_TEXT_SIZE, "%" PRIu64 "%s", value / units->factor,
		 units->name);
}

void config_value_format_duration(uint64_t ns, char ret_text[CONFIG_VALUE_TEXT_SIZE])
{
	/* Zero of which unit does not matter; a person expects seconds. */
	config_format_unit(ns, ns ? config_duration_units : config_duration_units + 3, ret_text);
	if (ns == 0)
		snprintf(ret_text, CONFIG_VALUE_TEXT_SIZE, "0s");
}

void config_value_format_size(uint64_t bytes, char ret_text[CONFIG_VALUE_TEXT_SIZE])
{
	config_format_unit(bytes, config_size_units, ret_text);
}

void config_value_format_limit(const struct config_option *option, uint64_t value,
			       char ret_text[CONFIG_VALUE_TEXT_SIZE])
{
	if (option->type == CONFIG_DURATION)
		config_value_format_duration(value, ret_text);
	else if (option->type == CONFIG_SIZE)
		config_value_format_size(value, ret_text);
	else
		snprintf(ret_text, CONFIG_VALUE_TEXT_SIZE, "%" PRIu64, value);
}

static int config_check_range(const struct config_option *option, uint64_t value, const char *what,
			      struct errmsg *err)
{
	char min[CONFIG_VALUE_TEXT_SIZE], max[CONFIG_VALUE_TEXT_SIZE], is[CONFIG_VALUE_TEXT_SIZE];

	if (value >= option->min && (option->max == 0 || value <= option->max))
		return 0;
	config_value_format_limit(option, value, is);
	config_value_format_limit(option, option->min, min);
	config_value_format_limit(option, option->max, max);
	if (option->max == 0)
		errmsg_set(err, "%s %s is below the least allowed, %s", what, is, min);
	else
		errmsg_set(err, "%s %s is not within %s and %s", what, is, min, max);
	return CONFIG_E_INVALID;
}

int config_value_check_count(const struct config_option *option, size_t n, struct errmsg *err)
{
	return config_check_range(option, n, "number of elements", err);
}

static int config_set_bool(const char *text, bool plain, bool *target, struct errmsg *err)
{
	static const char *const others[] = { "yes", "no", "on", "off", "y", "n" };

	if (plain && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
		*target = text[0] == 't';
		return 0;
	}
	for (size_t i = 0; i < CONFIG_N_UNITS(others); i++) {
		if (strcasecmp(text, others[i]) != 0)
			continue;
		errmsg_set(err, "\"%s\" is not a truth value, write %s", text,
			   i % 2 ? "false" : "true");
		return CONFIG_E_INVALID;
	}
	errmsg_set(err, "\"%.40s\" is not true or false", text);
	return CONFIG_E_INVALID;
}

static int config_set_number(const struct config_option *option, const char *text, bool plain,
			     uint64_t *target, struct errmsg *err)
{
	uint64_t value = 0;
	const char *end;
	int r = 0;

	if (option->type == CONFIG_DURATION) {
		r = config_parse_duration(text, &value, err);
	} else if (option->type == CONFIG_SIZE) {
		r = config_parse_size(text, &value, err);
	} else if (!plain) {
		errmsg_set(err, "\"%.40s\" is a string, write the number without quotes", text);
		return CONFIG_E_INVALID;
	} else {
		end = config_digits(text, &value, err);
		if (!end)
			return CONFIG_E_INVALID;
		if (*end) {
			errmsg_set(err, "\"%.40s\" is not a whole number", text);
			return CONFIG_E_INVALID;
		}
	}
	if (r == 0)
		r = config_check_range(option, value, "value", err);
	if (r == 0)
		*target = value;
	return r;
}

static int config_check_text(const struct config_option *option, const char *text,
			     struct errmsg *err)
{
	for (const char *p = text; *p; p++) {
		bool is_line = option->type == CONFIG_STRING && (*p == '\n' || *p == '\t');

		if (iscntrl((unsigned char)*p) && !is_line) {
			errmsg_set(err, "control character 0x%02x in the value",
				   (unsigned)(unsigned char)*p);
			return CONFIG_E_INVALID;
		}
	}
	if (option->type != CONFIG_PATH)
		return config_check_range(option, strlen(text), "length", err);
	if (text[0] != '/') {
		errmsg_set(err, "\"%.200s\" is not an absolute path", text);
		return CONFIG_E_INVALID;
	}
	if (strlen(text) >= PATH_MAX) {
		errmsg_set(err, "path is longer than %d bytes", PATH_MAX - 1);
		return CONFIG_E_INVALID;
	}
	return 0;
}

static int config_set_text(const struct config_option *option, const char *text, char **target,
			   struct errmsg *err)
{
	int r = config_check_text(option, text, err);
	char *copy;

	if (r != 0)
		return r;
	copy = strdup(text);
	if (!copy) {
		errmsg_set(err, "out of memory");
		return -ENOMEM;
	}
	free(*target);
	*target = copy;
	return 0;
}

/* "a, b or c", cut where it is longer than the buffer. */
static void config_join_names(const char *const *names, char *ret_text, size_t size)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; names[i] && used < size; i++) {
		const char *before = i == 0 ? "" : names[i + 1] ? ", " : " or ";

		used += (size_t)snprintf(ret_text + used, size - used, "%s%s", before, names[i]);
	}
}

static int config_set_enum(const struct config_option *option, const char *text, int *target,
			   struct errmsg *err)
{
	char names[256];

	for (size_t i = 0; option->names[i]; i++) {
		if (strcmp(text, option->names[i]) == 0) {
			*target = (int)i;
			return 0;
		}
	}
	config_join_names(option->names, names, sizeof(names));
	errmsg_set(err, "\"%.40s\" is not one of %s", text, names);
	return CONFIG_E_INVALID;
}

int config_value_set(const struct config_option *option, const char *text, bool plain, void *target,
		     struct errmsg *err)
{
	switch (option->type) {
	case CONFIG_BOOL:
		return config_set_bool(text, plain, target, err);
	case CONFIG_UINT:
	case CONFIG_SIZE:
	case CONFIG_DURATION:
		return config_set_number(option, text, plain, target, err);
	case CONFIG_STRING:
	case CONFIG_PATH:
		return config_set_text(option, text, target, err);
	case CONFIG_ENUM:
		return config_set_enum(option, text, target, err);
	default:
		errmsg_set(err, "a list or a map is wanted");
		return CONFIG_E_INVALID;
	}
}
