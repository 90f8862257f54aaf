/* SPDX-License-Identifier: MIT */
/*
 * cell - objects that threads and actors share, and their owners
 */
#include "tests/unit/support.h"

#include <rota/cell.h>
#include <rota/status.h>

/* ---- an account: what is in it, and what became of it ---- */

struct account {
	long total;
	struct tally *n_ends; /* NULL: nobody asks */
	long *final;	      /* what was in it at its end */
};

static void account_end(struct account *account)
{
	if (account->final)
		*account->final = account->total;
	if (account->n_ends)
		tally_add(account->n_ends, 1);
}

ROTA_CELL(account, struct account, account_end);

struct amount {
	long by;
};

static int add(struct account *account, const struct amount *amount)
{
	account->total += amount->by;
	return 0;
}

static int times_ten(struct account *account)
{
	account->total *= 10;
	return 0;
}

static int read_total(struct account *account, struct amount *amount)
{
	amount->by = account->total;
	return 0;
}

static int fail(struct account *account, const int *result)
{
	(void)account;
	return *result;
}

static int act_inside(struct account *account, const struct act *act)
{
	(void)account;
	return act->run(act->arg);
}

ROTA_CELL_FN(account, add, struct amount);
ROTA_CELL_FN(account, times_ten, void);
ROTA_CELL_FN(account, read_total, struct amount);
ROTA_CELL_FN(account, fail, int);
ROTA_CELL_FN(account, act_inside, struct act);

static struct tally n_ends;
static long final;

static account_cell *account_open(unsigned mailbox)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	struct account account = {.n_ends = &n_ends, .final = &final};
	account_cell *cell;

	options.mailbox = mailbox;
	cell = account_make(engine, &account, &options);
	cr_assert_not_null(cell, "errno %d", errno);
	return cell;
}

static long total_of(account_cell *cell)
{
	struct amount amount = {-1};

	cr_assert_eq(account_call_read_total(cell, &amount, ROTA_FOREVER), 0);
	return amount.by;
}

#define ADDS(cell, n) \
	cr_assert_eq(account_cast_add((cell), &(struct amount){n}), 0)

/* The cell's turn stands still until hold_end(). */
static void cell_hold(struct hold *hold, account_cell *cell)
{
	struct act act = {act_hold, hold};
	uint64_t waits = counters().waits;

	hold->gate = puppet_spawn(NULL, 1);
	cr_assert_eq(account_cast_act_inside(cell, &act), 0);
	AWAIT(flag_is_up(&hold->begun) && counters().waits > waits);
}

static void join_cell(rota_id id)
{
	cr_assert_eq(rota_join(id, PATIENCE, NULL), 0);
}

/* ---- use ---- */

Test(cell, casts_and_calls_run_in_order, .timeout = HANG)
{
	account_cell *cell;

	engine_start(2);
	cell = account_open(0);
	ADDS(cell, 1);
	cr_assert_eq(account_cast_times_ten(cell), 0);
	ADDS(cell, 2);
	cr_assert_eq(account_call_times_ten(cell, ROTA_FOREVER), 0);
	ADDS(cell, 3);
	cr_assert_eq(total_of(cell), 123);
	account_release(cell);
	engine_stop();
	cr_assert_eq(tally_of(&n_ends), 1);
	cr_assert_eq(final, 123);
}

Test(cell, has_all_kinds_of_casts, .timeout = HANG)
{
	struct hold hold = {0};
	account_cell *cell;

	engine_start(2);
	cell = account_open(4);
	cell_hold(&hold, cell);
	ADDS(cell, 1);
	cr_assert_eq(account_try_cast_times_ten(cell), 0);
	cr_assert_eq(account_cast_add_urgent(cell, &(struct amount){2}), 0);
	cr_assert_eq(account_try_cast_add(cell, &(struct amount){100}),
		     -EAGAIN);
	cr_assert_eq(account_cast_add_within(cell, &(struct amount){100},
					     ROTA_MS(1)),
		     -ETIMEDOUT);
	cr_assert_eq(account_cast_times_ten_within(cell, ROTA_NOW), -EAGAIN);
	cr_assert_eq(account_call_times_ten(cell, ROTA_MS(1)), -ETIMEDOUT);
	cr_assert_eq(account_cast_add_until(cell, &(struct amount){100},
					    rota_deadline_in(ROTA_MS(1))),
		     -ETIMEDOUT);
	cr_assert_eq(account_cast_times_ten_until(cell, rota_deadline_in(0)),
		     -ETIMEDOUT);
	hold_end(&hold);
	quiesce();
	cr_assert_eq(account_cast_add_until(cell, &(struct amount){0},
					    rota_deadline_in(ROTA_S(1000))),
		     0);
	cr_assert_eq(account_cast_times_ten_urgent(cell), 0);
	cr_assert_eq(total_of(cell), 300);
	account_release(cell);
	engine_stop();
}

Test(cell, a_call_returns_what_its_function_says, .timeout = HANG)
{
	account_cell *cell;
	int result = 5;

	engine_start(2);
	cell = account_open(0);
	cr_assert_eq(account_call_fail(cell, &result, ROTA_FOREVER), 5);
	result = -6;
	cr_assert_eq(account_call_fail(cell, &result, ROTA_FOREVER), 6);
	cr_assert_eq(total_of(cell), 0); /* it lives */
	account_release(cell);
	engine_stop();
}

Test(cell, a_cast_that_fails_ends_it, .timeout = HANG)
{
	account_cell *cell;
	int result = -EIO;

	engine_start(2);
	cell = account_open(0);
	cr_assert_eq(account_cast_fail(cell, &result), 0);
	join_cell(account_id(cell));
	cr_assert_eq(tally_of(&n_ends), 1);
	cr_assert_eq(account_cast_times_ten(cell), -ESRCH);
	cr_assert_eq(account_call_times_ten(cell, ROTA_FOREVER), -ESRCH);
	account_release(cell);
	engine_stop();
	cr_assert_eq(tally_of(&n_ends), 1);
}

static int act_use(void *arg)
{
	account_cell *cell = arg;
	struct amount amount;
	int error = account_cast_add(cell, &(struct amount){7});

	if (!error)
		error = account_call_read_total(cell, &amount, ROTA_FOREVER);
	return error || amount.by != 7 ? -EIO : 0;
}

Test(cell, is_used_from_handlers, .timeout = HANG)
{
	account_cell *cell;
	rota_id puppet;

	engine_start(1);
	cell = account_open(0);
	puppet = puppet_spawn(NULL, 0);
	ACTS(puppet, act_use, cell);
	quiesce();
	cr_assert(rota_is_alive(puppet));
	cr_assert_eq(total_of(cell), 7);
	account_release(cell);
	engine_stop();
}

static int act_make(void *arg)
{
	account_cell **cell = arg;

	*cell = account_make(NULL, &(struct account){.total = 4}, NULL);
	return *cell ? 0 : -EIO;
}

Test(cell, is_made_in_a_handler, .timeout = HANG)
{
	account_cell *cell = NULL;

	engine_start(1);
	ACTS(puppet_spawn(NULL, 0), act_make, &cell);
	quiesce();
	cr_assert_not_null(cell);
	cr_assert_eq(total_of(cell), 4);
	account_release(cell);
	engine_stop();
}

struct self_call {
	account_cell *cell;
	int result;
};

static int act_self_call(void *arg)
{
	struct self_call *self = arg;

	self->result = account_call_times_ten(self->cell, ROTA_FOREVER);
	return 0;
}

Test(cell, a_call_of_itself_is_refused, .timeout = HANG)
{
	struct self_call self = {.result = 1};
	struct act act = {act_self_call, &self};

	engine_start(2);
	self.cell = account_open(0);
	cr_assert_eq(account_call_act_inside(self.cell, &act, ROTA_FOREVER), 0);
	cr_assert_eq(self.result, -EDEADLK);
	account_release(self.cell);
	engine_stop();
}

Test(cell, knows_no_messages, .timeout = HANG)
{
	struct rota_status status = ROTA_STATUS_INIT;
	account_cell *cell;

	engine_start(2);
	cell = account_open(0);
	cr_assert_eq(send_value(account_id(cell), 1, 1), 0);
	quiesce();
	cr_assert_eq(tally_of(&morgue.n[ROTA_DEAD_UNKNOWN]), 1);
	cr_assert_eq(rota_status(account_id(cell), &status), 0);
	cr_assert_str_eq(status.type, "account");
	account_release(cell);
	engine_stop();
}

/* ---- owners ---- */

Test(cell, its_last_owner_ends_it, .timeout = HANG)
{
	account_cell *cell;
	rota_id id;

	engine_start(2);
	cell = account_open(0);
	id = account_id(cell);
	cr_assert_eq(account_retain(cell), cell);
	cr_assert_eq(account_retain(cell), cell);
	account_release(cell);
	account_release(cell);
	quiesce();
	cr_assert_eq(tally_of(&n_ends), 0);
	cr_assert_eq(total_of(cell), 0);
	account_release(cell);
	join_cell(id);
	cr_assert_eq(tally_of(&n_ends), 1);
	account_release(NULL);
	engine_stop();
	cr_assert_eq(tally_of(&n_ends), 1);
}

Test(cell, what_was_cast_before_the_last_release_runs, .timeout = HANG)
{
	struct hold hold = {0};
	account_cell *cell;
	rota_id id;

	engine_start(2);
	cell = account_open(0);
	id = account_id(cell);
	cell_hold(&hold, cell);
	for (int i = 0; i < 50; i++)
		ADDS(cell, 1);
	account_release(cell);
	cr_assert_eq(tally_of(&n_ends), 0);
	hold_end(&hold);
	join_cell(id);
	cr_assert_eq(tally_of(&n_ends), 1);
	cr_assert_eq(final, 50);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

/* By a handler that has them in a chain still, and is not the last owner. */
struct burst {
	account_cell *cell;
	struct flag sent;
	struct flag go;
	struct flag ended;
};

static int act_burst(void *arg)
{
	struct burst *burst = arg;

	for (int i = 0; i < 20; i++)
		if (account_cast_add(burst->cell, &(struct amount){1}))
			return -EIO;
	account_release(burst->cell);
	flag_raise(&burst->sent);
	flag_block(&burst->go);
	flag_raise(&burst->ended);
	return 0;
}

Test(cell, what_waits_in_a_chain_runs_before_the_end, .timeout = HANG)
{
	struct burst burst = {0};
	struct hold hold = {0};
	account_cell *cell;
	rota_id id, puppet;

	engine_start(2);
	cell = account_open(0);
	id = account_id(cell);
	burst.cell = account_retain(cell);
	cell_hold(&hold, cell);
	puppet = puppet_spawn(NULL, 0);
	ACTS(puppet, act_burst, &burst);
	AWAIT(flag_is_up(&burst.sent));
	account_release(cell);
	flag_raise(&burst.go); /* it may hold up the cell's thread */
	hold_end(&hold);
	join_cell(id);
	AWAIT(flag_is_up(&burst.ended));
	cr_assert_eq(final, 20);
	cr_assert(rota_is_alive(puppet));
	engine_stop();
}

static int act_release(void *arg)
{
	account_release(arg);
	return 0;
}

Test(cell, may_be_released_in_a_handler, .timeout = HANG)
{
	account_cell *cell;
	rota_id id;

	engine_start(2);
	cell = account_open(0);
	id = account_id(cell);
	ADDS(cell, 3);
	ACTS(puppet_spawn(NULL, 0), act_release, cell);
	join_cell(id);
	cr_assert_eq(final, 3);
	cr_assert_eq(tally_of(&n_ends), 1);
	engine_stop();
}

struct own_release {
	account_cell *cell;
	int result; /* of a cast after it */
	rota_id id;
};

static int act_own_release(void *arg)
{
	struct own_release *own = arg;

	own->id = rota_self();
	account_release(own->cell);
	own->result = rota_cast_bytes(own->id, account__run_times_ten, NULL, 0,
				      ROTA_FOREVER);
	return 0;
}

Test(cell, may_be_released_in_its_own_function, .timeout = HANG)
{
	struct own_release own = {.result = 1};
	struct act act = {act_own_release, &own};
	struct hold hold = {0};
	rota_id id;

	engine_start(2);
	own.cell = account_open(0);
	id = account_id(own.cell);
	cell_hold(&hold, own.cell);
	cr_assert_eq(account_cast_act_inside(own.cell, &act), 0);
	ADDS(own.cell, 5);
	ADDS(own.cell, 6);
	hold_end(&hold);
	join_cell(id);
	cr_assert_eq(own.id, id);
	cr_assert_eq(own.result, -ESHUTDOWN);
	cr_assert_eq(final, 11);
	cr_assert_eq(tally_of(&n_ends), 1);
	cr_assert_eq(n_dead(), 0);
	engine_stop();
}

/* The same where the function is all there is: it is handled in place. */
Test(cell, may_be_released_in_its_only_function, .timeout = HANG)
{
	struct own_release own = {.result = 1};
	struct act act = {act_own_release, &own};
	rota_id id;

	engine_start(1);
	own.cell = account_open(1);
	id = account_id(own.cell);
	cr_assert_eq(account_cast_act_inside(own.cell, &act), 0);
	join_cell(id);
	cr_assert_eq(tally_of(&n_ends), 1);
	cr_assert_neq(own.result, 0);
	engine_stop();
}

Test(cell, the_engines_stop_ends_it_before_its_owners_do, .timeout = HANG)
{
	account_cell *cell;

	engine_start(2);
	cell = account_open(0);
	ADDS(cell, 1);
	quiesce();
	engine_stop();
	cr_assert_eq(tally_of(&n_ends), 1);
	cr_assert_eq(account_retain(cell), cell);
	cr_assert_eq(account_cast_times_ten(cell), -ESRCH);
	cr_assert_eq(account_call_times_ten(cell, ROTA_FOREVER), -ESRCH);
	account_release(cell);
	account_release(cell);
	cr_assert_eq(tally_of(&n_ends), 1);
}

/* Also where the engine's number serves another engine by then. */
Test(cell, an_old_one_does_not_end_another, .timeout = HANG)
{
	account_cell *old, *cell;

	if (UNDER_TSAN)
		cr_skip_test("no races here, and 257 engines take long");
	engine_start(1);
	old = account_open(0);
	engine_stop();
	for (int i = 0; i < 256; i++) {
		engine_start(1);
		cell = account_make(engine, &(struct account){0}, NULL);
		cr_assert_not_null(cell);
		if (i == 254)
			account_release(old);
		cr_assert_eq(account_call_times_ten(cell, ROTA_FOREVER), 0);
		account_release(cell);
		engine_stop();
	}
	cr_assert_eq(tally_of(&n_ends), 1);
}

struct keeper {
	account_cell *cell;
};

static void keeper_destroy(void *state)
{
	account_release(((struct keeper *)state)->cell);
}

static const struct rota_behaviour keeper_behaviour = {
	.size = sizeof(struct rota_behaviour),
	.name = "keeper",
	.state_size = sizeof(struct keeper),
	.handle = puppet_handle,
	.destroy = keeper_destroy,
};

Test(cell, may_be_released_by_a_destructor_at_the_engines_end, .timeout = HANG)
{
	/* No .final: two workers would write it at once. */
	struct account account = {.n_ends = &n_ends};
	struct keeper keeper;

	engine_start(2);
	for (int i = 0; i < 20; i++) {
		keeper.cell = account_make(engine, &account, NULL);
		cr_assert_not_null(keeper.cell, "errno %d", errno);
		spawn(&keeper_behaviour, &keeper, 0);
	}
	engine_stop();
	cr_assert_eq(tally_of(&n_ends), 20);
}

Test(cell, cannot_be_made_where_an_actor_cannot, .timeout = HANG)
{
	struct rota_spawn_options options = ROTA_SPAWN_INIT;
	rota_engine *gone;

	errno = 0;
	cr_assert_null(account_make(NULL, &(struct account){0}, NULL));
	cr_assert_eq(errno, EINVAL);
	engine_start(1);
	gone = engine;
	options.mailbox = ROTA_MAX_MAILBOX + 1;
	errno = 0;
	cr_assert_null(account_make(engine, &(struct account){0}, &options));
	cr_assert_eq(errno, EINVAL);
	engine_stop();
	errno = 0;
	cr_assert_null(account_make(gone, &(struct account){0}, NULL));
	cr_assert_eq(errno, ESRCH);
}

/* ---- without a destructor, and captures that own something ---- */

struct shelf {
	void *keeps;
};

ROTA_CELL(shelf, struct shelf, NULL);

struct parcel {
	struct tally *n_drops;
	void *memory; /* of malloc's: for the sanitizers */
};

static void parcel_drop(struct parcel *parcel)
{
	tally_add(parcel->n_drops, 1);
	free(parcel->memory);
}

static int look(struct shelf *shelf, const struct parcel *parcel)
{
	(void)shelf;
	return tally_of(parcel->n_drops) == 0 ? 0 : -EIO;
}

static int keep(struct shelf *shelf, struct parcel *parcel)
{
	if (rota_keep())
		return -EIO;
	free(shelf->keeps);
	shelf->keeps = parcel->memory;
	return 0;
}

static int clear(struct shelf *shelf)
{
	free(shelf->keeps);
	shelf->keeps = NULL;
	return 0;
}

static int wait_inside(struct shelf *shelf, const struct act *act)
{
	(void)shelf;
	return act->run(act->arg);
}

ROTA_CELL_OWN(shelf, look, struct parcel, parcel_drop);
ROTA_CELL_OWN(shelf, keep, struct parcel, parcel_drop);
ROTA_CELL_FN(shelf, clear, void);
ROTA_CELL_FN(shelf, wait_inside, struct act);

static struct tally n_drops;

static struct parcel parcel_make(void)
{
	return (struct parcel){&n_drops, malloc(100)};
}

static shelf_cell *shelf_open(void)
{
	shelf_cell *cell = shelf_make(engine, NULL, NULL);

	cr_assert_not_null(cell);
	return cell;
}

Test(cell, a_capture_is_dropped_once_or_kept, .timeout = HANG)
{
	struct parcel parcel = parcel_make();
	shelf_cell *cell;

	engine_start(2);
	cell = shelf_open();
	cr_assert_eq(shelf_cast_look(cell, &parcel), 0);
	quiesce();
	cr_assert_eq(tally_of(&n_drops), 1);
	parcel = parcel_make();
	cr_assert_eq(shelf_cast_keep(cell, &parcel), 0);
	cr_assert_eq(shelf_call_clear(cell, ROTA_FOREVER), 0);
	cr_assert_eq(tally_of(&n_drops), 1);
	shelf_release(cell);
	engine_stop();
	cr_assert_eq(tally_of(&n_drops), 1);
	cr_assert_eq(n_dead(), 0);
}

Test(cell, captures_left_at_the_engines_end_are_dropped_once, .timeout = HANG)
{
	struct hold hold = {0};
	struct act act = {act_hold, &hold};
	struct parcel parcel;
	shelf_cell *cell;
	size_t n = 0;

	engine_start(2);
	cell = shelf_open();
	hold.gate = puppet_spawn(NULL, 1);
	cr_assert_eq(shelf_cast_wait_inside(cell, &act), 0);
	AWAIT(flag_is_up(&hold.begun));
	for (;;) {
		parcel = parcel_make();
		if (shelf_try_cast_look(cell, &parcel))
			break;
		n++;
	}
	cr_assert_eq(shelf_cast_look_within(cell, &parcel, ROTA_MS(1)),
		     -ETIMEDOUT);
	cr_assert_eq(tally_of(&n_drops), 0);
	engine_stop();
	cr_assert_eq(tally_of(&n_drops), n);
	cr_assert_eq(n_dead(), n);
	cr_assert_eq(shelf_cast_look_urgent(cell, &parcel), -ESRCH);
	cr_assert_eq(shelf_cast_look_until(cell, &parcel,
					   rota_deadline_in(ROTA_S(1000))),
		     -ESRCH);
	cr_assert_eq(tally_of(&n_drops), n);
	parcel_drop(&parcel); /* ours still */
	shelf_release(cell);
}
