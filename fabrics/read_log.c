/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/read_log.h"

#include <errno.h>
#include <linux/nvme_ioctl.h>
#include <string.h>
#include <sys/ioctl.h>

#define READ_LOG_OPCODE 0x02		    /* Get Log Page, NVM Express Base 2.0, 5.16 */
#define READ_LOG_RAE	(UINT32_C(1) << 15) /* command dword 10 */
#define READ_LOG_CHUNK	4096		    /* every controller transfers that much */

static int read_log_ioctl(void *data, uint64_t offset, void *to, uint32_t size, bool retain)
{
	uint32_t dwords = size / 4 - 1;
	struct nvme_admin_cmd command = {
		.opcode = READ_LOG_OPCODE,
		.addr = (uint64_t)(uintptr_t)to,
		.data_len = size,
		.cdw10 = LOG_PAGE_ID | (retain ? READ_LOG_RAE : 0) | (dwords & 0xffff) << 16,
		.cdw11 = dwords >> 16,
		.cdw12 = (uint32_t)offset,
		.cdw13 = (uint32_t)(offset >> 32),
	};
	int r = ioctl(*(int *)data, NVME_IOCTL_ADMIN_CMD, &command);

	return r < 0 ? -errno : r;
}

struct read_log_state {
	read_log_page page;
	void *data;
	struct buf *entries;
	struct read_log_result *result;
	uint16_t *status;
};

static int read_log_part(const struct read_log_state *state, uint64_t offset, void *to,
			 uint32_t size, bool retain)
{
	int r = state->page(state->data, offset, to, size, retain);

	if (r <= 0)
		return r;
	*state->status = (uint16_t)r;
	return READ_LOG_E_STATUS;
}

static int read_log_head(const struct read_log_state *state, bool retain,
			 struct log_page_header *ret_header)
{
	uint32_t words[LOG_PAGE_UNIT / 4];
	int r = read_log_part(state, 0, words, sizeof(words), retain);

	return r ? r : log_page_header(words, sizeof(words), ret_header);
}

static int read_log_entries(const struct read_log_state *state, uint32_t n)
{
	struct buf *entries = state->entries;
	uint64_t left = (uint64_t)n * LOG_PAGE_UNIT, offset = LOG_PAGE_UNIT;
	int r = buf_reserve(entries, left);

	while (r == 0 && left > 0) {
		uint32_t part = left < READ_LOG_CHUNK ? (uint32_t)left : READ_LOG_CHUNK;

		r = read_log_part(state, offset, entries->data + entries->size, part, true);
		if (r)
			break;
		entries->size += part;
		offset += part;
		left -= part;
	}
	return r;
}

/* 0; READ_LOG_E_BUSY: it changed meanwhile. */
static int read_log_once(const struct read_log_state *state)
{
	struct read_log_result *result = state->result;
	struct log_page_header after;
	uint64_t n;
	int r = read_log_head(state, true, &result->header);

	if (r)
		return r;
	n = result->header.numrec < LOG_PAGE_MAX ? result->header.numrec : LOG_PAGE_MAX;
	result->n_entries = (uint32_t)n;
	result->n_left_out = result->header.numrec - n < UINT32_MAX
				     ? (uint32_t)(result->header.numrec - n)
				     : UINT32_MAX;
	r = read_log_entries(state, result->n_entries);
	if (r == 0)
		r = read_log_head(state, false, &after);
	if (r)
		return r;
	return after.genctr == result->header.genctr ? 0 : READ_LOG_E_BUSY;
}

int read_log_by(read_log_page page, void *data, struct buf *entries,
		struct read_log_result *ret_result, uint16_t *ret_status)
{
	const struct read_log_state state = { page, data, entries, ret_result, ret_status };
	size_t start = entries->size;
	int r = READ_LOG_E_BUSY;

	memset(ret_result, 0, sizeof(*ret_result));
	*ret_status = 0;
	for (unsigned n = 0; n < READ_LOG_TRIES && r == READ_LOG_E_BUSY; n++) {
		entries->size = start;
		ret_result->n_restarts = n;
		r = read_log_once(&state);
	}
	return r;
}

int read_log(int fd, struct buf *entries, struct read_log_result *ret_result, uint16_t *ret_status)
{
	return read_log_by(read_log_ioctl, &fd, entries, ret_result, ret_status);
}
