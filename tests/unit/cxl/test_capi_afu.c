/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "afu_server.h"
#include "collectors/cxl/capi.h"
#include "core/errmsg.h"
#include "harness.h"

#define KIND(x) PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x

static struct harness h;
static struct capi_config config;

static void configure(const char *more)
{
	struct errmsg err = { 0 };
	char text[512];

	snprintf(text, sizeof(text), "devices: [\"%s\", \"%s\"]\n%s", afu_server_path(0),
		 afu_server_path(1), more);
	assert_int_equal(config_parse(&capi_config_table, "t", text, strlen(text), &config, &err),
			 0);
}

static void begin(const char *more)
{
	afu_server_start();
	configure(more);
	harness_open(&h, &capi_collector, &config, NULL, 0, 0);
}

static void end(void)
{
	harness_close(&h);
	assert_int_equal(h.n_after_close, 0);
	config_free(&capi_config_table, &config);
	afu_server_stop();
}

static bool has_irqs(const struct harness *harness, size_t n)
{
	return harness_count(harness, KIND(CAPI_AFU_IRQ)) >= n;
}

static bool has_errors(const struct harness *harness, size_t n)
{
	return harness_count(harness, KIND(CAPI_AFU_ERROR)) >= n;
}

static bool has_links(const struct harness *harness, size_t n)
{
	return harness_count(harness, KIND(CAPI_AFU_LINK_DOWN)) >= n;
}

static void every_type_of_two_afus(void **state)
{
	const Pathbell__V1__Event *event;

	begin("decoder: text\n");
	assert_int_equal(harness_state(&h), GUARD_UP);
	afu_server_tell("0 irq 3 5");
	afu_server_tell("0 dsi 3 7fff12345678 42000000");
	afu_server_tell("0 driver 4 link lost");
	afu_server_tell("1 error 9 dead");
	assert_true(harness_run(&h, has_irqs, 1));
	assert_true(harness_run(&h, has_errors, 1));
	harness_settle(&h);
	event = harness_last(&h, KIND(CAPI_AFU_IRQ));
	assert_int_equal(event->capi_afu->irq, 5);
	assert_int_equal(event->capi_afu->process_element, 3);
	assert_string_equal(event->subject->id, "afu:afu0.0m");
	assert_string_equal(event->source->collector, "capi");
	event = harness_last(&h, KIND(CAPI_AFU_DATA_STORAGE));
	assert_int_equal(event->capi_afu->address, 0x7fff12345678);
	assert_int_equal(event->capi_afu->dsisr, 0x42000000);
	event = harness_last(&h, KIND(CAPI_AFU_DRIVER));
	assert_int_equal(event->capi_afu->driver_data.len, 9);
	assert_string_equal(event->capi_afu->decoder, "text");
	assert_string_equal(event->extra[0]->value, "link lost");
	event = harness_last(&h, KIND(CAPI_AFU_ERROR));
	assert_int_equal(event->capi_afu->error, 0xdead);
	assert_string_equal(event->subject->name, "afu1.0m");
	end();
}

/* All that waits at one time: driver events go first whatever AFU they are of. */
static void driver_events_come_first(void **state)
{
	size_t first;

	afu_server_start();
	configure("");
	for (unsigned i = 0; i < 5; i++) {
		afu_server_tell("0 irq 1 %x", i + 1);
		afu_server_tell("1 driver 1 number %u", i);
	}
	harness_open(&h, &capi_collector, &config, NULL, 0, 0);
	assert_true(harness_run(&h, has_irqs, 5));
	for (first = 0; h.events[first]->kind != KIND(CAPI_AFU_DRIVER); first++)
		assert_int_not_equal(h.events[first]->kind, KIND(CAPI_AFU_IRQ));
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(h.events[first + i]->kind, KIND(CAPI_AFU_DRIVER));
		assert_int_equal(h.events[first + i]->capi_afu->driver_data.data[7], '0' + i);
		assert_int_equal(h.events[first + 5 + i]->capi_afu->irq, i + 1);
	}
	end();
}

static void many_events_and_a_full_pipeline(void **state)
{
	begin("");
	harness_settle(&h);
	h.room = 7;
	for (unsigned i = 0; i < 500; i++)
		afu_server_tell("%u irq 1 %x", i % 2, i + 1);
	assert_true(harness_run(&h, has_irqs, 7));
	harness_settle(&h);
	assert_int_equal(harness_count(&h, KIND(CAPI_AFU_IRQ)), 7);
	h.room = SIZE_MAX;
	guard_resume(h.guard);
	assert_true(harness_run(&h, has_irqs, 500));
	assert_int_equal(harness_count(&h, KIND(COLLECTOR_GAP)), 0);
	end();
}

/* One link goes: told, opened again by backoff; the other AFU is heard all the time. */
static void link_down_of_one(void **state)
{
	const Pathbell__V1__Event *event;

	begin("");
	harness_settle(&h);
	afu_server_tell("0 irq 1 1");
	afu_server_tell("0 close");
	assert_true(harness_run(&h, has_links, 1));
	event = harness_last(&h, KIND(CAPI_AFU_LINK_DOWN));
	assert_int_equal(event->fault_phase, PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_RAISED);
	assert_string_equal(event->fault_id, "capi:afu:afu0.0m");
	/* What it said before comes before. */
	assert_int_equal(harness_count(&h, KIND(CAPI_AFU_IRQ)), 1);
	assert_int_equal(h.events[h.n_events - 2]->kind, KIND(CAPI_AFU_IRQ));
	assert_int_equal(harness_state(&h), GUARD_UP);
	afu_server_tell("1 error 1 1");
	assert_true(harness_run(&h, has_errors, 1));
	afu_server_tell("0 up");
	assert_true(harness_run(&h, has_links, 2));
	event = harness_last(&h, KIND(CAPI_AFU_LINK_DOWN));
	assert_int_equal(event->fault_phase, PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_CLEARED);
	afu_server_tell("0 irq 1 2");
	assert_true(harness_run(&h, has_irqs, 2));
	assert_int_equal(harness_count(&h, KIND(COLLECTOR_BLIND)), 0);
	end();
}

static void blind_when_all_are_down(void **state)
{
	begin("");
	harness_settle(&h);
	afu_server_tell("0 close");
	afu_server_tell("1 close");
	assert_true(harness_run(&h, harness_is_state, GUARD_BLIND));
	assert_int_equal(harness_count(&h, KIND(COLLECTOR_BLIND)), 1);
	assert_int_equal(harness_count(&h, KIND(CAPI_AFU_LINK_DOWN)), 2);
	afu_server_tell("0 up");
	afu_server_tell("1 up");
	assert_true(harness_run(&h, harness_is_state, GUARD_UP));
	assert_true(harness_run(&h, has_links, 4));
	assert_int_equal(h.n_reads > 0, 1);
	end();
}

static void bad_records_and_losses(void **state)
{
	const Pathbell__V1__Event *event;

	begin("");
	harness_settle(&h);
	afu_server_tell("0 raw 01002000030000000000050000000000");
	afu_server_tell("0 fault");
	afu_server_tell("0 irq 1 6");
	assert_true(harness_run(&h, has_irqs, 1));
	harness_settle(&h);
	/* The size in its header is wrong: it travels as it is. */
	event = NULL;
	for (size_t i = 0; i < h.n_events; i++) {
		if (h.events[i]->raw.len > 0)
			event = h.events[i];
	}
	assert_true(event != NULL && event->raw.len == 16);
	event = harness_last(&h, KIND(COLLECTOR_GAP));
	assert_non_null(event);
	assert_string_equal(event->gap->cause, "oversize");
	assert_int_equal(event->gap->count, 1);
	end();
}

static void starts_work_when_told(void **state)
{
	bool started = false;

	begin("start_work: true\nwed: 4660\nirqs: 4\n");
	for (const char *line = afu_server_line(); *line != '\0'; line = afu_server_line())
		started |= strcmp(line, "start 2 1234 4") == 0;
	assert_true(started);
	end();
}

static bool is_delivered_again(const struct harness *harness, size_t n)
{
	return harness_count(harness, KIND(CAPI_AFU_DRIVER)) >= n;
}

/* The sink says "not delivered" to a driver event: twice again, then it is given up. */
static void undelivered_is_submitted_again(void **state)
{
	const Pathbell__V1__Event *event;

	begin("resubmit: 2\n");
	harness_settle(&h);
	afu_server_tell("0 driver 1 precious");
	afu_server_tell("0 irq 1 1");
	assert_true(harness_run(&h, has_irqs, 1));
	for (size_t n = 1; n <= 3; n++) {
		uint64_t ticket = 0;

		assert_true(harness_run(&h, is_delivered_again, n));
		for (size_t i = 0; i < h.n_events; i++) {
			if (h.events[i]->kind == KIND(CAPI_AFU_DRIVER))
				ticket = i + 1;
		}
		event = h.events[ticket - 1];
		assert_memory_equal(event->capi_afu->driver_data.data, "precious", 8);
		assert_int_equal(event->n_extra, n > 1);
		guard_delivered(h.guard, ticket, false);
	}
	assert_true(harness_run(&h, harness_has_events, h.n_events + 1));
	event = harness_last(&h, KIND(COLLECTOR_GAP));
	assert_non_null(event);
	assert_string_equal(event->gap->cause, "undelivered");
	assert_int_equal(harness_count(&h, KIND(CAPI_AFU_DRIVER)), 3);
	assert_int_equal(harness_count(&h, KIND(CAPI_AFU_IRQ)), 1);
	end();
}

static void absent_is_parked_until_it_comes(void **state)
{
	char folder[] = "/tmp/pathbell-afus-XXXXXX", link[64], text[128];
	struct errmsg err = { 0 };

	afu_server_start();
	assert_non_null(mkdtemp(folder));
	snprintf(text, sizeof(text), "devices: [\"%s/afu*\"]\n", folder);
	assert_int_equal(config_parse(&capi_config_table, "t", text, strlen(text), &config, &err),
			 0);
	harness_open(&h, &capi_collector, &config, NULL, 0, 0);
	assert_int_equal(harness_state(&h), GUARD_PARKED);
	snprintf(link, sizeof(link), "%s/afu0.0m", folder);
	assert_int_equal(symlink(afu_server_path(0), link), 0);
	assert_true(harness_run(&h, harness_is_state, GUARD_UP));
	afu_server_tell("0 irq 1 1");
	assert_true(harness_run(&h, has_irqs, 1));
	/* A second one, while the collector is up. */
	unlink(link);
	snprintf(link, sizeof(link), "%s/afu1.0m", folder);
	assert_int_equal(symlink(afu_server_path(1), link), 0);
	afu_server_tell("1 irq 1 2");
	assert_true(harness_run(&h, has_irqs, 2));
	unlink(link);
	rmdir(folder);
	end();
}

static void a_plain_file_is_no_afu(void **state)
{
	char path[] = "/tmp/pathbell-plain-XXXXXX", text[128];
	struct errmsg err = { 0 };
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	snprintf(text, sizeof(text), "devices: [\"%s\"]\n", path);
	assert_int_equal(config_parse(&capi_config_table, "t", text, strlen(text), &config, &err),
			 0);
	harness_open(&h, &capi_collector, &config, NULL, 0, 0);
	assert_int_equal(harness_state(&h), GUARD_BLIND);
	harness_close(&h);
	config_free(&capi_config_table, &config);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_of_two_afus),
		cmocka_unit_test(driver_events_come_first),
		cmocka_unit_test(many_events_and_a_full_pipeline),
		cmocka_unit_test(link_down_of_one),
		cmocka_unit_test(blind_when_all_are_down),
		cmocka_unit_test(bad_records_and_losses),
		cmocka_unit_test(starts_work_when_told),
		cmocka_unit_test(undelivered_is_submitted_again),
		cmocka_unit_test(absent_is_parked_until_it_comes),
		cmocka_unit_test(a_plain_file_is_no_afu),
	};

	if (!afu_server_prepare())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
