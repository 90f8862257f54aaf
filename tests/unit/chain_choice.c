/* SPDX-License-Identifier: MIT */
/*
 * chain_choice - are chains looked for where they are wanted and pay?
 *
 * The program is obeyed, then the environment; what follows from the machine no
 * test can know. A worker whose looks find nothing stops, and tries again.
 */
#include "core/chain.h"
#include "core/chain_choice.h"
#include "core/engine.h"

#include "tests/unit/support.h"

static char complaint[128];

static bool choose(unsigned flags)
{
	bool wanted;

	cr_assert_eq(chain_choice(flags, &wanted, complaint, sizeof(complaint)),
		     0, "%s", complaint);
	return wanted;
}

Test(chain_choice, the_environment_says_it)
{
	setenv("ROTA_CHAINS", "yes", 1);
	cr_assert(choose(0));
	setenv("ROTA_CHAINS", "no", 1);
	cr_assert_not(choose(0));
}

Test(chain_choice, but_the_program_is_obeyed)
{
	setenv("ROTA_CHAINS", "no", 1);
	cr_assert(choose(ROTA_CHAINS));
	setenv("ROTA_CHAINS", "yes", 1);
	cr_assert_not(choose(ROTA_NO_CHAINS));
	setenv("ROTA_CHAINS", "perhaps", 1);
	cr_assert(choose(ROTA_CHAINS));
}

/* What the engine does with it is seen where a worker is made. */
static int act_look(void *argument)
{
	*(unsigned *)argument = local_here()->usual;
	return 0;
}

static unsigned usual_with(unsigned flags)
{
	static unsigned usual;

	engine_start_with(1, flags);
	ACTS(puppet_spawn(NULL, 0), act_look, &usual);
	quiesce();
	engine_stop();
	return usual;
}

Test(chain_choice, is_what_the_engine_does, .timeout = HANG)
{
	cr_assert_eq(usual_with(ROTA_CHAINS), NEAR_NOTED);
	cr_assert_lt(usual_with(ROTA_NO_CHAINS), 256);
	setenv("ROTA_CHAINS", "yes", 1);
	cr_assert_eq(usual_with(0), NEAR_NOTED);
	setenv("ROTA_CHAINS", "no", 1);
	cr_assert_lt(usual_with(0), 256);
	unsetenv("ROTA_CHAINS");
	usual_with(0);
}

static char logged[256];

static void keep_line(void *context, enum rota_log_level level,
		      const char *line)
{
	(void)context;
	(void)level;
	snprintf(logged, sizeof(logged), "%s", line);
}

/* The complaint names what is wrong, and what would be right. */
Test(chain_choice, nonsense_is_refused)
{
	static const char *const wrong[] = {"", "on", "1", "Yes", "no "};
	struct rota_config config = test_config(1);

	config.log = keep_line;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		setenv("ROTA_CHAINS", wrong[i], 1);
		strcpy(logged, "nothing");
		errno = 0;
		cr_assert_null(rota_start(&config), "%s", wrong[i]);
		cr_assert_eq(errno, EINVAL);
		cr_assert(strstr(logged, "ROTA_CHAINS is"), "%s", logged);
		cr_assert(strstr(logged, "yes or no"), "%s", logged);
	}
}

/* ---- the look has to pay ---- */

/* To two in turns, then to one in a row. */
struct scatter {
	rota_id to[2];
	unsigned n, n_in_row;
	unsigned usual; /* local->usual afterwards */
};

static int act_scatter(void *argument)
{
	struct scatter *scatter = argument;

	for (unsigned i = 0; i < scatter->n; i++)
		send_value(scatter->to[i % 2], 1, i);
	for (unsigned i = 0; i < scatter->n_in_row; i++)
		send_value(scatter->to[0], 1, i);
	scatter->usual = local_here()->usual;
	return 0;
}

static unsigned usual_after(struct scatter *scatter, unsigned mailbox)
{
	rota_id sender;

	engine_start_with(1, ROTA_CHAINS);
	sender = puppet_spawn(NULL, 0);
	for (unsigned i = 0; i < 2; i++)
		scatter->to[i] = puppet_spawn(NULL, mailbox);
	ACTS(sender, act_scatter, scatter);
	quiesce();
	return scatter->usual;
}

Test(chain_choice, looks_that_do_not_pay_end, .timeout = HANG)
{
	struct scatter few = {.n = CHAIN_LOOKS - 1}, many = {.n = 1000};

	cr_assert_eq(usual_after(&few, 1000), NEAR_NOTED);
	engine_stop();
	cr_assert_lt(usual_after(&many, 1000), 256);
	cr_assert_eq(counters().chained, 0);
	engine_stop();
}

Test(chain_choice, looks_that_pay_go_on, .timeout = HANG)
{
	struct scatter scatter = {.n_in_row = 10000};

	cr_assert_eq(usual_after(&scatter, 64), NEAR_NOTED);
	cr_assert_gt(counters().chained, 0);
	engine_stop();
}

/* Room for what is scattered, not for the rest. */
Test(chain_choice, a_wait_for_room_begins_anew, .timeout = HANG)
{
	struct scatter scatter = {.n = 1000, .n_in_row = 10000};

	cr_assert_eq(usual_after(&scatter, 600), NEAR_NOTED);
	cr_assert_gt(counters().chained, 0);
	engine_stop();
}

Test(chain_choice, so_do_many_turns, .timeout = HANG)
{
	struct scatter scatter = {.n = 1000};
	rota_id looker;
	unsigned usual = usual_after(&scatter, 1000);

	looker = puppet_spawn(NULL, 0);
	for (unsigned i = 0; i < 10000 && usual != NEAR_NOTED; i++) {
		ACTS(looker, act_look, &usual);
		quiesce();
	}
	cr_assert_eq(usual, NEAR_NOTED);
	engine_stop();
}
