/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a child's answer: its texts end, and its items lie inside what came. */
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme_monitor/work.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct work_answer answer;
	struct buf buf = { 0 };
	size_t total;

	if (buf_append(&buf, data, size) != 0)
		return 0;
	work_parse(&buf, false, &answer);
	total = strlen(answer.reason) + strlen(answer.controller) + strlen(answer.owner);
	for (size_t i = 0; i < answer.n_items; i++)
		total += answer.items[i].source;
	if (answer.outcome > WORK_SKIPPED || total > SIZE_MAX / 2)
		abort();
	buf_deinit(&buf);
	return 0;
}
