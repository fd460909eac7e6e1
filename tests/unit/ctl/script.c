/* SPDX-License-Identifier: Apache-2.0 */
#include "script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct script_answer *script_add(struct script *script, const char *method, int status,
				 const ProtobufCMessage *reply)
{
	struct script_answer *answer = &script->answers[script->n_answers++];

	assert_true(script->n_answers <= SCRIPT_MAX_ANSWERS);
	*answer = (struct script_answer){ .method = method, .status = status };
	if (reply)
		script_more(answer, reply);
	return answer;
}

void script_raw(struct script_answer *answer, const void *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);

	assert_true(answer->n_replies < SCRIPT_MAX_REPLIES);
	memcpy(copy, data, size);
	answer->replies[answer->n_replies].data = copy;
	answer->replies[answer->n_replies++].size = size;
}

void script_more(struct script_answer *answer, const ProtobufCMessage *reply)
{
	size_t size = protobuf_c_message_get_packed_size(reply);
	uint8_t *data = malloc(size + 1);

	protobuf_c_message_pack(reply, data);
	script_raw(answer, data, size);
	free(data);
}

void script_reset(struct script *script)
{
	for (size_t i = 0; i < script->n_answers; i++) {
		for (size_t j = 0; j < script->answers[i].n_replies; j++)
			free(script->answers[i].replies[j].data);
	}
	for (size_t i = 0; i < script->n_calls; i++)
		free(script->calls[i].data);
	*script = (struct script){ 0 };
}

static struct script_answer *script_find(struct script *script, const char *method)
{
	struct script_answer *last = NULL;

	for (size_t i = 0; i < script->n_answers; i++) {
		if (!strstr(method, script->answers[i].method))
			continue;
		last = &script->answers[i];
		if (!last->used)
			break;
	}
	if (last)
		last->used = true;
	return last;
}

bool script_play(struct script *script, struct rpc_call *call, const uint8_t *data, size_t size)
{
	struct script_answer *answer = script_find(script, rpc_call_method(call));

	if (!answer)
		return false;
	if (script->n_calls < sizeof(script->calls) / sizeof(script->calls[0])) {
		uint8_t *copy = malloc(size + 1);

		memcpy(copy, data, size);
		script->calls[script->n_calls].method = answer->method;
		script->calls[script->n_calls].data = copy;
		script->calls[script->n_calls++].size = size;
	}
	for (size_t i = 0; i < answer->n_replies; i++)
		rpc_call_enqueue(call, answer->replies[i].data, answer->replies[i].size, 64 << 20);
	if (answer->status >= 0)
		rpc_call_finish(call, answer->status, "the test's status");
	if (answer->then)
		answer->then();
	return true;
}

size_t script_calls(const struct script *script, const char *method, const uint8_t **ret_data,
		    size_t *ret_size)
{
	size_t n = 0;

	for (size_t i = 0; i < script->n_calls; i++) {
		if (strcmp(script->calls[i].method, method) != 0)
			continue;
		n++;
		if (ret_data) {
			*ret_data = script->calls[i].data;
			*ret_size = script->calls[i].size;
		}
	}
	return n;
}
