/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/meaning.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/campaign.h"
#include "ctl/registry.h"
#include "proto/kind.h"

static void assert_meant(const char *word)
{
	if (!meaning_find(word))
		fail_msg("no meaning of %s", word);
}

/* A word that can be printed can be asked for. */
static void test_every_word_of_the_schema_has_a_meaning(void **state)
{
	const ProtobufCEnumDescriptor *refusals = &pathbell__v1__command_refusal__descriptor;
	const ProtobufCEnumDescriptor *lives = &pathbell__v1__command_life__descriptor;
	const ProtobufCEnumDescriptor *states = &pathbell__v1__campaign_state__descriptor;
	size_t n = 0;
	const unsigned *kinds = kind_all(&n);

	for (unsigned i = 0; i < refusals->n_values; i++)
		if (refusals->values[i].value)
			assert_meant(command_refusal_name((unsigned)refusals->values[i].value));
	for (unsigned i = 0; i < lives->n_values; i++)
		if (lives->values[i].value)
			assert_meant(command_life_name((unsigned)lives->values[i].value));
	for (unsigned i = 0; i < states->n_values; i++)
		if (states->values[i].value)
			assert_meant(campaign_state_name((unsigned)states->values[i].value));
	for (size_t i = 0; i < n; i++)
		if (kind_matches(kinds[i], "command.*"))
			assert_meant(kind_name(kinds[i]));
}

static void test_rows_are_whole(void **state)
{
	for (size_t i = 0; i < meanings_n; i++) {
		assert_true(strlen(meanings[i].text) > 5);
		assert_non_null(meanings[i].what_to_do);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(meanings[i].word, meanings[j].word);
	}
}

static void test_spelling(void **state)
{
	char *argv[] = { (char *)"pathbell", (char *)"explain", (char *)"last-path", NULL };

	assert_string_equal(meaning_find("LAST-PATH")->word, "last_path");
	assert_string_equal(meaning_find("ineffective")->word, "INEFFECTIVE");
	assert_null(meaning_find("last"));
	assert_null(meaning_find(""));
	assert_int_equal(cli_main(registry_commands, 3, argv), CLI_OK);
	argv[1] = (char *)"explain"; /* the words were taken out */
	argv[2] = (char *)"lost_path";
	assert_int_equal(cli_main(registry_commands, 3, argv), CLI_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_word_of_the_schema_has_a_meaning),
		cmocka_unit_test(test_rows_are_whole),
		cmocka_unit_test(test_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
