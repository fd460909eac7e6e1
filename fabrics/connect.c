/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fd.h"

enum connect_type { CONNECT_NUMBER, CONNECT_FLAG, CONNECT_TEXT };

struct connect_field {
	const char *name, *alias;
	enum connect_type type;
	size_t offset, size;
	int32_t min, max;
	bool in_line;	  /* an option of the kernel */
	bool is_required; /* without it the connection is another one */
};

#define CONNECT_AT(member) \
	offsetof(struct connect_options, member), sizeof(((struct connect_options *)0)->member)

/* Ranges: nvmf_parse_options and its constants, drivers/nvme/host/fabrics.{c,h}, Linux 6.12. */
static const struct connect_field connect_fields[] = {
	{ "ctrl_loss_tmo", NULL, CONNECT_NUMBER, CONNECT_AT(ctrl_loss_tmo), -1, INT32_MAX, true,
	  false },
	{ "reconnect_delay", NULL, CONNECT_NUMBER, CONNECT_AT(reconnect_delay), 1, INT32_MAX, true,
	  false },
	{ "fast_io_fail_tmo", NULL, CONNECT_NUMBER, CONNECT_AT(fast_io_fail_tmo), -1, INT32_MAX,
	  true, false },
	{ "keep_alive_tmo", "kato", CONNECT_NUMBER, CONNECT_AT(keep_alive_tmo), 0, INT32_MAX, true,
	  false },
	{ "nr_io_queues", NULL, CONNECT_NUMBER, CONNECT_AT(nr_io_queues), 1, 65535, true, false },
	{ "nr_write_queues", NULL, CONNECT_NUMBER, CONNECT_AT(nr_write_queues), 1, 65535, true,
	  false },
	{ "nr_poll_queues", NULL, CONNECT_NUMBER, CONNECT_AT(nr_poll_queues), 1, 65535, true,
	  false },
	{ "queue_size", NULL, CONNECT_NUMBER, CONNECT_AT(queue_size), 16, 1024, true, false },
	{ "tos", NULL, CONNECT_NUMBER, CONNECT_AT(tos), 0, 255, true, false },
	{ "hdr_digest", NULL, CONNECT_FLAG, CONNECT_AT(hdr_digest), 0, 1, true, true },
	{ "data_digest", NULL, CONNECT_FLAG, CONNECT_AT(data_digest), 0, 1, true, true },
	{ "disable_sqflow", NULL, CONNECT_FLAG, CONNECT_AT(disable_sqflow), 0, 1, true, false },
	{ "duplicate_connect", NULL, CONNECT_FLAG, CONNECT_AT(duplicate_connect), 0, 1, true,
	  true },
	{ "tls", NULL, CONNECT_FLAG, CONNECT_AT(tls), 0, 1, true, true },
	{ "persistent", NULL, CONNECT_FLAG, CONNECT_AT(persistent), 0, 1, false, false },
	{ "hostid", "host_id", CONNECT_TEXT, CONNECT_AT(host_id), 0, 0, true, true },
	{ "dhchap_secret", "dhchap_key", CONNECT_TEXT, CONNECT_AT(dhchap_secret), 0, 0, true,
	  true },
	{ "dhchap_ctrl_secret", "dhchap_ctrl_key", CONNECT_TEXT, CONNECT_AT(dhchap_ctrl_secret), 0,
	  0, true, true },
	{ "keyring", NULL, CONNECT_TEXT, CONNECT_AT(keyring), 0, 0, true, true },
	{ "tls_key", NULL, CONNECT_TEXT, CONNECT_AT(tls_key), 0, 0, true, true },
};
#define CONNECT_N_FIELDS (sizeof(connect_fields) / sizeof(connect_fields[0]))

/* What every kernel since 5.10 takes, where it does not say. */
#define CONNECT_SINCE_5_10                                                                     \
	",transport,traddr,trsvcid,nqn,queue_size,nr_io_queues,reconnect_delay,ctrl_loss_tmo," \
	"keep_alive_tmo,hostnqn,host_traddr,hostid,duplicate_connect,disable_sqflow,"          \
	"hdr_digest,data_digest,nr_write_queues,nr_poll_queues,tos,"

void connect_options_init(struct connect_options *options)
{
	memset(options, 0, sizeof(*options));
	for (size_t i = 0; i < CONNECT_N_FIELDS; i++)
		if (connect_fields[i].type == CONNECT_NUMBER)
			*(int32_t *)((char *)options + connect_fields[i].offset) = CONNECT_DEFAULT;
}

static bool connect_is_name(const char *name, const char *key)
{
	if (!name)
		return false;
	for (; *name && (*name == *key || (*name == '_' && *key == '-')); name++)
		key++;
	return *name == '\0' && *key == '\0';
}

static int connect_set_number(const struct connect_field *field, const char *value, int32_t *to)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (errno || end == value || *end || number < field->min || number > field->max)
		return -EINVAL;
	*to = (int32_t)number;
	return 0;
}

static int connect_set_flag(const char *value, bool *to)
{
	if (!*value || strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
		*to = true;
	else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		*to = false;
	else
		return -EINVAL;
	return 0;
}

/* A comma would begin another option. */
static int connect_set_text(const struct connect_field *field, const char *value, char *to)
{
	size_t len = strlen(value);

	if (len >= field->size)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < len; i++)
		if (value[i] <= ' ' || value[i] > '~' || value[i] == ',')
			return -EINVAL;
	memcpy(to, value, len + 1);
	return 0;
}

int connect_options_set(struct connect_options *options, const char *key, const char *value)
{
	for (size_t i = 0; i < CONNECT_N_FIELDS; i++) {
		const struct connect_field *field = &connect_fields[i];
		char *to = (char *)options + field->offset;

		if (!connect_is_name(field->name, key) && !connect_is_name(field->alias, key))
			continue;
		if (field->type == CONNECT_NUMBER)
			return connect_set_number(field, value, (int32_t *)(void *)to);
		if (field->type == CONNECT_FLAG)
			return connect_set_flag(value, (bool *)to);
		return connect_set_text(field, value, to);
	}
	return CONNECT_E_KEY;
}

/* "transport=%s,traddr=%s,...,duplicate_connect,..." -> the names. */
static int connect_names(char *text, char *ret_names, size_t size)
{
	size_t len = (size_t)snprintf(ret_names, size, ",");

	for (char *rest = text, *word; (word = strsep(&rest, ",\n")) != NULL;) {
		word[strcspn(word, "= ")] = '\0';
		if (!*word)
			continue;
		len += (size_t)snprintf(ret_names + len, size - len, "%s,", word);
		if (len >= size)
			return -ENOBUFS;
	}
	return 0;
}

int connect_supported(const char *device, char *ret_names, size_t size)
{
	_cleanup_fd_ int fd = open(device, O_RDONLY | O_CLOEXEC);
	char text[2048];
	ssize_t n;

	ret_names[0] = '\0';
	if (fd < 0)
		return -errno;
	n = fd_read_all(fd, text, sizeof(text) - 1);
	if (n == -EINVAL || n == 0)
		return CONNECT_E_UNKNOWN; /* before 5.17: only after a line was written */
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	return connect_names(text, ret_names, size);
}

struct connect_writer {
	const char *supported;
	char *line;
	size_t len, size;
	bool is_full;
};

static bool connect_is_supported(const struct connect_writer *writer, const char *name)
{
	char word[64];

	snprintf(word, sizeof(word), ",%s,", name);
	return strstr(writer->supported, word) != NULL;
}

/* ",NAME=VALUE", of a flag (NULL) ",NAME"; without the comma at the start of the line. */
static void connect_put(struct connect_writer *writer, const char *name, const char *value)
{
	int n = snprintf(writer->line + writer->len, writer->size - writer->len, "%s%s%s%s",
			 writer->len ? "," : "", name, value ? "=" : "", value ? value : "");

	if (n < 0 || writer->len + (size_t)n >= writer->size)
		writer->is_full = true;
	else
		writer->len += (size_t)n;
}

static int connect_refuse(const char *name, struct errmsg *err)
{
	errmsg_set(err, "this kernel's nvme-fabrics does not know the option %s", name);
	return -EOPNOTSUPP;
}

static int connect_put_tid(struct connect_writer *writer, const struct tid *tid, struct errmsg *err)
{
	const struct {
		const char *name, *value;
	} rows[] = {
		{ "traddr", tid->traddr },	     { "trsvcid", tid->trsvcid },
		{ "host_traddr", tid->host_traddr }, { "host_iface", tid->host_iface },
		{ "hostnqn", tid->host_nqn },
	};

	connect_put(writer, "nqn", tid->nqn);
	connect_put(writer, "transport", tid->transport);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].value[0])
			continue;
		if (!connect_is_supported(writer, rows[i].name))
			return connect_refuse(rows[i].name, err);
		connect_put(writer, rows[i].name, rows[i].value);
	}
	return 0;
}

static bool connect_is_set(const struct connect_field *field, const char *at)
{
	if (field->type == CONNECT_NUMBER)
		return *(const int32_t *)(const void *)at != CONNECT_DEFAULT;
	return field->type == CONNECT_FLAG ? *(const bool *)at : *at != '\0';
}

static int connect_put_options(struct connect_writer *writer, const struct connect_options *options,
			       struct errmsg *err)
{
	for (size_t i = 0; i < CONNECT_N_FIELDS; i++) {
		const struct connect_field *field = &connect_fields[i];
		const char *at = (const char *)options + field->offset;
		char number[16];

		if (!field->in_line || !connect_is_set(field, at))
			continue;
		if (!connect_is_supported(writer, field->name)) {
			if (field->is_required)
				return connect_refuse(field->name, err);
			continue;
		}
		if (field->type == CONNECT_NUMBER)
			snprintf(number, sizeof(number), "%d", *(const int32_t *)(const void *)at);
		connect_put(writer, field->name,
			    field->type == CONNECT_NUMBER ? number
			    : field->type == CONNECT_FLAG ? NULL
							  : at);
	}
	return 0;
}

int connect_line(const struct tid *tid, const struct connect_options *options,
		 const char *supported, char *ret_line, size_t size, struct errmsg *err)
{
	struct connect_writer writer = { .supported = *supported ? supported : CONNECT_SINCE_5_10,
					 .line = ret_line,
					 .size = size };
	int r = tid_check(tid, err);

	if (r == 0)
		r = connect_put_tid(&writer, tid, err);
	if (r == 0)
		r = connect_put_options(&writer, options, err);
	if (r == 0 && writer.is_full) {
		errmsg_set(err, "the options are longer than %zu bytes", size - 1);
		r = -ENOBUFS;
	}
	return r;
}

int connect_write(const char *device, const char *line, uint32_t *ret_instance,
		  uint32_t *ret_cntlid)
{
	_cleanup_fd_ int fd = open(device, O_RDWR | O_CLOEXEC);
	char answer[128];
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (write(fd, line, strlen(line)) < 0)
		return -errno;
	n = read(fd, answer, sizeof(answer) - 1);
	if (n < 0)
		return -errno;
	answer[n] = '\0';
	if (sscanf(answer, "instance=%u,cntlid=%u", ret_instance, ret_cntlid) != 2)
		return -EBADMSG;
	return 0;
}

static int connect_attribute(const char *sysfs, const char *name, const char *attribute)
{
	char path[512];
	_cleanup_fd_ int fd = -1;

	if ((size_t)snprintf(path, sizeof(path), "%s/class/nvme/%s/%s", sysfs, name, attribute) >=
	    sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, "1\n", 2) == 2 ? 0 : -errno;
}

int connect_delete(const char *sysfs, const char *name)
{
	return connect_attribute(sysfs, name, "delete_controller");
}

int connect_reset(const char *sysfs, const char *name)
{
	return connect_attribute(sysfs, name, "reset_controller");
}

int connect_rescan(const char *sysfs, const char *name)
{
	return connect_attribute(sysfs, name, "rescan_controller");
}
