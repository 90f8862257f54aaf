/* SPDX-License-Identifier: MIT */
/*
 * reads - queries of an actor that are handled beside each other
 *
 * Problem:    an actor that is asked much more often than it changes, a table
 *             say, is one worker fast, however many workers there are. Most
 *             actors are not like that, and must not pay for it.
 * Approach:   a batch that comes to a query (a message with READ) looks how
 *             many follow it without anything else in between. If queries of
 *             this kind take longer than it costs to move one, the run of them
 *             becomes tasks in the worker's ring, one each, and the turn ends:
 *             the actor is scheduled still, but in no queue, and belongs to the
 *             run. Thieves take tasks as they take any, at the same price. Each
 *             is a turn of the actor with a message in hand, and may wait like
 *             one. Who ends last gives back the room of all and makes the actor
 *             runnable: it then looks at its signals and at what has come.
 *             The handlers of queries get their state as const. What would
 *             change the actor otherwise (stash, become, ...) fails with
 *             -EPERM in all of them, beside others or not: a handler that
 *             works alone works in company.
 *             How long queries take is estimated by type and tag: every 8th
 *             that is handled alone is timed here, and of those that are tasks
 *             as many as of other tasks.
 *             The price is that of a turn that moves and of an answer that goes
 *             back: rota-bench reads/2us costs 1.0 to 1.6 us of processor time
 *             more for each query that was offered than on one worker.
 * Rejected:   a lock for readers and writers in the actor (each message would
 *             pay, and writers would wait in line with their threads); to add
 *             queries that arrive to a run that has begun (what else has come
 *             would wait for ever); the nest (only tasks that one will wait for
 *             are worth its order: last in, first out).
 * Limits:     an actor that chooses among its messages, moves (ANYWHERE) or has
 *             a thread of its own handles its queries one by one.
 * Invariants: I1 while tasks are left nobody else uses the actor's lanes, and
 *                its mailbox is scheduled: pushes make nobody run it.
 *             I2 all of a run stays counted until no task is left.
 *             I3 a reading is in the list from before its handler begins until
 *                its end: a stop finds its wait, or it finds the stop.
 * Orderings:  [Q1] xleft, from each that ends to who ends last: what they have
 *             read is read before the actor changes it. What the turn did
 *             before is seen by the tasks as by any [see queue.c].
 *             [L1] see spin.h: the list.
 */
#include "core/reads.h"

#include <errno.h>

#include "core/asking.h"
#include "core/blocking.h"
#include "core/chain.h"
#include "core/cold.h"
#include "core/run.h"
#include "mailbox/lane.h"

#define RUN_MAX 64    /* queries */
#define PRICE_NS 1500 /* of one that moves */
#define LEAST_NS 4000 /* in a run: to find and to take it */

/* Both lie in cells of small_jobs. */
struct run {
	struct actor *actor;
	rota_id self;
	struct cold *cold; /* the actor's, which lives as long as the run */
	/* Tasks that have not ended, and above them the messages whose room is
	   due: each takes one off there and adds its own here. */
	AO_t xleft;
	/* Under the cold block's lock. */
	struct reading *readings; /* in progress */
	struct reader *queued;	  /* have not begun */
};

#define RUN_DUE_SHIFT 32

struct reader {
	struct task task;
	struct run *run;
	struct message *message;
	struct reader *next; /* in run->queued */
	struct reader **prev;
};

_Static_assert(sizeof(struct run) <= sizeof(struct small_job) &&
		       sizeof(struct reader) <= sizeof(struct small_job),
	       "lie in small tasks' cells");

static void *get_cell(struct local *local)
{
	return pool_get(&local->engine->small_jobs, &local->cache.small_jobs);
}

static void put_cell(struct local *local, void *cell)
{
	pool_put(&local->engine->small_jobs, &local->cache.small_jobs, cell);
}

static struct task_class *class_of(const struct actor *actor,
				   const struct message *message)
{
	struct behaviour *behaviour = (struct behaviour *)actor->task.class;

	return &behaviour->reads[message->tag % READ_CLASSES];
}

/* ---- the list ---- */

static uint64_t token_of(struct message *message)
{
	return message->flags & MESSAGE_EXTENDED
		       ? message_extension(message)->token
		       : 0;
}

/* It begins: what was known of the task is from now on known of the turn. */
static void enlist(struct run *run, struct reader *reader,
		   struct reading *reading)
{
	spin_lock(&run->cold->xlock);
	*reader->prev = reader->next;
	if (reader->next)
		reader->next->prev = reader->prev;
	reading->behalf = token_of(reader->message);
	reading->next = run->readings;
	reading->prev = &run->readings;
	if (reading->next)
		reading->next->prev = &reading->next;
	run->readings = reading;
	cold_unlock(run->cold);
}

static struct reading *first_reading(const struct cold *cold)
{
	return cold->run ? cold->run->readings : NULL;
}

static bool holds(const struct reading *reading)
{
	const struct wait_ticket *ticket = &reading->step.ticket;

	/* [W1] pairs with wait_begin(): it waits, and for this */
	return reading->step.edge != EDGE_NONE &&
	       AO_load_acquire(&ticket->wait->xword) ==
		       (ticket->sequence | WAIT_WAITING);
}

/* The actor's edge was that of one that ends: it is another's now. */
static void pass_edge_on(struct cold *cold, const struct reading *ended)
{
	const struct reading *reading = first_reading(cold);

	if (cold->edge == EDGE_NONE || cold->edge_ticket.wait != ended->wait)
		return;
	cold->edge = EDGE_NONE;
	while (reading && !holds(reading))
		reading = reading->next;
	if (reading)
		cycle_set_edge(cold, &reading->step, reading->behalf);
}

static void delist(struct cold *cold, struct reading *reading)
{
	spin_lock(&cold->xlock);
	*reading->prev = reading->next;
	if (reading->next)
		reading->next->prev = reading->prev;
	pass_edge_on(cold, reading);
	cold_unlock(cold);
	wait_clear(reading->wait);
}

struct reading *reads_cancel(struct cold *cold)
{
	struct reading *reading, *cancelled = NULL;

	for (reading = first_reading(cold); reading; reading = reading->next) {
		if (!wait_cancel(reading->wait))
			continue;
		/* It stays as it is until its wait is finished. */
		reading->next_cancelled = cancelled;
		cancelled = reading;
	}
	return cancelled;
}

void reads_finish(struct reading *cancelled)
{
	while (cancelled) {
		struct wait *wait = cancelled->wait;

		cancelled = cancelled->next_cancelled;
		wait_finish(wait, -ECANCELED);
	}
}

unsigned reads_count(const struct cold *cold, const struct wait **waiting)
{
	const struct reading *reading;
	unsigned n = 0;

	*waiting = NULL;
	for (reading = first_reading(cold); reading; reading = reading->next) {
		/* [W1] pairs with wait_begin() */
		AO_t word = AO_load_acquire(&reading->wait->xword);

		n++;
		if ((word & WAIT_STATE_MASK) == WAIT_WAITING &&
		    (!*waiting || reading->wait == cold->edge_ticket.wait))
			*waiting = reading->wait;
	}
	return n;
}

void reads_note(struct cold *cold, const struct step *step, uint64_t behalf)
{
	struct reading *reading = first_reading(cold);

	while (reading && reading->wait != step->ticket.wait)
		reading = reading->next;
	if (!reading)
		return; /* a query that is handled alone */
	reading->step = *step;
	reading->behalf = behalf;
}

enum reads_answer reads_answering(const struct cold *cold, uint64_t token,
				  struct reading **found)
{
	struct reading *reading = first_reading(cold);
	const struct reader *queued = cold->run ? cold->run->queued : NULL;

	while (reading && reading->behalf != token)
		reading = reading->next;
	if (reading && holds(reading)) {
		*found = reading;
		return READS_WAITS;
	}
	while (!reading && queued && token_of(queued->message) != token)
		queued = queued->next;
	return reading || queued ? READS_RUNS : READS_NOT;
}

struct reading *reads_of(const struct cold *cold, struct wait_ticket ticket)
{
	struct reading *reading = first_reading(cold);

	while (reading && !(reading->step.edge != EDGE_NONE &&
			    reading->step.ticket.wait == ticket.wait &&
			    reading->step.ticket.sequence == ticket.sequence))
		reading = reading->next;
	return reading;
}

static bool lies_behind(const struct reading *a, const struct wait *wait)
{
	return (uintptr_t)a->wait > (uintptr_t)wait;
}

struct reading *reads_next(const struct cold *cold, const struct wait *after)
{
	struct reading *reading = first_reading(cold), *next = NULL;

	for (; reading; reading = reading->next)
		if (lies_behind(reading, after) &&
		    !(next && lies_behind(reading, next->wait)) &&
		    reading->step.edge != EDGE_ANY && holds(reading))
			next = reading;
	return next;
}

bool reads_find(const struct cold *cold, uint64_t behalf,
		struct wait_ticket *ticket)
{
	const struct reading *reading = first_reading(cold);

	while (reading && !(reading->behalf == behalf && holds(reading)))
		reading = reading->next;
	if (reading)
		*ticket = reading->step.ticket;
	return reading != NULL;
}

/* ---- one of a run ---- */

static void begin_turn(struct local *local, const struct run *run)
{
	struct turn *turn = &local->turn;

	turn->actor = run->actor;
	turn_set_self(turn, run->self);
	turn_set_message(turn, NULL);
	turn->peeked = 0;
	turn_set_due(turn, 0);
	turn->marks = TURN_WAITED | TURN_BESIDE; /* a stop finds it already */
	turn->reason = 0;
}

static void call(struct local *local, struct run *run, struct message *message)
{
	struct turn *turn = &local->turn;
	int result;

	turn_set_message(turn, message);
	/* Relaxed: a statistic; others of the run add to it, too. */
	AO_fetch_and_add(&run->actor->xhandled, 1);
	result = turn_call(local, run->actor, message);
	if (turn->marks & TURN_ASKS)
		asking_end_handler(local);
	if (turn->marks & TURN_BLOCKS)
		blocking_repair(local);
	turn_finish(local, message, result);
}

/* It has not begun, and will not. */
static void refuse(struct local *local, struct message *message)
{
	struct turn *turn = &local->turn;

	turn_set_due(turn, !(message->flags & MESSAGE_UNCOUNTED));
	dead_letter(local->engine, &local->cache, message, turn->self,
		    ROTA_DEAD_STOPPED);
}

/* The room that is due then: none, if a callback needed it to send to us. */
static unsigned read_one(struct local *local, struct run *run,
			 struct reader *reader)
{
	struct reading reading = {.wait = &local->worker.stack->wait};
	struct message *message = reader->message;

	begin_turn(local, run);
	enlist(run, reader, &reading);
	put_cell(local, reader);
	/* Relaxed: the lock orders, see life.c. */
	if (unlikely(AO_load(&run->actor->xsignal) &
		     (SIGNAL_STOP | SIGNAL_ENGINE)))
		refuse(local, message);
	else
		call(local, run, message);
	delist(run->cold, &reading);
	chain_close(local); /* of callbacks that sent something */
	turn_set_self(&local->turn, ROTA_NONE);
	turn_set_message(&local->turn, NULL);
	return local->turn.due;
}

static void set_run(struct cold *cold, struct run *run)
{
	spin_lock(&cold->xlock);
	cold->run = run;
	cold_unlock(cold);
}

/* All have ended: the actor is a turn's again. */
static void end_run(struct local *local, struct run *run, unsigned due)
{
	struct actor *actor = run->actor;

	turn_begin(local, actor);
	turn_set_due(&local->turn, due);
	set_run(run->cold, NULL);
	put_cell(local, run);
	turn_give_back(local);
	turn_end(local, TURN_RETURNED, 0);
	worker_push_next(&local->worker, &actor->task);
}

static void run_reader(struct task *task, struct worker *worker)
{
	struct local *local = (struct local *)worker;
	struct reader *reader = (struct reader *)task;
	struct run *run = reader->run;
	AO_t due, left;

	due = read_one(local, run, reader);
	/* [Q1] pairs with itself: the last one sees that all have ended */
	left = AO_fetch_and_add_full(&run->xleft, (due << RUN_DUE_SHIFT) - 1);
	if ((uint32_t)left == 1)
		end_run(local, run,
			(unsigned)(left >> RUN_DUE_SHIFT) + (unsigned)due);
}

void reads_init_classes(struct behaviour *behaviour)
{
	unsigned i;

	for (i = 0; i < READ_CLASSES; i++)
		behaviour->reads[i].run = run_reader;
}

/* ---- a run ---- */

static bool may_follow(const struct local *local, const struct message *message)
{
	return message->flags & MESSAGE_READ &&
	       (message->generation & MESSAGE_GENERATION) ==
		       id_generation(local->turn.self);
}

/* How many can follow at once, of what was taken and is next. */
static unsigned n_following(const struct local *local,
			    const struct message *newest)
{
	const struct message *message = newest;
	unsigned n = 0;

	while (message && n < RUN_MAX - 1) {
		message = message->next;
		if (!may_follow(local, message))
			break;
		n++;
		if (message == newest)
			break;
	}
	return n;
}

/* Where they are. */
static struct message **lane_of(struct actor *actor)
{
	if (!actor->urgent && !actor->normal)
		turn_take_all(actor);
	return actor->urgent ? &actor->urgent : &actor->normal;
}

/* The run, with the cold block; NULL: no memory, or the engine gives up. */
static struct run *make_run(struct local *local)
{
	struct turn *turn = &local->turn;
	struct site own = site_of(local);
	struct run *run = get_cell(local);
	int error;

	if (!run)
		return NULL;
	run->actor = turn->actor;
	run->self = turn->self;
	run->readings = NULL;
	run->queued = NULL;
	run->cold = cold_lock(&own, turn->actor, turn->self, true, &error);
	if (run->cold) {
		cold_unlock(run->cold);
		return run;
	}
	put_cell(local, run);
	return NULL;
}

/* The task for one that follows the others in a chain. NULL: no memory. */
static struct reader *make_reader(struct local *local, struct run *run)
{
	struct reader *reader = get_cell(local);

	if (reader) {
		reader->run = run;
		reader->task.next = NULL;
	}
	return reader;
}

static void fill_reader(struct reader *reader, struct message *message)
{
	struct run *run = reader->run;

	reader->message = message;
	reader->next = run->queued;
	reader->prev = &run->queued;
	if (reader->next)
		reader->next->prev = &reader->next;
	run->queued = reader;
	reader->task.class = class_of(reader->run->actor, message);
}

/* Up to @n of a lane; how many. Fewer if there is no memory. */
static unsigned add_readers(struct local *local, struct run *run,
			    struct task *last, struct message **lane,
			    unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		struct reader *reader = make_reader(local, run);

		if (!reader)
			break;
		fill_reader(reader, lane_pop(lane));
		last->next = &reader->task;
		last = &reader->task;
	}
	return i;
}

/* From here on the actor is the run's. */
static void let_go(struct local *local, struct run *run, struct task *first,
		   unsigned n)
{
	struct task *task, *next;

	/* Relaxed: the ring publishes it. */
	AO_store(&run->xleft, n);
	count(&local->cache.counters.xoffered, n);
	set_run(run->cold, run);
	turn_give_back(local);
	turn_end(local, TURN_RETURNED, 0);
	for (task = first; task; task = next) {
		next = task->next;
		worker_push_last(&local->worker, task);
	}
}

static bool is_worth(struct local *local, const struct message *message,
		     unsigned n)
{
	/* Relaxed: an estimate. */
	AO_t mean = AO_load(&class_of(local->turn.actor, message)->xmean_ns);

	return mean >= PRICE_NS && mean * n >= LEAST_NS &&
	       !local->worker.home && crew_slots(&local->engine->crew) > 1;
}

bool reads_offer(struct local *local, struct message *message)
{
	struct message **lane;
	struct reader *first;
	struct run *run;
	unsigned n;

	if (!is_worth(local, message, RUN_MAX))
		return false;
	lane = lane_of(local->turn.actor);
	n = n_following(local, *lane);
	if (n == 0 || !is_worth(local, message, n + 1))
		return false;
	run = make_run(local);
	if (!run)
		return false;
	first = make_reader(local, run);
	if (!first) {
		put_cell(local, run);
		return false;
	}
	fill_reader(first, message);
	n = add_readers(local, run, &first->task, lane, n);
	let_go(local, run, &first->task, n + 1);
	return true;
}

/* ---- one that is handled alone ---- */

bool reads_is_timed(struct local *local, const struct message *message)
{
	/* Relaxed: an estimate; 0: there is none yet. */
	return local->n_reads++ % 8 == 0 ||
	       AO_load(&class_of(local->turn.actor, message)->xmean_ns) == 0;
}

struct reads_timing reads_begin_timing(struct local *local,
				       const struct message *message)
{
	return (struct reads_timing){
		.class = class_of(local->turn.actor, message),
		/* Relaxed: own. */
		.waits = AO_load(&local->worker.xwaits),
		.start_ticks = clock_ticks(),
	};
}

void reads_end_timing(struct local *local, const struct reads_timing *timing)
{
	uint64_t ticks = clock_ticks() - timing->start_ticks;

	/* One that waited measured somebody else. Relaxed: own. */
	if (AO_load(&local->worker.xwaits) == timing->waits)
		worker_note_time(timing->class,
				 ticks * 1024 / clock_ticks_per_1024ns() + 1);
}
