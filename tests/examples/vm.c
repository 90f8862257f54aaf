/* SPDX-License-Identifier: MIT */
/*
 * vm - what a language runtime does: processes are actors, code is data
 *
 * The raw interface alone: one behaviour interprets all processes; a message is
 * a tag and a payload, here one word. The program is the sieve that processes
 * are famous for. A process takes the first number it gets for its prime; of
 * the others it passes on, to the next process, which it makes when it needs
 * one, what its prime does not divide.
 */
#include <stdio.h>
#include <string.h>

#include <rota/actor.h>
#include <rota/engine.h>

enum { LIMIT = 2000, PRIMES_BELOW_LIMIT = 303 };

typedef uint64_t word;

enum op {
	OP_ARG,	  /* push the message's word */
	OP_GET,	  /* push register n */
	OP_SET,	  /* pop into register n */
	OP_MOD,	  /* pop b, pop a, push a mod b */
	OP_ZERO,  /* pop; if it is 0 go to n */
	OP_GOTO,  /* go to n */
	OP_SPAWN, /* register n = a new process of this code */
	OP_SEND,  /* pop a word, send it to the process in register n */
	OP_DONE
};

struct instruction {
	enum op op;
	int n;
};

enum { REG_PRIME, REG_NEXT, REG_RESULT, REGISTERS };

static const struct instruction sieve[] = {
	{OP_GET, REG_PRIME},   /* 0 */
	{OP_ZERO, 13},	       /* 1: no prime yet */
	{OP_ARG, 0},	       /* 2 */
	{OP_GET, REG_PRIME},   /* 3 */
	{OP_MOD, 0},	       /* 4 */
	{OP_ZERO, 10},	       /* 5: divisible */
	{OP_GET, REG_NEXT},    /* 6 */
	{OP_ZERO, 11},	       /* 7: nobody follows yet */
	{OP_ARG, 0},	       /* 8 */
	{OP_SEND, REG_NEXT},   /* 9 */
	{OP_DONE, 0},	       /* 10 */
	{OP_SPAWN, REG_NEXT},  /* 11 */
	{OP_GOTO, 8},	       /* 12 */
	{OP_ARG, 0},	       /* 13 */
	{OP_SET, REG_PRIME},   /* 14 */
	{OP_ARG, 0},	       /* 15 */
	{OP_SEND, REG_RESULT}, /* 16 */
	{OP_DONE, 0},	       /* 17 */
};

/* ---- a process ---- */

enum tag { TAG_WORD, TAG_END };

struct process {
	const struct instruction *code;
	word reg[REGISTERS];
};

static int process_spawn(struct process *self, int n);

static int process_handle(void *state, unsigned tag, void *payload,
			  size_t length)
{
	struct process *self = state;
	word stack[8], *top = stack, arg;
	int error = 0;

	if (tag != TAG_WORD || length != sizeof(word))
		return ROTA_UNKNOWN;
	memcpy(&arg, payload, sizeof(arg));
	for (const struct instruction *i = self->code; error == 0; i++) {
		switch (i->op) {
		case OP_ARG:
			*top++ = arg;
			break;
		case OP_GET:
			*top++ = self->reg[i->n];
			break;
		case OP_SET:
			self->reg[i->n] = *--top;
			break;
		case OP_MOD:
			top--;
			top[-1] %= top[0];
			break;
		case OP_ZERO:
			if (*--top != 0)
				break;
			i = self->code + i->n - 1;
			break;
		case OP_GOTO:
			i = self->code + i->n - 1;
			break;
		case OP_SPAWN:
			error = process_spawn(self, i->n);
			break;
		case OP_SEND:
			error = rota_send(self->reg[i->n], TAG_WORD, --top,
					  sizeof(word));
			break;
		case OP_DONE:
			return 0;
		}
	}
	return error;
}

static const struct rota_behaviour process = {
	.size = sizeof(process),
	.name = "process",
	.state_size = sizeof(struct process),
	.handle = process_handle,
};

static int process_spawn(struct process *self, int n)
{
	struct process child = {.code = self->code};

	child.reg[REG_RESULT] = self->reg[REG_RESULT];
	self->reg[n] = rota_spawn(NULL, &process, &child, NULL);
	return rota_id_error(self->reg[n]);
}

/* ---- who collects ---- */

struct result {
	int primes;
	word last;
};

static int result_handle(void *state, unsigned tag, void *payload,
			 size_t length)
{
	struct result *self = state;

	switch (tag) {
	case TAG_WORD:
		if (length != sizeof(word))
			return ROTA_UNKNOWN;
		memcpy(&self->last, payload, sizeof(word));
		self->primes++;
		return 0;
	case TAG_END:
		printf("%d primes below %d, the last is %u\n", self->primes,
		       LIMIT, (unsigned)self->last);
		return rota_self_stop(self->primes);
	default:
		return ROTA_UNKNOWN;
	}
}

static const struct rota_behaviour result = {
	.size = sizeof(result),
	.name = "result",
	.state_size = sizeof(struct result),
	.handle = result_handle,
};

int main(void)
{
	rota_engine *engine = rota_start(NULL);
	struct rota_exit why = {.reason = -1};
	struct process first = {.code = sieve};
	rota_id collector, filter;
	int error = 0;

	if (engine == NULL) {
		perror("rota_start");
		return 1;
	}
	collector = rota_spawn(engine, &result, NULL, NULL);
	first.reg[REG_RESULT] = collector;
	filter = rota_spawn(engine, &process, &first, NULL);
	for (word i = 2; i < LIMIT && error == 0; i++)
		error = rota_send(filter, TAG_WORD, &i, sizeof(i));
	if (error == 0)
		error = rota_quiesce(engine, ROTA_S(60));
	if (error == 0)
		error = rota_send(collector, TAG_END, NULL, 0);
	if (error == 0)
		error = rota_join(collector, ROTA_S(60), &why);
	if (error != 0)
		fprintf(stderr, "vm: %s\n", rota_strerror(error));
	if (rota_stop(engine, ROTA_S(10)) != 0)
		return 1;
	return why.reason != PRIMES_BELOW_LIMIT;
}
