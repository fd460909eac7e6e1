/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Length (1 to 4) of the well-formed UTF-8 sequence (RFC 3629 section 4: no overlong form, no
 * surrogate, nothing above U+10FFFF) at @text, and its code point; 0 where there is none in @size
 * bytes.
 */
size_t utf8_decode(const char *text, size_t size, uint32_t *ret_code);
