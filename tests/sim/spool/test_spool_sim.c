/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A spool, a source and a receiver against a model, over crashes. Each round is a child process
 * that opens the spool and does seeded random things until it stops cleanly or dies, at a random
 * step or inside the writer thread before or after a random file operation. The source numbers its
 * events and goes on behind the cursor that survived; the receiver lives in shared memory, keeps a
 * high-water mark for each epoch and only accepts what follows without a hole. Since seqs and event
 * numbers both advance by one, the receiver knows which event each record must hold: any loss,
 * repetition, reordering or change that no tombstone explains is seen at once.
 */
#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/spool/crash.h"
#include "agent/spool/spool.h"
#include "core/clock.h"
#include "core/crc32c.h"
#include "proto/codec.h"
#include "proto/wire.h"

#define SIM_EPOCHS 512
#define SIM_DIED   99

struct sim_epoch {
	uint8_t id[16];
	uint64_t high_water;
};

/* Shared by all children: what the other end of the line knows. */
struct sim_shared {
	struct sim_epoch epochs[SIM_EPOCHS];
	unsigned n_epochs;
	uint64_t next_event; /* of the record that must come next */
	uint64_t stored, gone, resent, appended, crashes, evicted;
	uint64_t max_gone_reason;
};

struct sim {
	struct sim_shared *shared;
	struct spool_options options;
	struct ev_loop *loop;
	struct spool *spool;
	struct spool_cursor *cursor;
	char dir[64];
	uint64_t random, next_event;
	unsigned resending;
};

static uint64_t sim_random(struct sim *sim, uint64_t below)
{
	sim->random ^= sim->random << 13;
	sim->random ^= sim->random >> 7;
	sim->random ^= sim->random << 17;
	return (sim->random >> 11) % below;
}

#define SIM_CHECK(condition)                                                            \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

static void sim_check(const struct sim *sim)
{
	struct spool_stats stats;
	uint64_t sum = 0;

	spool_stats(sim->spool, &stats);
	SIM_CHECK(stats.captured == stats.acked + stats.unacked + stats.tombstoned);
	for (unsigned i = 0; i < 16; i++)
		sum += stats.tombstoned_by_reason[i];
	SIM_CHECK(sum == stats.tombstoned);
}

static struct sim_epoch *sim_epoch(struct sim *sim, const uint8_t id[16])
{
	struct sim_shared *shared = sim->shared;

	for (unsigned i = 0; i < shared->n_epochs; i++)
		if (memcmp(shared->epochs[i].id, id, 16) == 0)
			return &shared->epochs[i];
	SIM_CHECK(shared->n_epochs < SIM_EPOCHS);
	memcpy(shared->epochs[shared->n_epochs].id, id, 16);
	return &shared->epochs[shared->n_epochs++];
}

static uint64_t sim_event_of(const struct wire_field *field)
{
	uint64_t event;

	SIM_CHECK(field->number == CODEC_BATCH_EVENTS_FIELD && field->size >= 8);
	memcpy(&event, field->data, 8);
	for (size_t i = 8; i < field->size; i++)
		SIM_CHECK(field->data[i] == (uint8_t)(event * 31 + i));
	return event;
}

/* The receiver is another machine: the death of the agent does not stop it half way. */
static pthread_mutex_t sim_receiver = PTHREAD_MUTEX_INITIALIZER;

static void sim_store(struct sim *sim, const struct spool_chunk *chunk)
{
	struct sim_epoch *epoch = sim_epoch(sim, chunk->epoch);
	struct wire_reader reader;
	struct wire_field field;

	SIM_CHECK(crc32c(0, chunk->data, chunk->size) == chunk->crc32c);
	wire_reader_init(&reader, chunk->data, chunk->size);
	pthread_mutex_lock(&sim_receiver);
	for (uint64_t seq = chunk->first_seq; seq <= chunk->last_seq; seq++) {
		if (chunk->count > 0)
			SIM_CHECK(wire_next(&reader, &field) == 0);
		if (seq <= epoch->high_water) {
			sim->shared->resent++;
			continue;
		}
		SIM_CHECK(seq == epoch->high_water + 1);
		epoch->high_water = seq;
		if (chunk->count == 0) {
			sim->shared->gone++;
			sim->shared->max_gone_reason |= UINT64_C(1) << chunk->gone_reason;
		} else {
			SIM_CHECK(sim_event_of(&field) == sim->shared->next_event);
			sim->shared->stored++;
		}
		sim->shared->next_event++;
	}
	pthread_mutex_unlock(&sim_receiver);
}

static void sim_session(struct sim *sim)
{
	struct spool_epoch_info infos[SPOOL_MAX_EPOCHS];
	size_t n = spool_cursor_epochs(sim->cursor, infos);

	spool_cursor_rewind(sim->cursor);
	for (size_t i = 0; i < n; i++) {
		struct sim_epoch *epoch = sim_epoch(sim, infos[i].epoch);

		/* What was offered is there after any crash: never beyond the tail. */
		SIM_CHECK(epoch->high_water <= infos[i].tail_seq);
		SIM_CHECK(spool_cursor_resume(sim->cursor, infos[i].epoch, epoch->high_water) == 0);
	}
}

static void sim_append(struct sim *sim)
{
	static uint8_t data[SPOOL_RECORD_MAX];
	unsigned n = (unsigned)sim_random(sim, 60) + 1;
	uint64_t seq;

	for (unsigned i = 0; i < n; i++) {
		struct spool_append append = { .data = data,
					       .source = 1,
					       .cursor = sim->next_event,
					       .now_ns = clock_realtime_ns() };

		append.size = 8 + sim_random(sim, sim_random(sim, 50) == 0 ? 60000 : 900);
		append.lane = sim_random(sim, 4) == 0 ? SPOOL_LANE_IMPORTANT : SPOOL_LANE_BULK;
		memcpy(data, &sim->next_event, 8);
		for (size_t k = 8; k < append.size; k++)
			data[k] = (uint8_t)(sim->next_event * 31 + k);
		if (spool_append(sim->spool, &append, &seq) == SPOOL_E_FULL)
			return;
		sim->next_event++;
		sim->shared->appended++;
	}
}

static void sim_receive(struct sim *sim)
{
	struct spool_chunk chunk;

	for (unsigned i = 0; i < 1 + sim_random(sim, 20); i++) {
		if (spool_cursor_next(sim->cursor, 1 + sim_random(sim, 60000),
				      1 + (uint32_t)sim_random(sim, 300), &chunk) != 0)
			return;
		sim_store(sim, &chunk);
	}
}

static void sim_ack(struct sim *sim)
{
	for (unsigned i = 0; i < sim->shared->n_epochs; i++) {
		struct sim_epoch *epoch = &sim->shared->epochs[i];
		uint64_t back = sim_random(sim, 30);

		/* An epoch that was finished and forgotten answers BAD_ACK. */
		if (epoch->high_water > back)
			(void)spool_cursor_ack(sim->cursor, epoch->id, epoch->high_water - back);
	}
}

static void sim_resend(struct sim *sim)
{
	struct spool_stats stats;
	uint64_t first;

	spool_stats(sim->spool, &stats);
	if (stats.tail_seq == 0)
		return;
	first = 1 + sim_random(sim, stats.tail_seq);
	(void)spool_cursor_resend(sim->cursor, stats.epoch, first, first + sim_random(sim, 500));
}

static void sim_step(struct sim *sim)
{
	switch (sim_random(sim, 12)) {
	case 0:
	case 1:
	case 2:
	case 3:
		sim_append(sim);
		break;
	case 4:
	case 5:
	case 6:
		sim_receive(sim);
		break;
	case 7:
		sim_ack(sim);
		break;
	case 8:
		if (sim_random(sim, 8) == 0)
			sim_session(sim);
		break;
	case 9:
		if (sim_random(sim, 8) == 0)
			sim_resend(sim);
		break;
	default:
		ev_run(sim->loop, EVRUN_NOWAIT);
	}
	sim_check(sim);
}

static void sim_open(struct sim *sim)
{
	struct spool_callbacks callbacks = { 0 };
	struct errmsg err = { 0 };

	sim->loop = ev_loop_new(EVFLAG_AUTO);
	if (spool_open(&sim->spool, sim->loop, &sim->options, &callbacks, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	SIM_CHECK(spool_cursor_open(sim->spool, "sim", &sim->cursor) == 0);
	sim->next_event = spool_source_cursor(sim->spool, 1) + 1;
	sim_session(sim);
	sim_check(sim);
}

static int sim_countdown;

static void sim_on_crash_point(const char *what, bool after)
{
	if (--sim_countdown != 0)
		return;
	pthread_mutex_lock(&sim_receiver);
	_exit(SIM_DIED);
}

static void sim_round(struct sim *sim, unsigned round)
{
	unsigned steps = 20 + (unsigned)sim_random(sim, 400);
	bool in_writer = sim_random(sim, 2) == 0, clean = sim_random(sim, 4) == 0;

	if (in_writer && !clean) {
		sim_countdown = 1 + (int)sim_random(sim, 120);
		crash_hook = sim_on_crash_point;
	}
	sim_open(sim);
	for (unsigned i = 0; i < steps; i++)
		sim_step(sim);
	if (!clean)
		_exit(SIM_DIED);
	spool_close(sim->spool, clock_monotonic_ns() + 10 * CLOCK_NS_PER_S);
	ev_loop_destroy(sim->loop);
	_exit(0);
}

static void sim_finish(struct sim *sim)
{
	struct spool_chunk chunk;
	struct spool_stats stats;
	int r;

	sim_open(sim);
	while ((r = spool_cursor_next(sim->cursor, 60000, 1000, &chunk)) != SPOOL_E_EMPTY) {
		if (r == 0)
			sim_store(sim, &chunk);
		else
			ev_run(sim->loop, EVRUN_ONCE);
		sim_check(sim);
	}
	/* Everything that survived was delivered, and nothing else. */
	SIM_CHECK(sim->shared->next_event == sim->next_event);
	for (unsigned i = 0; i < sim->shared->n_epochs; i++)
		(void)spool_cursor_ack(sim->cursor, sim->shared->epochs[i].id,
				       sim->shared->epochs[i].high_water);
	spool_stats(sim->spool, &stats);
	SIM_CHECK(stats.unacked == 0);
	SIM_CHECK(stats.captured == sim->shared->next_event - 1);
	/*
	 * The two ends may count a tombstone differently: what was stored but not yet acked when it
	 * was evicted, or told as gone just before a crash that left the file.
	 */
	spool_close(sim->spool, clock_monotonic_ns() + 10 * CLOCK_NS_PER_S);
	ev_loop_destroy(sim->loop);
	_exit(0);
}

static void sim_child(struct sim *sim, unsigned round, bool last)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		alarm(120);
		if (last)
			sim_finish(sim);
		sim_round(sim, round);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != SIM_DIED))
		fail_msg("round %u: status %#x, folder %s", round, (unsigned)status, sim->dir);
	sim->shared->crashes += WEXITSTATUS(status) == SIM_DIED;
}

static void sim_run(uint64_t seed, unsigned rounds, uint64_t max_bytes, uint64_t replay_bytes)
{
	struct sim sim = { .random = seed * 7919 + 1 };
	char command[160], live[80];

	snprintf(sim.dir, sizeof(sim.dir), "/dev/shm/pathbell-sim-XXXXXX");
	assert_non_null(mkdtemp(sim.dir));
	snprintf(live, sizeof(live), "%s.live", sim.dir);
	sim.options = (struct spool_options){ .dir = sim.dir,
					      .live_path = live,
					      .max_bytes = max_bytes,
					      .segment_bytes = 256 << 10,
					      .memory_bytes = 512 << 10,
					      .replay_bytes = replay_bytes,
					      .replay_age_ns = UINT64_MAX };
	sim.shared = mmap(NULL, sizeof(*sim.shared), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(sim.shared != MAP_FAILED);
	sim.shared->next_event = 1;
	for (unsigned round = 0; round < rounds; round++) {
		sim.random += 1 + sim_random(&sim, 1000000);
		sim_child(&sim, round, false);
	}
	sim_child(&sim, rounds, true);
	printf("seed %llu: %llu appended, %llu stored, %llu tombstones, %llu repeated, %llu "
	       "crashes, "
	       "%u epochs, reasons %#llx\n",
	       (unsigned long long)seed, (unsigned long long)sim.shared->appended,
	       (unsigned long long)sim.shared->stored, (unsigned long long)sim.shared->gone,
	       (unsigned long long)sim.shared->resent, (unsigned long long)sim.shared->crashes,
	       sim.shared->n_epochs, (unsigned long long)sim.shared->max_gone_reason);
	/* Without a budget to hurt, a crash is no reason for a tombstone. */
	if (max_bytes >= 256 << 20)
		assert_int_equal(sim.shared->gone, 0);
	munmap(sim.shared, sizeof(*sim.shared));
	snprintf(command, sizeof(command), "rm -rf %s %s", sim.dir, live);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a folder this test made */
}

static unsigned sim_factor(void)
{
	const char *text = getenv("PATHBELL_SIM_FACTOR"); /* NOLINT(concurrency-mt-unsafe) */

	return text != NULL ? (unsigned)atoi(text) : 1;
}

static void test_crashes_without_limits(void **state)
{
	for (unsigned seed = 1; seed <= 2 * sim_factor(); seed++)
		sim_run(seed, 40, 256 << 20, 0);
}

static void test_crashes_with_small_budget(void **state)
{
	for (unsigned seed = 1; seed <= 2 * sim_factor(); seed++)
		sim_run(1000 + seed, 40, 2 << 20, 0);
}

static void test_crashes_with_replay_window(void **state)
{
	for (unsigned seed = 1; seed <= 2 * sim_factor(); seed++)
		sim_run(2000 + seed, 40, 8 << 20, 2 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crashes_without_limits),
		cmocka_unit_test(test_crashes_with_small_budget),
		cmocka_unit_test(test_crashes_with_replay_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
