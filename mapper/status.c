/* SPDX-License-Identifier: Apache-2.0 */
#include "mapper/status.h"

#include <errno.h>
#include <string.h>

struct status_word {
	const char *text;
	size_t len;
};

struct status_reader {
	const char *at;
	int error; /* the first one; all further reads give nothing */
};

static bool status_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* An empty word at the end or after an error. */
static struct status_word status_next(struct status_reader *reader)
{
	struct status_word word = { "", 0 };

	if (reader->error != 0)
		return word;
	while (status_is_blank(*reader->at))
		reader->at++;
	word.text = reader->at;
	while (*reader->at != '\0' && !status_is_blank(*reader->at))
		reader->at++;
	word.len = (size_t)(reader->at - word.text);
	return word;
}

static int status_fail(struct status_reader *reader, int error)
{
	if (reader->error == 0)
		reader->error = error;
	return reader->error;
}

/* @text of @len decimal digits. False: not a number of 32 bits. */
static bool status_number(const char *text, size_t len, uint32_t *ret_number)
{
	uint64_t number = 0;

	if (len == 0 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		number = number * 10 + (uint64_t)(text[i] - '0');
	}
	if (number > UINT32_MAX)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

static uint32_t status_next_number(struct status_reader *reader)
{
	struct status_word word = status_next(reader);
	uint32_t number = 0;

	if (!status_number(word.text, word.len, &number))
		status_fail(reader, -EBADMSG);
	return number;
}

static void status_skip(struct status_reader *reader, uint32_t n)
{
	while (n-- > 0 && reader->error == 0)
		if (status_next(reader).len == 0)
			status_fail(reader, -EBADMSG);
}

static bool status_is(struct status_word word, const char *text)
{
	return strlen(text) == word.len && memcmp(word.text, text, word.len) == 0;
}

static void status_copy(struct status_word word, char ret_name[STATUS_NAME_SIZE])
{
	size_t len = word.len < STATUS_NAME_SIZE ? word.len : STATUS_NAME_SIZE - 1;

	memcpy(ret_name, word.text, len);
	ret_name[len] = '\0';
}

static int status_device(struct status_word word, uint32_t *ret_major, uint32_t *ret_minor)
{
	const char *colon = memchr(word.text, ':', word.len);
	uint32_t major, minor;
	size_t len;

	if (colon == NULL)
		return -EBADMSG;
	len = (size_t)(colon - word.text);
	if (!status_number(word.text, len, &major) ||
	    !status_number(colon + 1, word.len - len - 1, &minor))
		return -EBADMSG;
	*ret_major = major;
	*ret_minor = minor;
	return 0;
}

int status_parse_device(const char *text, uint32_t *ret_major, uint32_t *ret_minor)
{
	return status_device((struct status_word){ text, strlen(text) }, ret_major, ret_minor);
}

/* INFO always has two: queue_io and pg_init_count. */
static void status_read_info_features(struct status_reader *reader, struct status *status)
{
	uint32_t n = status_next_number(reader);

	if (n >= 2) {
		status->queue_io = status_next_number(reader) != 0;
		status->pg_init_count = status_next_number(reader);
		n -= 2;
	}
	status->n_unknown_features = n;
	status_skip(reader, n);
}

/* One feature and its argument. Returns the words it took. */
static uint32_t status_read_feature(struct status_reader *reader, struct status *status, uint32_t n)
{
	struct status_word word = status_next(reader);

	if (word.len == 0)
		status_fail(reader, -EBADMSG);
	if (status_is(word, "queue_if_no_path"))
		status->queue_if_no_path = true;
	else if (status_is(word, "retain_attached_hw_handler"))
		status->retain_attached_hw_handler = true;
	else if (n >= 2 && status_is(word, "pg_init_retries"))
		return status->pg_init_retries = status_next_number(reader), 2;
	else if (n >= 2 && status_is(word, "pg_init_delay_msecs"))
		return status->pg_init_delay_ms = status_next_number(reader), 2;
	else if (n >= 2 && status_is(word, "queue_mode"))
		return status->queue_mode_bio = status_is(status_next(reader), "bio"), 2;
	else
		status->n_unknown_features++;
	return 1;
}

static void status_read_table_features(struct status_reader *reader, struct status *status)
{
	uint32_t n = status_next_number(reader);

	while (n > 0 && reader->error == 0)
		n -= status_read_feature(reader, status, n);
}

static void status_read_handler(struct status_reader *reader, struct status *status, bool info)
{
	uint32_t n = status_next_number(reader);

	if (n > 0 && !info) {
		status_copy(status_next(reader), status->handler);
		n--;
	}
	status_skip(reader, n);
}

static void status_read_path(struct status_reader *reader, struct status_path *path, bool info)
{
	struct status_word ok;

	if (status_device(status_next(reader), &path->major, &path->minor) != 0)
		status_fail(reader, -EBADMSG);
	if (!info)
		return;
	ok = status_next(reader);
	path->active = status_is(ok, "A");
	if (!path->active && !status_is(ok, "F"))
		status_fail(reader, -EBADMSG);
	path->fail_count = status_next_number(reader);
}

static void status_read_group_head(struct status_reader *reader, struct status_group *group,
				   bool info)
{
	struct status_word word = status_next(reader);

	if (word.len == 0 ||
	    (info && !status_is(word, "A") && !status_is(word, "E") && !status_is(word, "D")))
		status_fail(reader, -EBADMSG);
	if (info)
		group->state = word.text[0];
	else
		status_copy(word, group->selector);
	status_skip(reader, status_next_number(reader));
}

static int status_read_group(struct status_reader *reader, struct status *status, bool info)
{
	struct status_group *group = &status->groups[status->n_groups];
	uint32_t n_paths, n_args;

	*group = (struct status_group){ .first_path = status->n_paths };
	status_read_group_head(reader, group, info);
	n_paths = status_next_number(reader);
	n_args = status_next_number(reader);
	if (n_paths > STATUS_MAX_PATHS - status->n_paths)
		status_fail(reader, -E2BIG);
	for (uint32_t i = 0; i < n_paths && reader->error == 0; i++) {
		struct status_path *path = &status->paths[status->n_paths++];

		*path = (struct status_path){ 0 };
		status_read_path(reader, path, info);
		status_skip(reader, n_args);
	}
	group->n_paths = status->n_paths - group->first_path;
	status->n_groups++;
	return reader->error;
}

static int status_parse(const char *text, struct status *status, bool info)
{
	struct status_reader reader = { .at = text };
	uint32_t n_groups;

	/* Not the arrays: they are large, and the counts bound what is valid in them. */
	memset(status, 0, offsetof(struct status, groups));
	if (info)
		status_read_info_features(&reader, status);
	else
		status_read_table_features(&reader, status);
	status_read_handler(&reader, status, info);
	n_groups = status_next_number(&reader);
	status->group = status_next_number(&reader);
	if (reader.error == 0 && n_groups > STATUS_MAX_GROUPS)
		return -E2BIG;
	if (status->group > n_groups)
		status_fail(&reader, -EBADMSG);
	for (uint32_t i = 0; i < n_groups && reader.error == 0; i++)
		status_read_group(&reader, status, info);
	status->has_more = reader.error == 0 && status_next(&reader).len > 0;
	return reader.error;
}

int status_parse_info(const char *text, struct status *ret_status)
{
	return status_parse(text, ret_status, true);
}

int status_parse_table(const char *text, struct status *ret_status)
{
	return status_parse(text, ret_status, false);
}
