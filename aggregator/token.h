/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Paging tokens: opaque text for the client; inside a kind, a position and a checksum, so that a
 * token of another method or a made-up one is told from a good one. Pure.
 */
enum token_kind { TOKEN_HOSTS = 'h', TOKEN_COMMANDS = 'c', TOKEN_CAMPAIGNS = 'g' };

#define TOKEN_POSITION_MAX 128
#define TOKEN_TEXT_SIZE	   (2 * (1 + TOKEN_POSITION_MAX + 4) + 1)

void token_make(enum token_kind kind, const char *position, char ret_text[TOKEN_TEXT_SIZE]);
/* NULL and "" are the start: true with "". */
bool token_parse(enum token_kind kind, const char *text, char ret_position[TOKEN_POSITION_MAX + 1]);
