/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/confirm.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int confirm(const struct cli *cli, const char *question, const char *answer)
{
	struct output err;
	char typed[128] = "";
	ssize_t n;

	if (cli_has(cli, "yes"))
		return CLI_OK;
	if (!isatty(STDIN_FILENO))
		return cli_fail(CLI_USAGE,
				"%s Nobody can be asked, standard input is not a terminal: --yes "
				"goes on without",
				question);
	output_init(&err, stderr);
	output_line(&err, "%s", question);
	fprintf(stderr, "Type %s to go on: ", answer);
	fflush(stderr);
	/* not stdio: what is behind this line is not ours */
	n = read(STDIN_FILENO, typed, sizeof(typed) - 1);
	typed[n > 0 ? n : 0] = '\0';
	typed[strcspn(typed, "\r\n")] = '\0';
	if (strcmp(typed, answer) == 0)
		return CLI_OK;
	return cli_fail(CLI_FAILED, "not confirmed; nothing was done");
}
