/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/reflection.h"

#include <errno.h>
#include <stdlib.h>

#include "grpc/reflection/v1/reflection.pb-c.h"
#include "proto/codec.h"
#include "proto/descriptors.h"

#define REFLECTION_SEND_MAX (1u << 20)

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;

static void reflection_send(struct rpc_call *call, const reflection_response *response)
{
	size_t size = grpc__reflection__v1__server_reflection_response__get_packed_size(response);
	uint8_t *bytes = malloc(size);

	if (bytes)
		grpc__reflection__v1__server_reflection_response__pack(response, bytes);
	/* A client that asks without reading is not waited for. */
	if (!bytes || rpc_call_enqueue(call, bytes, size, REFLECTION_SEND_MAX) == -ENOBUFS)
		rpc_call_finish(call, RPC_RESOURCE_EXHAUSTED, "answers are not read");
	free(bytes);
}

static void reflection_error(struct rpc_call *call, reflection_response *response, int code,
			     const char *text)
{
	Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;

	error.error_code = code;
	error.error_message = (char *)text;
	response->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
	response->error_response = &error;
	reflection_send(call, response);
	response->error_response = NULL;
}

static void reflection_files(struct rpc_call *call, reflection_response *response,
			     const struct descriptors_file *file)
{
	Grpc__Reflection__V1__FileDescriptorResponse answer =
		GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
	struct descriptors_file files[DESCRIPTORS_MAX_FILES];
	ProtobufCBinaryData data[DESCRIPTORS_MAX_FILES];
	size_t n = descriptors_closure(file, files);

	for (size_t i = 0; i < n; i++) {
		data[i].data = (uint8_t *)files[i].data;
		data[i].len = files[i].size;
	}
	answer.file_descriptor_proto = data;
	answer.n_file_descriptor_proto = n;
	response->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
	response->file_descriptor_response = &answer;
	reflection_send(call, response);
	response->file_descriptor_response = NULL;
}

static void reflection_services(struct rpc_call *call, reflection_response *response)
{
	Grpc__Reflection__V1__ListServiceResponse answer =
		GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
	Grpc__Reflection__V1__ServiceResponse services[DESCRIPTORS_MAX_SERVICES];
	Grpc__Reflection__V1__ServiceResponse *pointers[DESCRIPTORS_MAX_SERVICES];
	char names[DESCRIPTORS_MAX_SERVICES][DESCRIPTORS_MAX_NAME];
	size_t n = descriptors_services(names);

	for (size_t i = 0; i < n; i++) {
		grpc__reflection__v1__service_response__init(&services[i]);
		services[i].name = names[i];
		pointers[i] = &services[i];
	}
	answer.service = pointers;
	answer.n_service = n;
	response->message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
	response->list_services_response = &answer;
	reflection_send(call, response);
	response->list_services_response = NULL;
}

static void reflection_answer(struct rpc_call *call, reflection_request *request)
{
	reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	struct descriptors_file file;
	bool found = false;

	response.valid_host = request->host;
	response.original_request = request;
	switch (request->message_request_case) {
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
		reflection_services(call, &response);
		return;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
		found = descriptors_find_file(request->file_by_filename, &file);
		break;
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
		found = descriptors_find_symbol(request->file_containing_symbol, &file);
		break;
	default:
		/* proto3 has no extensions. */
		reflection_error(call, &response, RPC_UNIMPLEMENTED, "not served here");
		return;
	}
	if (found)
		reflection_files(call, &response, &file);
	else
		reflection_error(call, &response, RPC_NOT_FOUND, "no such file or symbol");
}

static void reflection_on_message(struct rpc_call *call, void *data, const uint8_t *message,
				  size_t size)
{
	struct errmsg err = { 0 };
	reflection_request *request =
		codec_unpack(&grpc__reflection__v1__server_reflection_request__descriptor,
			     &scan_limits_request, NULL, message, size, &err);

	if (!request) {
		rpc_call_finish(call, RPC_INVALID_ARGUMENT, err.text);
		return;
	}
	reflection_answer(call, request);
	protobuf_c_message_free_unpacked(&request->base, NULL);
}

static void reflection_on_end(struct rpc_call *call, void *data)
{
	rpc_call_finish(call, RPC_OK, "");
}

static void reflection_on_closed(struct rpc_call *call, void *data, int status, const char *details)
{
}

static const struct rpc_call_ops reflection_ops = {
	.on_message = reflection_on_message,
	.on_end = reflection_on_end,
	.on_closed = reflection_on_closed,
};

int reflection_on_call(struct aggregator *aggregator, struct rpc_call *call,
		       const struct caller *caller, const struct rpc_call_ops **ret_ops,
		       void **ret_data, const char **ret_details)
{
	*ret_ops = &reflection_ops;
	*ret_data = aggregator;
	return RPC_OK;
}
