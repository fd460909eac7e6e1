/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdio.h>

/* Shared by the printers of core/config*.c; private to them. */

/* @text in double quotes with the escapes that YAML and JSON have in common. */
void config_print_quoted(FILE *out, const char *text);
/* Flushes; 0 or -errno of anything that failed on @out. */
int config_print_finish(FILE *out);
