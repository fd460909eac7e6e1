/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/cli.h"

/* A completion script made from the same tables that the parser uses. 0 or the error of buf_append.
 * Pure. */
int completion_bash(const struct cli_command *const *registry, struct buf *out);
int completion_zsh(const struct cli_command *const *registry, struct buf *out);
