/* SPDX-License-Identifier: MIT */
/*
 * stop - ends in the midst of sends
 *
 * Many threads and actors send to one that is stopped, drained or fails while
 * they do. What they were told agrees with what became of the messages:
 * accepted = handled + dead letters, exactly, and a drained actor has handled
 * all that it accepted.
 */
#include "tests/unit/support.h"

#define THREADS 3
#define PUPPETS 5

enum ending { STOP, DRAIN, SELF_STOP, SELF_DRAIN, FAIL, STOP_AND_DRAIN };

enum { DATA = 1, END };

struct target {
	struct tally *handled;
	enum ending ending;
};

static int target_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct target *target = state;

	(void)payload;
	(void)length;
	tally_add(target->handled, 1);
	if (tag != END)
		return 0;
	if (target->ending == SELF_STOP)
		return rota_self_stop(0);
	if (target->ending == SELF_DRAIN)
		return rota_self_drain();
	return target->ending == FAIL ? -EIO : 0;
}

static const struct rota_behaviour target_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "target",
	.state_size = sizeof(struct target),
	.handle = target_handle,
};

struct shooter {
	rota_id to;
	struct tally *accepted;
	struct tally *strange; /* results that no end explains */
	uint64_t random;
	int last; /* the result after which it stops */
};

/*
 * Send in all ways until the target closes or, for a thread, has ended. (An
 * actor that went on asking would keep its worker from the target.)
 */
static int act_shoot(void *arg)
{
	struct shooter *s = arg;
	uint64_t way;
	int error;

	do {
		way = next_random(&s->random);
		if (way % 4 == 0)
			error = rota_try_send(s->to, DATA, &way, sizeof(way));
		else if (way % 4 == 1)
			error = rota_send_urgent(s->to, DATA, &way, 8);
		else if (way % 4 == 2)
			error = rota_send_within(s->to, DATA, &way, 8,
						 ROTA_US(way >> 8 & 63));
		else
			error = rota_send(s->to, DATA, &way, sizeof(way));
		if (error == 0)
			tally_add(s->accepted, 1);
		else if (error != -EAGAIN && error != -ETIMEDOUT &&
			 error != -ESHUTDOWN && error != -ESRCH)
			tally_add(s->strange, 1);
	} while (error != -ESRCH && error != s->last);
	return 0;
}

static void *thread_shoot(void *arg)
{
	act_shoot(arg);
	return NULL;
}

struct range {
	struct tally handled;
	struct tally accepted;
	struct tally strange;
	struct shooter shooter[THREADS + PUPPETS];
	pthread_t thread[THREADS];
};

static void end_target(rota_id id, enum ending ending)
{
	switch (ending) {
	case STOP:
		cr_assert_eq(rota_actor_stop(id), 0);
		break;
	case DRAIN:
		cr_assert_eq(rota_actor_drain(id), 0);
		break;
	case STOP_AND_DRAIN:
		cr_assert_eq(rota_actor_drain(id), 0);
		(void)rota_actor_stop(id);
		break;
	default:
		cr_assert_eq(rota_send_urgent(id, END, NULL, 0), 0);
	}
}

static bool is_cause(enum ending ending, enum rota_exit_cause cause)
{
	switch (ending) {
	case STOP:
		return cause == ROTA_EXIT_STOPPED;
	case FAIL:
		return cause == ROTA_EXIT_FAILED;
	case STOP_AND_DRAIN: /* either may come to pass */
		return cause == ROTA_EXIT_STOPPED || cause == ROTA_EXIT_NORMAL;
	default:
		return cause == ROTA_EXIT_NORMAL;
	}
}

static void shoot(enum ending ending, unsigned capacity, unsigned long round)
{
	struct range *range = calloc(1, sizeof(*range));
	struct target target = {&range->handled, ending};
	rota_id id = spawn(&target_behaviour, &target, capacity);
	uint64_t dead = counters().dead_letters[0];
	struct rota_exit why;
	uint64_t accepted;

	for (size_t i = 0; i < THREADS + PUPPETS; i++) {
		range->shooter[i] =
			(struct shooter){id, &range->accepted, &range->strange,
					 round * 1000 + i + 1,
					 i < THREADS ? -ESRCH : -ESHUTDOWN};
		if (i < THREADS)
			range->thread[i] =
				thread_start(thread_shoot, &range->shooter[i]);
		else
			ACTS(puppet_spawn(NULL, 1), act_shoot,
			     &range->shooter[i]);
	}
	AWAIT(tally_of(&range->handled) > round % 50);
	end_target(id, ending);
	cr_assert_eq(rota_join(id, PATIENCE, &why), 0);
	cr_assert(is_cause(ending, why.cause), "cause %d", (int)why.cause);
	cr_assert_eq(send_value(id, DATA, 0), -ESRCH);
	for (size_t i = 0; i < THREADS; i++)
		thread_join(range->thread[i]);
	quiesce();
	cr_assert_eq(tally_of(&range->strange), 0);
	accepted =
		tally_of(&range->accepted) +
		(ending != STOP && ending != DRAIN && ending != STOP_AND_DRAIN);
	dead = counters().dead_letters[0] - dead;
	cr_assert_eq(tally_of(&range->handled) + dead, accepted);
	if (ending == DRAIN || ending == SELF_DRAIN)
		cr_assert_eq(dead, 0);
	free(range);
}

static void shoot_often(enum ending ending, unsigned workers)
{
	static const unsigned capacities[] = {1, 2, 8, 64, 1000};
	unsigned long rounds = check_stress(400);

	engine_start(workers);
	for (unsigned long i = 0; i < rounds; i++)
		shoot(ending, capacities[i % 5], i);
	engine_stop();
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_UNKNOWN]), 0);
}

Test(stop, in_the_midst_of_sends, .timeout = STRESS)
{
	shoot_often(STOP, 2);
}

Test(stop, in_the_midst_of_sends_on_64_workers, .timeout = STRESS)
{
	shoot_often(STOP, 64);
}

Test(stop, drain_in_the_midst_of_sends, .timeout = STRESS)
{
	shoot_often(DRAIN, 2);
}

Test(stop, drain_in_the_midst_of_sends_on_64_workers, .timeout = STRESS)
{
	shoot_often(DRAIN, 64);
}

Test(stop, of_itself_in_the_midst_of_sends, .timeout = STRESS)
{
	shoot_often(SELF_STOP, 2);
}

Test(stop, self_drain_in_the_midst_of_sends, .timeout = STRESS)
{
	shoot_often(SELF_DRAIN, 2);
}

Test(stop, failure_in_the_midst_of_sends, .timeout = STRESS)
{
	shoot_often(FAIL, 2);
}

Test(stop, after_drain_in_the_midst_of_sends, .timeout = STRESS)
{
	shoot_often(STOP_AND_DRAIN, 2);
}

/* ---- many at once ask for the same end ---- */

struct race {
	rota_id id;
	struct flag go;
	struct tally strange;
};

static void *thread_end(void *arg)
{
	struct race *race = arg;
	int error;

	flag_block(&race->go);
	error = thread_number() % 2 ? rota_actor_stop(race->id)
				    : rota_actor_drain(race->id);
	if (error != 0 && error != -ESRCH)
		tally_add(&race->strange, 1);
	return NULL;
}

Test(stop, by_many_at_once_is_one_end, .timeout = STRESS)
{
	static struct record record;
	unsigned long rounds = check_stress(1500);

	engine_start(2);
	for (unsigned long i = 0; i < rounds; i++) {
		struct race race = {.id = puppet_spawn(&record, 0)};
		pthread_t thread[4];

		for (int j = 0; j < 4; j++)
			thread[j] = thread_start(thread_end, &race);
		flag_raise(&race.go);
		for (int j = 0; j < 4; j++)
			thread_join(thread[j]);
		cr_assert_eq(rota_join(race.id, PATIENCE, NULL), 0);
		cr_assert_eq(tally_of(&record.destroyed), i + 1);
		cr_assert_eq(tally_of(&race.strange), 0);
	}
	engine_stop();
}
