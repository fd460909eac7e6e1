/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/cli.h"

/*
 * Asks on the terminal before something that cannot be taken back: @question, then "type ANSWER to
 * go on". CLI_OK when it was typed, or with --yes; CLI_USAGE where nobody can be asked (standard
 * input is not a terminal); CLI_FAILED when something else was typed. The prompt goes to standard
 * error, so that standard output stays clean.
 */
int confirm(const struct cli *cli, const char *question, const char *answer);
