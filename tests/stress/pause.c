/* SPDX-License-Identifier: MIT */
/*
 * pause - a crowd of turns and tasks that sleep and yield, some of them stopped
 * meanwhile: each comes back, and marks that outlive their turn hit nobody else
 */
#include <rota/task.h>
#include <rota/wait.h>

#include "tests/unit/support.h"

#define ACTORS SIZED(400, 60)
#define ROUNDS SIZED(60, 20)

struct pauser {
	uint64_t random;
	struct tally *ended;
	struct tally *wrong;
};

static int act_pauser(void *arg)
{
	struct pauser *p = arg;
	int error = 0;

	for (int i = 0; i < ROUNDS && error == 0; i++)
		error = next_random(&p->random) % 8 == 0
				? rota_sleep((int64_t)(next_random(&p->random) %
						       100000))
				: rota_yield();
	if (error != 0 && error != -ECANCELED)
		tally_add(p->wrong, 1);
	tally_add(p->ended, 1);
	return 0;
}

static int task_pauser(void *argument)
{
	return act_pauser(*(struct pauser **)argument);
}

static void run(unsigned workers)
{
	struct pauser *pausers = calloc(2 * ACTORS, sizeof(*pausers)), *at;
	struct tally ended = {0}, wrong = {0};
	rota_id *ids = calloc(ACTORS, sizeof(*ids));

	engine_start(workers);
	for (size_t i = 0; i < 2 * ACTORS; i++)
		pausers[i] = (struct pauser){i + 1, &ended, &wrong};
	for (size_t i = 0; i < ACTORS; i++) {
		ids[i] = puppet_spawn(NULL, 0);
		ACTS(ids[i], act_pauser, &pausers[i]);
		at = &pausers[ACTORS + i];
		cr_assert_eq(rota_task_submit(engine, task_pauser, &at,
					      sizeof(at), NULL),
			     0);
		if (i % 3 == 0)
			rota_actor_stop(ids[i / 2]);
	}
	AWAIT(tally_of(&ended) >= ACTORS);
	engine_stop();
	cr_assert_eq(tally_of(&wrong), 0);
	/* Those that were stopped before they began did not begin. */
	cr_assert_leq(tally_of(&ended), 2 * ACTORS);
	free(pausers);
	free(ids);
}

Test(pause, all_come_back, .timeout = STRESS)
{
	run(1);
	run(2);
	run(64);
}
