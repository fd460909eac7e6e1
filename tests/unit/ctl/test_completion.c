/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/completion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/registry.h"

static char script[64];
static char asked[64];

static void write_file(char *path, const struct buf *text)
{
	int fd;

	strcpy(path, "/tmp/pathbell-completion.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text->data, text->size), (ssize_t)text->size);
	close(fd);
}

/* What bash offers for a line, words with a blank around each: " a b ". */
static void offers(const char *words, char *ret_text, size_t size)
{
	struct buf command = { 0 };
	size_t len = 1;
	FILE *pipe;
	char word[128];

	assert_int_equal(buf_printf(&command,
				    "bash -c '. %s; COMP_WORDS=(pathbell %s); "
				    "COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _pathbell; "
				    "printf \"%%s\\n\" \"${COMPREPLY[@]}\"'",
				    script, words),
			 0);
	assert_int_equal(buf_append(&command, "", 1), 0);
	pipe = popen((char *)command.data, "r"); /* NOLINT(cert-env33-c): the test's own words */
	assert_non_null(pipe);
	snprintf(ret_text, size, " ");
	while (fscanf(pipe, "%127s", word) == 1)
		len += (size_t)snprintf(ret_text + len, size - len, "%s ", word);
	pclose(pipe);
	buf_deinit(&command);
}

static void assert_offers(const char *line, const char *word)
{
	char text[4096];
	char spaced[160];

	offers(line, text, sizeof(text));
	snprintf(spaced, sizeof(spaced), " %s ", word);
	if (!strstr(text, spaced))
		fail_msg("after '%s': no '%s' in '%s'", line, word, text);
}

static size_t count_words(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text != ' ' && (text[1] == ' ' || text[1] == '\0');
	return n;
}

/* After each command: exactly the options of its table. */
static void test_options_equal_the_table(void **state)
{
	for (const struct cli_command *const *c = registry_commands; *c; c++) {
		const struct cli_option *tables[CLI_MAX_TABLES];
		size_t n_tables = cli_tables(*c, tables);
		char line[128];
		char text[4096];
		size_t n = 0;

		snprintf(line, sizeof(line), "%s --", (*c)->path);
		offers(line, text, sizeof(text));
		for (size_t t = 0; t < n_tables; t++) {
			for (const struct cli_option *o = tables[t]; o && o->name; o++) {
				char word[64];

				snprintf(word, sizeof(word), " --%s ", o->name);
				if (!strstr(text, word) == !o->hidden)
					fail_msg("%s: '%s' in '%s'", (*c)->path, word, text);
				n += !o->hidden;
			}
		}
		assert_int_equal(count_words(text), n);
	}
}

/* Every word of every path is offered behind the words before it. */
static void test_words_equal_the_table(void **state)
{
	for (const struct cli_command *const *c = registry_commands; *c; c++) {
		char path[128];
		char before[128] = "";

		snprintf(path, sizeof(path), "%s", (*c)->path);
		for (char *word = strtok(path, " "); word; word = strtok(NULL, " ")) {
			char line[160];

			snprintf(line, sizeof(line), "%s \"\"", before);
			assert_offers(line, word);
			strncat(before, word, sizeof(before) - strlen(before) - 2);
			strcat(before, " ");
		}
	}
}

static void test_values(void **state)
{
	assert_offers("-o \"\"", "json");
	assert_offers("--server x:1 -o json ev", "events");
	assert_offers("local --socket /run/x st", "status");
	assert_offers("local n", "nvme");
	assert_offers("local nvme disc", "discover");
	assert_offers("host web17 --u", "--utc");
}

static void test_zsh_reads_its_script(void **state)
{
	struct buf text = { 0 };
	char command[128];

	if (system("command -v zsh >/dev/null 2>&1") != 0)
		skip();
	assert_int_equal(completion_zsh(registry_commands, &text), 0);
	write_file(asked, &text);
	snprintf(command, sizeof(command), "zsh -n %s", asked);
	assert_int_equal(system(command), 0);
	unlink(asked);
	buf_deinit(&text);
}

static int setup(void **state)
{
	struct buf text = { 0 };

	if (completion_bash(registry_commands, &text) != 0)
		return -1;
	write_file(script, &text);
	buf_deinit(&text);
	return 0;
}

static int teardown(void **state)
{
	return unlink(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_equal_the_table),
		cmocka_unit_test(test_words_equal_the_table),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_zsh_reads_its_script),
	};

	if (system("command -v bash >/dev/null 2>&1") != 0) {
		fprintf(stderr, "skip: no bash\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
