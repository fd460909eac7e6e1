/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_SIZE	     16
#define ID_TEXT_SIZE 37 /* 8-4-4-4-12 and NUL */

/* UUIDv7 (RFC 9562 section 5.7): 48 bits of milliseconds, then random bits of getrandom(2). */
void id_new(uint8_t ret_id[ID_SIZE]);
/* 122 random bits, UUIDv4. */
void id_random(uint8_t ret_id[ID_SIZE]);
void id_format(const uint8_t id[ID_SIZE], char ret_text[ID_TEXT_SIZE]);
/* Accepts the 36 character form and 32 hex digits. */
bool id_parse(const char *text, uint8_t ret_id[ID_SIZE]);

/* Lower-case hex of @size bytes; @ret_text holds 2 * size + 1. */
void id_hex(const uint8_t *data, size_t size, char *ret_text);
/* Exactly 2 * size hex digits. */
bool id_unhex(const char *text, uint8_t *ret_data, size_t size);

/* /proc/sys/kernel/random/boot_id, read once. All zero when it cannot be read. */
const uint8_t *id_boot(void);
