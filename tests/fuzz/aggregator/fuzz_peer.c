/* SPDX-License-Identifier: Apache-2.0 */
/* Input: messages, each with two bytes of length in front. Any of them may come at any moment. */
#include <stdlib.h>

#include "aggregator/peer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct peer_limits limits = { 100, 4096, 1000 };
	const uint64_t marks[PEER_MAX_EPOCHS] = { 3, 0, 9 };
	struct peer peer;

	peer_init(&peer, "h1", &limits);
	while (size > 2) {
		size_t message = data[0] | (size_t)data[1] << 8;
		struct peer_action action;

		data += 2;
		size -= 2;
		message = message < size ? message : size;
		peer_receive(&peer, data, message, &action);
		if (action.type == PEER_HELLO)
			peer_resumed(&peer, marks);
		if (action.type == PEER_BATCH) {
			if (action.batch.events < data ||
			    action.batch.events + action.batch.events_size > data + message ||
			    action.batch.first_seq == 0 || action.batch.count == 0)
				abort();
			peer_stored(&peer, action.weight, action.batch.count);
		}
		if (peer.stored_bytes > peer.received_bytes || peer.n_epochs > PEER_MAX_EPOCHS)
			abort();
		peer_release(&action);
		data += message;
		size -= message;
	}
	return 0;
}
