/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/tid.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TID_SEPARATORS " \t\r\n,;"

struct tid_field {
	const char *names[3];
	size_t offset, size;
};

#define TID_FIELD(member) offsetof(struct tid, member), sizeof(((struct tid *)0)->member)

/* The order in which they are written. */
static const struct tid_field tid_fields[] = {
	{ { "transport", "trtype" }, TID_FIELD(transport) },
	{ { "traddr" }, TID_FIELD(traddr) },
	{ { "trsvcid" }, TID_FIELD(trsvcid) },
	{ { "host_traddr", "host-traddr" }, TID_FIELD(host_traddr) },
	{ { "host_iface", "host-iface" }, TID_FIELD(host_iface) },
	{ { "nqn", "subsysnqn" }, TID_FIELD(nqn) },
	{ { "hostnqn", "host_nqn", "host-nqn" }, TID_FIELD(host_nqn) },
	{ { "src_addr" }, TID_FIELD(source_addr) },
};
#define TID_N_FIELDS  (sizeof(tid_fields) / sizeof(tid_fields[0]))
#define TID_N_WRITTEN 5

static char *tid_at(struct tid *tid, const struct tid_field *field)
{
	return (char *)tid + field->offset;
}

static const char *tid_value(const struct tid *tid, size_t index)
{
	return (const char *)tid + tid_fields[index].offset;
}

static const struct tid_field *tid_find(const char *key, size_t len)
{
	if (len > 5 && strncasecmp(key, "NVME_", 5) == 0) {
		key += 5;
		len -= 5;
	}
	for (size_t i = 0; i < TID_N_FIELDS; i++) {
		for (size_t n = 0; n < 3 && tid_fields[i].names[n]; n++)
			if (strlen(tid_fields[i].names[n]) == len &&
			    strncasecmp(tid_fields[i].names[n], key, len) == 0)
				return &tid_fields[i];
	}
	return NULL;
}

static bool tid_is_unset(const char *value, size_t len)
{
	return (len == 4 && strncmp(value, "none", 4) == 0) ||
	       (len == 6 && strncmp(value, "(null)", 6) == 0);
}

static int tid_put(struct tid *tid, const struct tid_field *field, const char *value, size_t len)
{
	char *to = tid_at(tid, field);

	if (tid_is_unset(value, len))
		len = 0;
	if (len >= field->size)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)value[i]) || strchr(TID_SEPARATORS, value[i]))
			return -EINVAL;
	memcpy(to, value, len);
	to[len] = '\0';
	return 0;
}

int tid_set(struct tid *tid, const char *key, const char *value)
{
	const struct tid_field *field = tid_find(key, strlen(key));

	return field ? tid_put(tid, field, value, strlen(value)) : TID_E_KEY;
}

/* The next KEY=VALUE of @*text; false at the end. *ret_equals is NULL where there is none. */
static bool tid_next(const char **text, const char **ret_word, size_t *ret_len,
		     const char **ret_equals)
{
	*text += strspn(*text, TID_SEPARATORS);
	*ret_word = *text;
	*ret_len = strcspn(*text, TID_SEPARATORS);
	*ret_equals = memchr(*ret_word, '=', *ret_len);
	*text += *ret_len;
	return *ret_len > 0;
}

static int tid_parse_word(struct tid *tid, const char *word, size_t len, const char *equals,
			  struct errmsg *err)
{
	const struct tid_field *field = equals ? tid_find(word, (size_t)(equals - word)) : NULL;
	int r;

	if (!equals) {
		errmsg_set(err, "\"%.*s\" is not KEY=VALUE", (int)len, word);
		return -EINVAL;
	}
	if (!field) {
		errmsg_set(err,
			   "\"%.*s\" is not one of transport, traddr, trsvcid, host_traddr, "
			   "host_iface, nqn, hostnqn",
			   (int)(equals - word), word);
		return -EINVAL;
	}
	r = tid_put(tid, field, equals + 1, len - (size_t)(equals + 1 - word));
	if (r == 0)
		return 0;
	errmsg_set(err,
		   r == -ENAMETOOLONG ? "%s is longer than %zu bytes"
				      : "%s has a character that it may not have (limit %zu bytes)",
		   field->names[0], field->size - 1);
	return -EINVAL;
}

int tid_parse(const char *text, struct tid *ret_tid, struct errmsg *err)
{
	struct tid tid = { 0 };
	const char *word, *equals;
	size_t len;

	while (tid_next(&text, &word, &len, &equals)) {
		int r = tid_parse_word(&tid, word, len, equals, err);

		if (r < 0)
			return r;
	}
	*ret_tid = tid;
	return 0;
}

void tid_take_address(const char *address, struct tid *tid)
{
	const char *word, *equals;
	size_t len;

	while (tid_next(&address, &word, &len, &equals)) {
		const struct tid_field *field =
			equals ? tid_find(word, (size_t)(equals - word)) : NULL;

		if (field)
			(void)tid_put(tid, field, equals + 1, len - (size_t)(equals + 1 - word));
	}
}

static void tid_lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

/* What is no IP address stays as it is: a name, or an address with a zone. */
static void tid_normalise_ip(char *text, size_t size)
{
	struct in6_addr address;
	char out[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET6, text, &address) != 1)
		return;
	if (IN6_IS_ADDR_V4MAPPED(&address)) {
		if (inet_ntop(AF_INET, &address.s6_addr[12], out, sizeof(out)))
			snprintf(text, size, "%s", out);
	} else if (inet_ntop(AF_INET6, &address, out, sizeof(out))) {
		snprintf(text, size, "%s", out);
	}
}

static void tid_default_service(struct tid *tid)
{
	bool is_tcp = strcmp(tid->transport, "tcp") == 0;

	if (tid->trsvcid[0])
		return;
	/* IANA: nvme 4420 (rdma, tcp), nvme-disc 8009 (tcp). */
	snprintf(tid->trsvcid, sizeof(tid->trsvcid), "%s",
		 is_tcp && tid_is_discovery_nqn(tid->nqn) ? "8009" : "4420");
}

void tid_normalise(struct tid *tid)
{
	tid_lower(tid->transport);
	if (strcmp(tid->transport, "fc") == 0) {
		tid_lower(tid->traddr);
		tid_lower(tid->host_traddr);
		tid->trsvcid[0] = '\0';
	} else if (strcmp(tid->transport, "loop") == 0) {
		tid->trsvcid[0] = '\0';
	} else if (strcmp(tid->transport, "tcp") == 0 || strcmp(tid->transport, "rdma") == 0) {
		tid_normalise_ip(tid->traddr, sizeof(tid->traddr));
		tid_normalise_ip(tid->host_traddr, sizeof(tid->host_traddr));
		tid_normalise_ip(tid->source_addr, sizeof(tid->source_addr));
		tid_default_service(tid);
	}
}

void tid_format(const struct tid *tid, char *ret_text, size_t size)
{
	size_t len = 0;

	if (size == 0)
		return;
	ret_text[0] = '\0';
	for (size_t i = 0; i < TID_N_WRITTEN && len < size; i++) {
		int n;

		if (!tid_value(tid, i)[0])
			continue;
		n = snprintf(ret_text + len, size - len, "%s%s=%s", len ? " " : "",
			     tid_fields[i].names[0], tid_value(tid, i));
		len += n > 0 ? (size_t)n : 0;
	}
}

bool tid_is_discovery_nqn(const char *nqn)
{
	return strcmp(nqn, TID_WELL_KNOWN_DISCOVERY) == 0;
}

int tid_check(const struct tid *tid, struct errmsg *err)
{
	static const char *const transports[] = { "tcp", "rdma", "fc", "loop" };
	bool is_known = false;

	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		is_known = is_known || strcmp(tid->transport, transports[i]) == 0;
	if (!is_known)
		errmsg_set(err,
			   tid->transport[0] ? "transport \"%s\" is not tcp, rdma, fc or loop"
					     : "no transport is given%s",
			   tid->transport);
	else if (!tid->traddr[0] && strcmp(tid->transport, "loop") != 0)
		errmsg_set(err, "no traddr is given");
	else if (!tid->nqn[0])
		errmsg_set(err, "no nqn is given");
	else if (strncmp(tid->nqn, "nqn.", 4) != 0)
		errmsg_set(err, "\"%s\" is not an NQN", tid->nqn);
	else if (strcmp(tid->transport, "fc") == 0 && !tid->host_traddr[0])
		errmsg_set(err, "fc needs a host_traddr");
	else
		return 0;
	return -EINVAL;
}

bool tid_is_same(const struct tid *a, const struct tid *b)
{
	for (size_t i = 0; i < TID_N_FIELDS - 1; i++)
		if (strcmp(tid_value(a, i), tid_value(b, i)) != 0)
			return false;
	return true;
}

/* A row of the table in tid.h for host_traddr and host_iface. */
static bool tid_host_side_fits(const char *wanted, const char *existing, const char *actual)
{
	if (!wanted[0])
		return true;
	return strcmp(wanted, existing[0] ? existing : actual) == 0;
}

bool tid_matches(const struct tid *wanted, const struct tid *existing)
{
	bool any_discovery = tid_is_discovery_nqn(wanted->nqn) && existing->discovery;

	if (strcmp(wanted->transport, existing->transport) != 0 ||
	    strcmp(wanted->traddr, existing->traddr) != 0 ||
	    strcmp(wanted->trsvcid, existing->trsvcid) != 0)
		return false;
	if (!any_discovery && strcmp(wanted->nqn, existing->nqn) != 0)
		return false;
	if (wanted->host_nqn[0] && existing->host_nqn[0] &&
	    strcmp(wanted->host_nqn, existing->host_nqn) != 0)
		return false;
	return tid_host_side_fits(wanted->host_traddr, existing->host_traddr,
				  existing->source_addr) &&
	       tid_host_side_fits(wanted->host_iface, existing->host_iface, existing->source_iface);
}

static bool tid_address_is(const struct sockaddr *address, const char *text)
{
	char name[INET6_ADDRSTRLEN] = "";

	if (!address)
		return false;
	if (address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, name,
			  sizeof(name));
	else if (address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, name,
			  sizeof(name));
	return name[0] && strcmp(name, text) == 0;
}

void tid_fill_source_iface(struct tid *tid)
{
	struct ifaddrs *all = NULL;

	tid->source_iface[0] = '\0';
	if (!tid->source_addr[0] || getifaddrs(&all) != 0)
		return;
	for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
		if (!tid_address_is(one->ifa_addr, tid->source_addr))
			continue;
		snprintf(tid->source_iface, sizeof(tid->source_iface), "%s", one->ifa_name);
		break;
	}
	freeifaddrs(all);
}
