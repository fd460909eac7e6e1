/* SPDX-License-Identifier: Apache-2.0 */
/* The child of a survey, on a descriptor that is not device-mapper's: it says so and ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collectors/multipath/report.h"
#include "collectors/multipath/survey.h"

static void test_refused(void **state)
{
	int control = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct report_record record;
	struct offspring survey;
	size_t offset = 0;
	bool progress;
	int r = 0;

	offspring_init(&survey, SURVEY_REPORT_MAX);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(survey_start(&survey, control, NULL, 0), 0);
		assert_true(offspring_is_running(&survey));
		while ((r = offspring_read(&survey, &progress)) == 0) {
			struct pollfd readable = { .fd = survey.fd, .events = POLLIN };

			assert_int_equal(poll(&readable, 1, 30000), 1);
		}
		assert_int_equal(r, OFFSPRING_E_DONE);
		assert_false(offspring_is_running(&survey));
		offset = 0;
		assert_int_equal(
			report_next(survey.answer.data, survey.answer.size, &offset, &record), 0);
		assert_int_equal(record.kind, REPORT_END);
		assert_int_equal(record.error, -ENOTTY);
		assert_int_equal(offset, survey.answer.size);
	}
	offspring_deinit(&survey);
	close(control);
}

/* A child that has not answered is killed, whatever it does. */
static void test_stopped(void **state)
{
	int control = open("/dev/null", O_RDWR | O_CLOEXEC), status;
	struct offspring survey;
	pid_t pid;

	offspring_init(&survey, SURVEY_REPORT_MAX);
	assert_int_equal(survey_start(&survey, control, NULL, 0), 0);
	pid = survey.pid;
	offspring_stop(&survey);
	assert_false(offspring_is_running(&survey));
	assert_int_equal(survey.answer.size, 0);
	/* Reaped by survey_stop, or here. */
	assert_true(waitpid(pid, &status, 0) == pid || errno == ECHILD);
	offspring_stop(&survey);
	offspring_deinit(&survey);
	close(control);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
