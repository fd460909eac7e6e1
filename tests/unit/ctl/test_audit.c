/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/audit_chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "core/file.h"
#include "core/id.h"
#include "ctl/audit_host.h"
#include "ctl/registry.h"
#include "fleet.h"

#define N_RECORDS 6

/* A chain of the aggregator, with ties to two hosts. */
struct chain {
	Pathbell__V1__AuditRecord records[N_RECORDS], *list[N_RECORDS];
	uint8_t hashes[N_RECORDS + 1][CHAIN_HASH_SIZE];
	uint8_t command_id[ID_SIZE];
	char details[N_RECORDS][160];
};

static struct fleet *fleet;
static struct script *script;
static char folder[64];

static void chain_seal(struct chain *chain, size_t i)
{
	chain->records[i].previous_hash =
		(ProtobufCBinaryData){ CHAIN_HASH_SIZE, chain->hashes[i] };
	assert_int_equal(chain_hash(&chain->records[i], chain->hashes[i + 1]), 0);
	chain->records[i].hash = (ProtobufCBinaryData){ CHAIN_HASH_SIZE, chain->hashes[i + 1] };
}

/* @tie: the hash in the ties of host "a" is that digit, 64 times. */
static void chain_make(struct chain *chain, uint64_t first_seq)
{
	memset(chain, 0, sizeof(*chain));
	for (size_t i = 0; i < N_RECORDS; i++) {
		Pathbell__V1__AuditRecord *record = &chain->records[i];

		pathbell__v1__audit_record__init(record);
		record->seq = first_seq + i;
		record->unix_ns = 1000 + i;
		record->actor = (char *)"spiffe://test.example/operator/alice";
		record->action = (char *)(i < 2 ? "command.submit" : "command.life");
		record->command_id = (ProtobufCBinaryData){ ID_SIZE, chain->command_id };
		record->host_id = (char *)(i < 2 ? "" : i == 3 ? "b" : "a");
		record->detail = (char *)"";
		if (i >= 2) {
			snprintf(chain->details[i], sizeof(chain->details[i]),
				 "host_audit_seq=%zu host_audit_hash=%064zu key=x", i, i);
			record->detail = chain->details[i];
		}
		chain->list[i] = record;
		chain_seal(chain, i);
	}
}

static int chain_run(struct chain *chain, struct audit_chain *ret, uint64_t *ret_at)
{
	int r = AUDIT_FITS;

	*ret_at = 0;
	for (size_t i = 0; i < N_RECORDS && r == AUDIT_FITS; i++) {
		*ret_at = chain->records[i].seq;
		r = audit_chain_add(ret, &chain->records[i]);
	}
	return r;
}

static void test_a_whole_chain(void **state)
{
	struct audit_chain check = { 0 };
	struct chain chain;
	uint64_t at;

	chain_make(&chain, 1);
	assert_int_equal(chain_run(&chain, &check, &at), AUDIT_FITS);
	assert_int_equal(check.n, N_RECORDS);
	assert_int_equal(check.last.seq, N_RECORDS);
	assert_int_equal(check.n_points, 2);
	assert_string_equal(check.points[0].host_id, "a");
	assert_int_equal(check.points[0].head.seq, 5);
	audit_chain_deinit(&check);
	/* retention took the front */
	chain_make(&chain, 700);
	chain.hashes[0][0] = 7;
	for (size_t i = 0; i < N_RECORDS; i++)
		chain_seal(&chain, i);
	assert_int_equal(chain_run(&chain, &check, &at), AUDIT_FITS);
	assert_int_equal(check.first_seq, 700);
	audit_chain_deinit(&check);
}

/* Every field is covered by the hash: each is altered in turn, with the rest left as it was. */
static void alter(struct chain *chain, size_t i, unsigned what)
{
	Pathbell__V1__AuditRecord *record = &chain->records[i];

	switch (what) {
	case 0:
		record->unix_ns++;
		break;
	case 1:
		record->actor = (char *)"spiffe://test.example/operator/mallory";
		break;
	case 2:
		record->certificate = (char *)"00";
		break;
	case 3:
		record->key_ids = (char *)"ed25519:0123456789abcdef";
		break;
	case 4:
		record->action = (char *)"command.other";
		break;
	case 5:
		record->command_id.len = 0;
		break;
	case 6:
		record->campaign_id = record->command_id;
		break;
	case 7:
		record->host_id = (char *)"c";
		break;
	default:
		record->detail = (char *)"nothing";
		break;
	}
}

static void test_altered_records(void **state)
{
	for (unsigned what = 0; what < 9; what++) {
		for (size_t i = 0; i < N_RECORDS; i++) {
			struct audit_chain check = { 0 };
			struct chain chain;
			uint64_t at;

			chain_make(&chain, 1);
			alter(&chain, i, what);
			assert_int_equal(chain_run(&chain, &check, &at), AUDIT_BREAK_HASH);
			assert_int_equal(at, i + 1);
			audit_chain_deinit(&check);
			/* sealed again: the next one does not go on from it */
			chain_make(&chain, 1);
			alter(&chain, i, what);
			uint8_t old[CHAIN_HASH_SIZE];

			memcpy(old, chain.hashes[i + 1], sizeof(old));
			chain_seal(&chain, i);
			if (i + 1 < N_RECORDS)
				chain.records[i + 1].previous_hash.data = old;
			assert_int_equal(chain_run(&chain, &check, &at),
					 i + 1 < N_RECORDS ? AUDIT_BREAK_PREVIOUS : AUDIT_FITS);
			audit_chain_deinit(&check);
		}
	}
}

static void test_missing_records_and_forms(void **state)
{
	struct audit_chain check = { 0 };
	struct chain chain;

	chain_make(&chain, 1);
	assert_int_equal(audit_chain_add(&check, &chain.records[0]), AUDIT_FITS);
	assert_int_equal(audit_chain_add(&check, &chain.records[2]), AUDIT_BREAK_GAP);
	assert_int_equal(audit_chain_add(&check, &chain.records[0]), AUDIT_BREAK_GAP);
	chain.records[1].hash.len = 31;
	assert_int_equal(audit_chain_add(&check, &chain.records[1]), AUDIT_BREAK_FORM);
	audit_chain_deinit(&check);
	/* the first of all goes on from zeros */
	chain_make(&chain, 1);
	chain.hashes[0][0] = 1;
	chain_seal(&chain, 0);
	assert_int_equal(audit_chain_add(&check, &chain.records[0]), AUDIT_BREAK_PREVIOUS);
	audit_chain_deinit(&check);
}

static void test_ties_go_on(void **state)
{
	struct audit_chain check = { 0 };
	struct chain chain;
	uint64_t at;

	chain_make(&chain, 1);
	snprintf(chain.details[5], sizeof(chain.details[5]),
		 "host_audit_seq=3 host_audit_hash=%064d", 1);
	chain_seal(&chain, 5);
	assert_int_equal(chain_run(&chain, &check, &at), AUDIT_BREAK_HOST);
	assert_int_equal(at, 6);
	audit_chain_deinit(&check);
	chain_make(&chain, 1);
	snprintf(chain.details[5], sizeof(chain.details[5]),
		 "host_audit_seq=4 host_audit_hash=%064d", 9);
	chain_seal(&chain, 5);
	assert_int_equal(chain_run(&chain, &check, &at), AUDIT_BREAK_HOST);
	audit_chain_deinit(&check);
}

static void test_heads_as_text(void **state)
{
	struct audit_head head = { 0 };
	char text[AUDIT_HEAD_TEXT_SIZE];
	char with_blank[AUDIT_HEAD_TEXT_SIZE + 1];

	head.seq = 42;
	head.hash[0] = 0xab;
	audit_head_format(&head, text);
	head = (struct audit_head){ 0 };
	assert_true(audit_head_parse(text, &head));
	assert_int_equal(head.seq, 42);
	assert_int_equal(head.hash[0], 0xab);
	snprintf(with_blank, sizeof(with_blank), "%s ", text);
	assert_false(audit_head_parse(with_blank, &head));
	assert_false(audit_head_parse("42", &head));
	assert_false(audit_head_parse("42:00", &head));
	text[0] = '0';
	text[1] = '0';
	assert_false(audit_head_parse(text, &head));
}

/* ---- the host's lines ---- */

static void line_make(const char *body, const uint8_t previous[CHAIN_HASH_SIZE], char *ret_line,
		      uint8_t ret_hash[CHAIN_HASH_SIZE])
{
	uint8_t input[4096];
	static const char context[] = "pathbell-host-audit-v1";
	char hex[2 * CHAIN_HASH_SIZE + 1];
	size_t size = sizeof(context);

	memcpy(input, context, size);
	memcpy(input + size, previous, CHAIN_HASH_SIZE);
	memcpy(input + size + CHAIN_HASH_SIZE, body, strlen(body));
	size += CHAIN_HASH_SIZE + strlen(body);
	assert_int_equal(EVP_Digest(input, size, ret_hash, NULL, EVP_sha256(), NULL), 1);
	id_hex(ret_hash, CHAIN_HASH_SIZE, hex);
	sprintf(ret_line, "%s %s", body, hex);
}

static void test_lines(void **state)
{
	uint8_t zeros[CHAIN_HASH_SIZE] = { 0 };
	uint8_t hashes[3][CHAIN_HASH_SIZE];
	struct audit_host host = { 0 };
	struct audit_head last = { 0 };
	bool unchecked = false;
	char lines[3][512];

	line_make("1 2026-01-01T00:00:00Z begin", zeros, lines[0], hashes[0]);
	line_make("2 2026-01-01T00:00:01Z command verb=halt", hashes[0], lines[1], hashes[1]);
	line_make("3 2026-01-01T00:00:02Z command verb=resume", hashes[1], lines[2], hashes[2]);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(audit_host_add(&host, "x", lines[i], strlen(lines[i])), CLI_OK);
	assert_false(host.unchecked);
	last = (struct audit_head){ .seq = 2 };
	memcpy(last.hash, hashes[1], sizeof(last.hash));
	assert_true(audit_host_fits(&host, &last));
	last.hash[0] ^= 1;
	assert_false(audit_host_fits(&host, &last));
	last.seq = 4; /* it does not have it yet */
	assert_true(audit_host_fits(&host, &last));
	audit_host_deinit(&host);
	/* every byte counts */
	for (size_t at = 0; at < strlen(lines[1]); at++) {
		char line[512];

		strcpy(line, lines[1]);
		line[at] ^= 1;
		last = (struct audit_head){ .seq = 1 };
		memcpy(last.hash, hashes[0], sizeof(last.hash));
		assert_int_not_equal(audit_line_check(line, strlen(line), &last, &unchecked),
				     AUDIT_FITS);
		assert_int_equal(last.seq, 1);
	}
	last = (struct audit_head){ .seq = 1 };
	memcpy(last.hash, hashes[0], sizeof(last.hash));
	assert_int_equal(audit_line_check(lines[2], strlen(lines[2]), &last, &unchecked),
			 AUDIT_BREAK_GAP);
	for (size_t len = 0; len < strlen(lines[1]); len++)
		assert_int_not_equal(audit_line_check(lines[1], len, &last, &unchecked),
				     AUDIT_FITS);
	/* from the middle: nothing is known of what is before */
	assert_int_equal(audit_host_add(&host, "x", lines[1], strlen(lines[1])), CLI_OK);
	assert_true(host.unchecked);
	assert_int_equal(audit_host_add(&host, "x", lines[2], strlen(lines[2])), CLI_OK);
	audit_host_deinit(&host);
}

static void test_a_file_that_goes_on(void **state)
{
	uint8_t previous[CHAIN_HASH_SIZE] = { 0xaa };
	uint8_t hash[CHAIN_HASH_SIZE];
	struct audit_host host = { 0 };
	char hex[2 * CHAIN_HASH_SIZE + 1];
	char body[256];
	char line[512];

	id_hex(previous, sizeof(previous), hex);
	snprintf(body, sizeof(body), "17 2026-01-01T00:00:00Z begin prev=%s version=1", hex);
	line_make(body, previous, line, hash);
	assert_int_equal(audit_host_add(&host, "x", line, strlen(line)), CLI_OK);
	assert_false(host.unchecked);
	audit_host_deinit(&host);
	body[strlen(body) - 1] = '2';
	memcpy(line, body, strlen(body));
	assert_int_equal(audit_host_add(&host, "x", line, strlen(line)), CLI_FAILED);
	audit_host_deinit(&host);
}

/* ---- the command ---- */

static int run(const char *line)
{
	char copy[1024];
	char *argv[32] = { (char *)"pathbell", (char *)"--config", (char *)fleet_config(fleet) };
	int argc = 3;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	return cli_main(registry_commands, argc, argv);
}

static void answer(struct chain *chain, size_t n, uint64_t next)
{
	Pathbell__V1__QueryAuditResponse page = PATHBELL__V1__QUERY_AUDIT_RESPONSE__INIT;

	page.records = chain->list;
	page.n_records = n;
	page.next_after_seq = next;
	page.head_seq = chain->records[N_RECORDS - 1].seq;
	page.head_hash = (ProtobufCBinaryData){ CHAIN_HASH_SIZE, chain->hashes[N_RECORDS] };
	script_add(script, "QueryAudit", RPC_OK, &page.base);
}

static void test_verify_command(void **state)
{
	struct chain chain;
	struct audit_head head = { .seq = 3 };
	char text[AUDIT_HEAD_TEXT_SIZE];
	char line[256];

	chain_make(&chain, 1);
	answer(&chain, N_RECORDS, 0);
	assert_int_equal(run("audit --verify"), CLI_OK);
	assert_int_equal(run("audit --verify -o json"), CLI_OK);
	assert_int_equal(run("audit"), CLI_OK);
	memcpy(head.hash, chain.hashes[3], sizeof(head.hash));
	audit_head_format(&head, text);
	snprintf(line, sizeof(line), "audit --verify --expect-head %s", text);
	assert_int_equal(run(line), CLI_OK);
	head.hash[5] ^= 1;
	audit_head_format(&head, text);
	snprintf(line, sizeof(line), "audit --verify --expect-head %s", text);
	assert_int_equal(run(line), CLI_FAILED);
	head.seq = 99; /* cut off behind the sixth */
	audit_head_format(&head, text);
	snprintf(line, sizeof(line), "audit --verify --expect-head %s", text);
	assert_int_equal(run(line), CLI_FAILED);
	assert_int_equal(run("audit --expect-head 1:00 --verify"), CLI_USAGE);
	assert_int_equal(run("audit --host-audit x --verify"), CLI_USAGE);
	assert_int_equal(run("audit --command x"), CLI_USAGE);
	script_reset(script);
	/* fewer records than the head says, and pages that stand still */
	answer(&chain, 0, 0);
	assert_int_equal(run("audit --verify"), CLI_FAILED);
	script_reset(script);
	answer(&chain, 1, 1);
	answer(&chain, 0, 1);
	assert_int_equal(run("audit --verify"), CLI_FAILED);
	script_reset(script);
	chain.details[4][0] = 'x';
	answer(&chain, N_RECORDS, 0);
	assert_int_equal(run("audit --verify"), CLI_FAILED);
	script_reset(script);
}

static void test_verify_files(void **state)
{
	uint8_t zeros[CHAIN_HASH_SIZE] = { 0 };
	uint8_t hashes[2][CHAIN_HASH_SIZE];
	char lines[2][512];
	char path[128];
	char text[1100];
	char line[256];

	line_make("1 2026-01-01T00:00:00Z begin", zeros, lines[0], hashes[0]);
	line_make("2 2026-01-01T00:00:01Z command", hashes[0], lines[1], hashes[1]);
	snprintf(path, sizeof(path), "%s/audit.log", fleet_folder(fleet));
	snprintf(text, sizeof(text), "%s\n%s\n", lines[0], lines[1]);
	assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
	snprintf(line, sizeof(line), "local audit --verify --file %s", path);
	assert_int_equal(run(line), CLI_OK);
	snprintf(line, sizeof(line), "local audit --file %s -o json", path);
	assert_int_equal(run(line), CLI_OK);
	assert_int_equal(file_replace(path, text, strlen(text) - 1, 0600), 0);
	snprintf(line, sizeof(line), "local audit --verify --file %s", path);
	assert_int_equal(run(line), CLI_FAILED);
	text[30] ^= 1;
	assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
	assert_int_equal(run(line), CLI_FAILED);
	assert_int_equal(run("local audit --verify --file /nonexistent"), CLI_NOT_FOUND);
}

static int setup(void **state)
{
	fleet = fleet_new();
	script = fleet_script(fleet);
	snprintf(folder, sizeof(folder), "%s", fleet_folder(fleet));
	return 0;
}

static int teardown(void **state)
{
	fleet = fleet_free(fleet);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_whole_chain),
		cmocka_unit_test(test_altered_records),
		cmocka_unit_test(test_missing_records_and_forms),
		cmocka_unit_test(test_ties_go_on),
		cmocka_unit_test(test_heads_as_text),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_a_file_that_goes_on),
		cmocka_unit_test(test_verify_command),
		cmocka_unit_test(test_verify_files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
