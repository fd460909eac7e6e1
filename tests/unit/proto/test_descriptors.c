/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/descriptors.h"
#include "schemas.h"

static void in_file(const char *symbol, const char *name)
{
	struct descriptors_file file;

	if (!descriptors_find_symbol(symbol, &file))
		fail_msg("%s not found", symbol);
	assert_int_equal(file.name_len, strlen(name));
	assert_memory_equal(file.name, name, file.name_len);
}

static void not_found(const char *symbol)
{
	struct descriptors_file file;

	if (descriptors_find_symbol(symbol, &file))
		fail_msg("%s found", symbol);
}

static void test_symbols(void **state)
{
	in_file("pathbell.v1.Fleet", "pathbell/v1/fleet.proto");
	in_file(".pathbell.v1.Fleet", "pathbell/v1/fleet.proto");
	in_file("pathbell.v1.Fleet.ListHosts", "pathbell/v1/fleet.proto");
	in_file("pathbell.v1.Ingest.Events", "pathbell/v1/ingest.proto");
	in_file("pathbell.v1.Event", "pathbell/v1/event.proto");
	in_file("pathbell.v1.Event.kind", "pathbell/v1/event.proto");
	in_file("pathbell.v1.Event.payload", "pathbell/v1/event.proto");
	in_file("pathbell.v1.EventKind", "pathbell/v1/event.proto");
	in_file("pathbell.v1.EVENT_KIND_NVME_AEN", "pathbell/v1/event.proto");
	in_file("pathbell.v1.SignedCommand", "pathbell/v1/command.proto");
	in_file("grpc.health.v1.Health.Watch", "grpc/health/v1/health.proto");
	in_file("grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto");
	in_file("grpc.health.v1.HealthCheckResponse.NOT_SERVING", "grpc/health/v1/health.proto");
	in_file("grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto");
	in_file("grpc.reflection.v1alpha.ServerReflection",
		"grpc/reflection/v1alpha/reflection.proto");
	for (size_t n = 0; n < SCHEMAS_N; n++) {
		struct descriptors_file file;

		assert_true(descriptors_find_symbol(schemas_roots[n]->name, &file));
	}
	not_found("");
	not_found(".");
	not_found("..pathbell.v1.Fleet");
	not_found("pathbell");
	not_found("pathbell.v1");
	not_found("pathbell.v1.");
	not_found("pathbell.v1.Fleet.");
	not_found("pathbell.v1.Flee");
	not_found("pathbell.v1.Fleets");
	not_found("pathbell.v1.Event.kind.x");
	not_found("Fleet");
	not_found("EVENT_KIND_NVME_AEN");
	not_found("pathbell.v1.EventKind.EVENT_KIND_NVME_AEN");
}

static void test_files(void **state)
{
	struct descriptors_file file, files[DESCRIPTORS_MAX_FILES];
	size_t size;

	assert_false(descriptors_find_file("pathbell/v1/none.proto", &file));
	assert_false(descriptors_find_file("", &file));
	assert_true(descriptors_find_file("pathbell/v1/fleet.proto", &file));
	assert_int_equal(descriptors_closure(&file, files), 3);
	assert_memory_equal(files[1].name, "pathbell/v1/command.proto", files[1].name_len);
	assert_memory_equal(files[2].name, "pathbell/v1/event.proto", files[2].name_len);
	assert_true(descriptors_find_file("pathbell/v1/local.proto", &file));
	assert_int_equal(descriptors_closure(&file, files), 1);
	assert_true(file.data > descriptors_set(&size));
	assert_true(file.data + file.size <= descriptors_set(&size) + size);
}

static void test_services(void **state)
{
	char names[DESCRIPTORS_MAX_SERVICES][DESCRIPTORS_MAX_NAME];

	assert_int_equal(descriptors_services(names), 5);
	assert_string_equal(names[0], "pathbell.v1.Ingest");
	assert_string_equal(names[1], "pathbell.v1.Fleet");
	assert_string_equal(names[2], "grpc.health.v1.Health");
	assert_string_equal(names[3], "grpc.reflection.v1.ServerReflection");
	assert_string_equal(names[4], "grpc.reflection.v1alpha.ServerReflection");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbols),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_services),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
