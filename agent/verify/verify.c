/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/verify/verify.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

static uint32_t verify_get_u32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return le32toh(value);
}

static uint8_t *verify_put_u32(uint8_t *out, uint32_t value)
{
	value = htole32(value);
	memcpy(out, &value, sizeof(value));
	return out + sizeof(value);
}

int verify_request_encode(const struct verify_request *request, struct buf *out)
{
	uint8_t head[16], *pos = head;
	uint8_t size[4];
	int r;

	if (request->n_keys > VERIFY_MAX_KEYS || request->envelope_size > VERIFY_MAX_ENVELOPE)
		return -EMSGSIZE;
	memcpy(pos, "PBVQ", 4);
	pos = verify_put_u32(pos + 4, VERIFY_VERSION);
	pos = verify_put_u32(pos, request->required);
	verify_put_u32(pos, (uint32_t)request->n_keys);
	verify_put_u32(size, (uint32_t)request->envelope_size);
	r = buf_append(out, head, sizeof(head));
	if (r == 0)
		r = buf_append(out, request->keys, request->n_keys * 32);
	if (r == 0)
		r = buf_append(out, size, sizeof(size));
	if (r == 0)
		r = buf_append(out, request->envelope, request->envelope_size);
	return r;
}

int verify_request_decode(const uint8_t *data, size_t size, struct verify_request *ret_request)
{
	struct verify_request request;
	uint32_t n_keys;

	if (size < 20 || memcmp(data, "PBVQ", 4) != 0 || verify_get_u32(data + 4) != VERIFY_VERSION)
		return -EBADMSG;
	request.required = verify_get_u32(data + 8);
	n_keys = verify_get_u32(data + 12);
	if (n_keys > VERIFY_MAX_KEYS || size < 20 + (size_t)n_keys * 32)
		return -EBADMSG;
	request.n_keys = n_keys;
	request.keys = data + 16;
	request.envelope_size = verify_get_u32(data + 16 + (size_t)n_keys * 32);
	request.envelope = data + 20 + (size_t)n_keys * 32;
	if (request.envelope_size > VERIFY_MAX_ENVELOPE ||
	    request.envelope_size != size - 20 - (size_t)n_keys * 32)
		return -EBADMSG;
	if (request.required == 0 || request.required > VERIFY_MAX_SIGNERS)
		return -EBADMSG;
	*ret_request = request;
	return 0;
}

void verify_reply_encode(const struct verify_reply *reply, uint8_t ret_data[VERIFY_REPLY_SIZE])
{
	uint8_t *pos = ret_data + 4;

	memcpy(ret_data, "PBVR", 4); // NOLINT(bugprone-not-null-terminated-result)
	pos = verify_put_u32(pos, VERIFY_VERSION);
	pos = verify_put_u32(pos, reply->outcome);
	pos = verify_put_u32(pos, reply->n_signers);
	for (size_t i = 0; i < VERIFY_MAX_SIGNERS; i++)
		pos = verify_put_u32(pos, reply->signers[i]);
	pos = verify_put_u32(pos, reply->offset);
	pos = verify_put_u32(pos, reply->size);
	memcpy(pos, reply->sha256, sizeof(reply->sha256));
	pos += sizeof(reply->sha256);
	memcpy(pos, reply->key_ids, sizeof(reply->key_ids));
	pos = verify_put_u32(pos + sizeof(reply->key_ids), reply->has_id);
	memcpy(pos, reply->id, sizeof(reply->id));
	verify_put_u32(pos + sizeof(reply->id), reply->verb);
}

static bool verify_signers_fit(const struct verify_reply *reply,
			       const struct verify_request *request)
{
	if (reply->n_signers > VERIFY_MAX_SIGNERS)
		return false;
	if (reply->outcome == 0 && reply->n_signers < request->required)
		return false;
	for (uint32_t i = 0; i < reply->n_signers; i++) {
		if (reply->signers[i] >= request->n_keys)
			return false;
		for (uint32_t k = 0; k < i; k++)
			if (reply->signers[k] == reply->signers[i])
				return false;
	}
	return true;
}

int verify_reply_decode(const uint8_t *data, size_t size, const struct verify_request *request,
			struct verify_reply *ret_reply)
{
	struct verify_reply reply;

	if (size != VERIFY_REPLY_SIZE || memcmp(data, "PBVR", 4) != 0 ||
	    verify_get_u32(data + 4) != VERIFY_VERSION)
		return -EBADMSG;
	reply.outcome = verify_get_u32(data + 8);
	reply.n_signers = verify_get_u32(data + 12);
	for (size_t i = 0; i < VERIFY_MAX_SIGNERS; i++)
		reply.signers[i] = verify_get_u32(data + 16 + i * 4);
	reply.offset = verify_get_u32(data + 32);
	reply.size = verify_get_u32(data + 36);
	memcpy(reply.sha256, data + 40, sizeof(reply.sha256));
	memcpy(reply.key_ids, data + 72, sizeof(reply.key_ids));
	for (size_t i = 0; i < VERIFY_MAX_SIGNERS; i++)
		reply.key_ids[i][31] = 0;
	reply.has_id = verify_get_u32(data + 72 + sizeof(reply.key_ids));
	memcpy(reply.id, data + 76 + sizeof(reply.key_ids), sizeof(reply.id));
	reply.verb = verify_get_u32(data + 92 + sizeof(reply.key_ids));
	if (reply.outcome > 4 || !verify_signers_fit(&reply, request))
		return -EBADMSG;
	if ((uint64_t)reply.offset + reply.size > request->envelope_size)
		return -EBADMSG;
	if (reply.outcome == 0 && reply.size == 0)
		return -EBADMSG;
	*ret_reply = reply;
	return 0;
}
