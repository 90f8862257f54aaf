/* SPDX-License-Identifier: MIT */
/*
 * process - actors that choose what they take next, and when
 */
#ifndef ROTA_CORE_PROCESS_H
#define ROTA_CORE_PROCESS_H

#include "core/desk.h"
#include "core/engine.h"

/* task_class.run of behaviours whose actors may go on anywhere. */
void process_run(struct task *task, struct worker *worker);

/* The classes that an actor has between two turns only. */
void process_init_classes(struct behaviour *behaviour);

/* That of an actor, whichever of its classes it has at the moment. */
const struct behaviour *behaviour_of(const struct task_class *class);

/* Between two turns: does the actor stand in a receive, or accept some tags
   only? */
bool process_stands(const struct task_class *class);
bool process_sifts(const struct task_class *class);

/* Does what runs, a turn or a task, go on on this thread after each of its waits,
   until it ends? False also if nothing runs that may wait. */
bool process_stays(const struct local *local);

/* May this turn go on on another worker after a wait, and what stands for it in
   the queues then? */
bool process_may_move(const struct local *local);
struct task_class *process_roams(const struct local *local);

/*
 * The handler has returned, and the message that it was called with is not the
 * one in hand: what is, or NULL. The batch goes on in the ordinary way.
 */
struct message *process_message(struct local *local);

/* The rest of the turn, by what the actor accepts; ends the turn. */
void process_go_on(struct local *local);

/* Counted messages that the actor has put aside. */
unsigned process_n_stashed(struct local *local);

/* The actor ends: what it had put aside lies in its lanes again. */
void process_end(struct local *local);

/* By who has seized the hand: the block in use of which a copy is stashed, or
   NULL; it is the caller's. */
struct message *process_take_copied(struct local *local);

#endif
