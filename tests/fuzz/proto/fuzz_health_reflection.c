/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_message.h"
#include "grpc/health/v1/health.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "proto/descriptors.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest request;

/* The first byte selects the service; names of files and symbols are looked up as the server does.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct descriptors_file file, files[DESCRIPTORS_MAX_FILES];
	request *wish;

	if (size == 0)
		return 0;
	if (data[0] & 1) {
		(void)fuzz_message(&grpc__health__v1__health_check_request__descriptor,
				   &scan_limits_request, data + 1, size - 1);
		return 0;
	}
	wish = (request *)fuzz_message(&grpc__reflection__v1__server_reflection_request__descriptor,
				       &scan_limits_request, data + 1, size - 1);
	if (!wish)
		return 0;
	if (wish->message_request_case ==
		    GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL &&
	    descriptors_find_symbol(wish->file_containing_symbol, &file))
		(void)descriptors_closure(&file, files);
	if (wish->message_request_case ==
	    GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME)
		(void)descriptors_find_file(wish->file_by_filename, &file);
	return 0;
}
