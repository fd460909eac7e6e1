/* SPDX-License-Identifier: Apache-2.0 */
#include "core/id.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/clock.h"
#include "core/file.h"

static uint8_t id_boot_value[ID_SIZE];
static pthread_once_t id_boot_once = PTHREAD_ONCE_INIT;

static void id_fill(uint8_t *data, size_t size)
{
	while (size > 0) {
		ssize_t n = getrandom(data, size, 0);

		if (n < 0 && errno == EINTR)
			continue;
		/* An id that repeats loses events silently; no kernel that we run on lacks the
		 * call. */
		if (n < 0)
			abort();
		data += n;
		size -= (size_t)n;
	}
}

/* RFC 9562 sections 4.1 and 4.2: version in the high half of byte 6, variant 10 on top of byte 8.
 */
static void id_stamp(uint8_t id[ID_SIZE], unsigned version)
{
	id[6] = (uint8_t)((id[6] & 0x0f) | version << 4);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

void id_new(uint8_t ret_id[ID_SIZE])
{
	uint64_t ms = clock_realtime_ns() / CLOCK_NS_PER_MS;

	id_fill(ret_id + 6, ID_SIZE - 6);
	for (int i = 0; i < 6; i++)
		ret_id[i] = (uint8_t)(ms >> (40 - 8 * i));
	id_stamp(ret_id, 7);
}

void id_random(uint8_t ret_id[ID_SIZE])
{
	id_fill(ret_id, ID_SIZE);
	id_stamp(ret_id, 4);
}

void id_hex(const uint8_t *data, size_t size, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		*ret_text++ = digits[data[i] >> 4];
		*ret_text++ = digits[data[i] & 15];
	}
	*ret_text = '\0';
}

static int id_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool id_unhex(const char *text, uint8_t *ret_data, size_t size)
{
	if (strnlen(text, 2 * size + 1) != 2 * size)
		return false;
	for (size_t i = 0; i < 2 * size; i++) {
		if (id_digit(text[i]) < 0)
			return false;
	}
	for (size_t i = 0; i < size; i++)
		ret_data[i] = (uint8_t)(id_digit(text[2 * i]) << 4 | id_digit(text[2 * i + 1]));
	return true;
}

void id_format(const uint8_t id[ID_SIZE], char ret_text[ID_TEXT_SIZE])
{
	char hex[2 * ID_SIZE + 1];
	char *out = ret_text;

	id_hex(id, ID_SIZE, hex);
	for (int i = 0; i < 2 * ID_SIZE; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			*out++ = '-';
		*out++ = hex[i];
	}
	*out = '\0';
}

bool id_parse(const char *text, uint8_t ret_id[ID_SIZE])
{
	char hex[2 * ID_SIZE + 1];
	size_t n = 0;

	if (strnlen(text, ID_TEXT_SIZE) != ID_TEXT_SIZE - 1)
		return id_unhex(text, ret_id, ID_SIZE);
	for (int i = 0; i < ID_TEXT_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash != (text[i] == '-'))
			return false;
		if (!dash)
			hex[n++] = text[i];
	}
	hex[n] = '\0';
	return id_unhex(hex, ret_id, ID_SIZE);
}

static void id_read_boot(void)
{
	char line[64];

	if (file_read_line(AT_FDCWD, "/proc/sys/kernel/random/boot_id", line, sizeof(line)) < 0 ||
	    !id_parse(line, id_boot_value))
		memset(id_boot_value, 0, sizeof(id_boot_value));
}

const uint8_t *id_boot(void)
{
	pthread_once(&id_boot_once, id_read_boot);
	return id_boot_value;
}
