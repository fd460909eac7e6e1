/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A signed command on its way: the CLI packs a Command once and signs those bytes (envelope_sign);
 * a second operator adds his signature to the same bytes (envelope_cosign); the aggregator carries
 * the envelope unread; the host checks the signatures over the bytes as they came (envelope_verify)
 * and only then unpacks them. Between signing and checking nobody re-encodes, so there is no
 * canonical form to get wrong.
 *
 * What fails closed: an envelope that the pre-scan refuses, or without command or signatures, is
 * malformed; a signature that names a trusted key and does not fit spoils the whole envelope,
 * however many others fit (somebody altered something); signatures of keys that are not trusted are
 * ignored; a key counts once, however often it signed.
 */
#include "proto/envelope.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "proto/codec.h"
#include "proto/scan.h"
#include "proto/wire.h"

/* With its final NUL: the context string that keeps a signature from being valid for anything else.
 */
static const char envelope_context[] = "pathbell-command-v1";
#define ENVELOPE_MAX_COMMAND 65536 /* SignedCommand.command, command.proto */

/* CommandDelivery.envelope, ingest.proto; four signatures and a command of 64 KiB fit. */
static const struct scan_limits envelope_limits = {
	.max_size = 131072,
	.max_fields = 64,
	.max_depth = 2,
	.max_elements = ENVELOPE_MAX_SIGNATURES,
	.max_allocation = 131072 + 8192,
};

/* Field numbers of command.proto. */
enum envelope_field { ENVELOPE_COMMAND = 1, ENVELOPE_SIGNATURES = 2 };
enum envelope_signature_field { ENVELOPE_KEY_ID = 1, ENVELOPE_SIGNATURE = 2 };

/* What is signed: context, NUL, command. For free(). */
static uint8_t *envelope_input(const void *command, size_t size)
{
	uint8_t *input = malloc(sizeof(envelope_context) + size);

	if (!input)
		return NULL;
	memcpy(input, envelope_context, sizeof(envelope_context));
	memcpy(input + sizeof(envelope_context), command, size);
	return input;
}

static int envelope_sign_bytes(const struct envelope_key *key, const void *command, size_t size,
			       uint8_t ret_signature[ENVELOPE_SIGNATURE_SIZE])
{
	uint8_t *input = envelope_input(command, size);
	int r = -ENOMEM;

	if (input)
		r = envelope_key_sign(key, input, sizeof(envelope_context) + size, ret_signature);
	free(input);
	return r;
}

/* Appends @envelope with one more signature, by @key. */
static int envelope_put(const struct envelope_key *key, Pathbell__V1__SignedCommand *envelope,
			struct buf *out, struct errmsg *err)
{
	Pathbell__V1__Signature signature = PATHBELL__V1__SIGNATURE__INIT;
	Pathbell__V1__Signature *list[ENVELOPE_MAX_SIGNATURES];
	Pathbell__V1__SignedCommand signed_command = *envelope;
	uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE], bytes[ENVELOPE_SIGNATURE_SIZE];
	char key_id[ENVELOPE_KEY_ID_SIZE];
	size_t size;
	int r;

	envelope_key_public(key, public_key);
	envelope_key_id(public_key, key_id);
	r = envelope_sign_bytes(key, envelope->command.data, envelope->command.len, bytes);
	if (r < 0)
		goto out;
	signature.key_id = key_id;
	signature.signature.data = bytes;
	signature.signature.len = sizeof(bytes);
	for (size_t n = 0; n < envelope->n_signatures; n++)
		list[n] = envelope->signatures[n];
	list[envelope->n_signatures] = &signature;
	signed_command.signatures = list;
	signed_command.n_signatures = envelope->n_signatures + 1;
	size = protobuf_c_message_get_packed_size(&signed_command.base);
	r = buf_reserve(out, size);
	if (r < 0)
		goto out;
	out->size += protobuf_c_message_pack(&signed_command.base, out->data + out->size);
out:
	if (r < 0)
		errmsg_set(err, "cannot sign: out of memory");
	return r;
}

int envelope_sign(const struct envelope_key *key, const Pathbell__V1__Command *command,
		  struct buf *out, struct errmsg *err)
{
	Pathbell__V1__SignedCommand envelope = PATHBELL__V1__SIGNED_COMMAND__INIT;
	size_t size = protobuf_c_message_get_packed_size(&command->base);
	uint8_t *bytes;
	int r;

	if (size == 0 || size > ENVELOPE_MAX_COMMAND) {
		errmsg_set(err, "the command has %zu bytes, limit %d (fewer hosts)", size,
			   ENVELOPE_MAX_COMMAND);
		return -EMSGSIZE;
	}
	bytes = malloc(size);
	if (!bytes) {
		errmsg_set(err, "cannot sign: out of memory");
		return -ENOMEM;
	}
	protobuf_c_message_pack(&command->base, bytes);
	envelope.command.data = bytes;
	envelope.command.len = size;
	r = envelope_put(key, &envelope, out, err);
	free(bytes);
	return r;
}

static int envelope_may_cosign(const struct envelope_key *key,
			       const Pathbell__V1__SignedCommand *envelope, struct errmsg *err)
{
	uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE];
	char key_id[ENVELOPE_KEY_ID_SIZE];

	if (envelope->command.len == 0 || envelope->command.len > ENVELOPE_MAX_COMMAND) {
		errmsg_set(err, "the envelope holds no command");
		return -EBADMSG;
	}
	if (envelope->n_signatures >= ENVELOPE_MAX_SIGNATURES) {
		errmsg_set(err, "the envelope has %d signatures already", ENVELOPE_MAX_SIGNATURES);
		return -EMSGSIZE;
	}
	envelope_key_public(key, public_key);
	envelope_key_id(public_key, key_id);
	for (size_t n = 0; n < envelope->n_signatures; n++) {
		if (strcmp(envelope->signatures[n]->key_id, key_id) != 0)
			continue;
		errmsg_set(err, "%s signed this command already", key_id);
		return -EEXIST;
	}
	return 0;
}

int envelope_cosign(const struct envelope_key *key, const void *envelope, size_t size,
		    struct buf *out, struct errmsg *err)
{
	Pathbell__V1__SignedCommand *message;
	int r;

	message = codec_unpack(&pathbell__v1__signed_command__descriptor, &envelope_limits, NULL,
			       envelope, size, err);
	if (!message)
		return -EBADMSG;
	r = envelope_may_cosign(key, message, err);
	if (r == 0)
		r = envelope_put(key, message, out, err);
	protobuf_c_message_free_unpacked(&message->base, NULL);
	return r;
}

/* A view of one Signature in the envelope. */
struct envelope_signature {
	const uint8_t *key_id, *bytes;
	size_t key_id_len, size;
};

static struct envelope_signature envelope_read_signature(const struct wire_field *wire)
{
	struct envelope_signature signature = { 0 };
	struct wire_reader reader;
	struct wire_field field;

	wire_reader_init(&reader, wire->data, wire->size);
	while (wire_next(&reader, &field) == 0) {
		if (field.number == ENVELOPE_KEY_ID) {
			signature.key_id = field.data;
			signature.key_id_len = field.size;
		} else if (field.number == ENVELOPE_SIGNATURE) {
			signature.bytes = field.data;
			signature.size = field.size;
		}
	}
	return signature;
}

/* @data was passed by the pre-scan, so structure and wire types are known. Returns the number of
 * signatures. */
static size_t envelope_read(const void *data, size_t size, struct envelope_result *result,
			    struct envelope_signature ret_signatures[ENVELOPE_MAX_SIGNATURES])
{
	struct wire_reader reader;
	struct wire_field field;
	size_t n = 0;

	wire_reader_init(&reader, data, size);
	while (wire_next(&reader, &field) == 0) {
		if (field.number == ENVELOPE_COMMAND) {
			result->command = field.data;
			result->command_size = field.size;
		} else if (field.number == ENVELOPE_SIGNATURES && n < ENVELOPE_MAX_SIGNATURES) {
			ret_signatures[n++] = envelope_read_signature(&field);
		}
	}
	return n;
}

static bool envelope_fits(const uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE],
			  const uint8_t *signature, const uint8_t *input, size_t size)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key,
						     ENVELOPE_PUBLIC_KEY_SIZE);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool fits;

	fits = pkey && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) == 1 &&
	       EVP_DigestVerify(context, signature, ENVELOPE_SIGNATURE_SIZE, input, size) == 1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(pkey);
	return fits;
}

/* Index in @trusted, or @n_trusted. */
static size_t envelope_find(const struct envelope_trusted *trusted, size_t n_trusted,
			    const struct envelope_signature *signature)
{
	size_t n;

	for (n = 0; n < n_trusted; n++)
		if (strlen(trusted[n].key_id) == signature->key_id_len &&
		    memcmp(trusted[n].key_id, signature->key_id, signature->key_id_len) == 0)
			break;
	return n;
}

static void envelope_add_signer(struct envelope_result *result, size_t index)
{
	for (size_t n = 0; n < result->n_signers; n++)
		if (result->signers[n] == index)
			return;
	result->signers[result->n_signers++] = index;
}

/* 0 or ENVELOPE_E_BAD_SIGNATURE. @input is what must have been signed. */
static int envelope_check_signers(const struct envelope_signature *signatures, size_t n_signatures,
				  const uint8_t *input, const struct envelope_trusted *trusted,
				  size_t n_trusted, struct envelope_result *result)
{
	size_t size = sizeof(envelope_context) + result->command_size;
	size_t index;

	for (size_t n = 0; n < n_signatures; n++) {
		index = envelope_find(trusted, n_trusted, &signatures[n]);
		if (index == n_trusted)
			continue;
		if (!envelope_fits(trusted[index].public_key, signatures[n].bytes, input, size)) {
			result->n_signers = 0;
			return ENVELOPE_E_BAD_SIGNATURE;
		}
		envelope_add_signer(result, index);
	}
	return 0;
}

int envelope_verify(const void *envelope, size_t size, const struct envelope_trusted *trusted,
		    size_t n_trusted, unsigned required, struct envelope_result *ret_result)
{
	struct envelope_signature signatures[ENVELOPE_MAX_SIGNATURES];
	struct envelope_result result = { 0 };
	size_t n_signatures;
	uint8_t *input;
	int r;

	if (scan_check(&pathbell__v1__signed_command__descriptor, &envelope_limits, envelope, size,
		       NULL) < 0)
		return ENVELOPE_E_MALFORMED;
	n_signatures = envelope_read(envelope, size, &result, signatures);
	if (result.command_size == 0 || result.command_size > ENVELOPE_MAX_COMMAND)
		return ENVELOPE_E_MALFORMED;
	for (size_t n = 0; n < n_signatures; n++)
		if (signatures[n].size != ENVELOPE_SIGNATURE_SIZE || signatures[n].key_id_len == 0)
			return ENVELOPE_E_MALFORMED;
	input = envelope_input(result.command, result.command_size);
	if (!input)
		return -ENOMEM;
	r = envelope_check_signers(signatures, n_signatures, input, trusted, n_trusted, &result);
	free(input);
	*ret_result = result;
	if (r > 0)
		return r;
	if (result.n_signers == 0)
		return ENVELOPE_E_UNKNOWN_KEY;
	return result.n_signers < (required ? required : 1) ? ENVELOPE_E_TOO_FEW : 0;
}
