/* SPDX-License-Identifier: MIT */
/*
 * yield - a long computation is told when others wait for its worker
 */
#include <rota/task.h>

#include "tests/unit/support.h"

/* What a turn that computes asked, and what others did meanwhile. */
struct asking {
	struct flag begun;
	struct flag go; /* the test is done with it */
	struct flag told;
	bool at_once; /* was told to yield in its first moment */
	struct flag other_ran;
};

static int act_ask(void *arg)
{
	struct asking *asking = arg;

	/* Before anybody can know of us, and wait. */
	asking->at_once = rota_should_yield();
	flag_raise(&asking->begun);
	while (!rota_should_yield() && !flag_is_up(&asking->go))
		;
	if (!flag_is_up(&asking->go))
		flag_raise(&asking->told);
	return 0;
}

static int act_note(void *arg)
{
	struct asking *asking = arg;

	flag_raise(&asking->other_ran);
	return 0;
}

Test(yield, is_told_when_others_wait, .timeout = HANG)
{
	struct asking asking = {0};

	engine_start(1);
	ACTS(puppet_spawn(NULL, 1), act_ask, &asking);
	AWAIT(flag_is_up(&asking.begun));
	ACTS(puppet_spawn(NULL, 1), act_note, &asking);
	/* Nothing else makes it return. */
	AWAIT(flag_is_up(&asking.told));
	AWAIT(flag_is_up(&asking.other_ran));
	quiesce();
	cr_assert_not(asking.at_once);
	engine_stop();
}

Test(yield, nobody_waits_nobody_yields, .timeout = HANG)
{
	struct asking asking = {0};

	engine_start(1);
	ACTS(puppet_spawn(NULL, 1), act_ask, &asking);
	AWAIT(flag_is_up(&asking.begun));
	for (int i = 0; i < 200; i++)
		nap();
	cr_assert_not(flag_is_up(&asking.told));
	flag_raise(&asking.go);
	quiesce();
	engine_stop();
}

static int task_ask(void *argument)
{
	return act_ask(*(struct asking **)argument);
}

Test(yield, tasks_are_told_too, .timeout = HANG)
{
	struct asking asking = {0}, *there = &asking;

	engine_start(1);
	cr_assert_eq(
		rota_task_submit(engine, task_ask, &there, sizeof(there), NULL),
		0);
	AWAIT(flag_is_up(&asking.begun));
	ACTS(puppet_spawn(NULL, 1), act_note, &asking);
	AWAIT(flag_is_up(&asking.told));
	quiesce();
	engine_stop();
}

/* A timer that nobody else can serve. */
static int act_ask_with_timer(void *arg)
{
	struct act act = {act_note, arg};
	int error = rota_send_after(rota_self(), ACT, &act, sizeof(act),
				    ROTA_MS(2), NULL);

	return error ? error : act_ask(arg);
}

Test(yield, a_timer_that_is_due_waits_as_well, .timeout = HANG)
{
	struct asking asking = {0};

	engine_start(1);
	ACTS(puppet_spawn(NULL, 1), act_ask_with_timer, &asking);
	AWAIT(flag_is_up(&asking.told));
	AWAIT(flag_is_up(&asking.other_ran));
	quiesce();
	engine_stop();
}

/*
 * Ten actors compute in slices, each as long as it may, until all have had
 * several: none can, unless whoever computes is told of those that wait.
 */
#define SLICERS 10
#define SLICES 4

struct slicer {
	int n_slices;
	/* Of all: those that have had their slices, on the one worker. */
	int *n_served;
};

static int act_slice(void *arg)
{
	struct slicer *slicer = arg;

	if (++slicer->n_slices == SLICES)
		++*slicer->n_served;
	while (*slicer->n_served < SLICERS) {
		if (rota_should_yield())
			return puppet_act(rota_self(), act_slice, slicer);
	}
	return 0;
}

Test(yield, computations_share_a_worker, .timeout = HANG)
{
	struct slicer slicer[SLICERS];
	int n_served = 0;

	engine_start(1);
	for (size_t i = 0; i < SLICERS; i++)
		slicer[i] = (struct slicer){.n_served = &n_served};
	for (size_t i = 0; i < SLICERS; i++)
		ACTS(puppet_spawn(NULL, 2), act_slice, &slicer[i]);
	quiesce();
	for (size_t i = 0; i < SLICERS; i++)
		cr_assert_geq(slicer[i].n_slices, SLICES);
	engine_stop();
}

Test(yield, is_no_business_of_other_threads, .timeout = HANG)
{
	cr_assert_eq(rota_should_yield(), 0);
	engine_start(1);
	cr_assert_eq(rota_should_yield(), 0);
	engine_stop();
}
