/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/chain.h"

#include <errno.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/id.h"

static const char chain_context[] = "pathbell-audit-v1"; /* with its NUL */

static int chain_number(EVP_MD_CTX *digest, uint64_t value, size_t size)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> 8 * (size - 1 - i));
	return EVP_DigestUpdate(digest, bytes, size);
}

static int chain_field(EVP_MD_CTX *digest, const void *data, size_t size)
{
	return chain_number(digest, size, 4) && (size == 0 || EVP_DigestUpdate(digest, data, size));
}

static int chain_text(EVP_MD_CTX *digest, const char *text)
{
	return chain_field(digest, text, strlen(text));
}

static int chain_record(EVP_MD_CTX *digest, const Pathbell__V1__AuditRecord *record)
{
	return EVP_DigestUpdate(digest, chain_context, sizeof(chain_context)) &&
	       EVP_DigestUpdate(digest, record->previous_hash.data, CHAIN_HASH_SIZE) &&
	       chain_number(digest, record->seq, 8) && chain_number(digest, record->unix_ns, 8) &&
	       chain_text(digest, record->actor) && chain_text(digest, record->certificate) &&
	       chain_text(digest, record->key_ids) && chain_text(digest, record->action) &&
	       chain_field(digest, record->command_id.data, record->command_id.len) &&
	       chain_field(digest, record->campaign_id.data, record->campaign_id.len) &&
	       chain_text(digest, record->host_id) && chain_text(digest, record->detail);
}

int chain_digest(const void *data, size_t size, char ret_text[2 * CHAIN_HASH_SIZE + 1])
{
	uint8_t digest[CHAIN_HASH_SIZE];

	if (EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL) != 1)
		return -ENOMEM;
	id_hex(digest, sizeof(digest), ret_text);
	return 0;
}

int chain_hash(const Pathbell__V1__AuditRecord *record, uint8_t ret_hash[CHAIN_HASH_SIZE])
{
	EVP_MD_CTX *digest;
	int ok;

	if (record->previous_hash.len != CHAIN_HASH_SIZE)
		return -EINVAL;
	digest = EVP_MD_CTX_new();
	if (!digest)
		return -ENOMEM;
	ok = EVP_DigestInit_ex(digest, EVP_sha256(), NULL) && chain_record(digest, record) &&
	     EVP_DigestFinal_ex(digest, ret_hash, NULL);
	EVP_MD_CTX_free(digest);
	return ok ? 0 : -ENOMEM;
}
