/* SPDX-License-Identifier: MIT */
/*
 * chain_choice - is the program obeyed, then the environment?
 *
 * What follows from the machine no test can know.
 */
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
