/* SPDX-License-Identifier: MIT */
/*
 * outside - the same in C++
 */
#include <iostream>

#include <rota/rota.h>

int mailbox_push()
{
	return 10;
}

/* As C would see it: this is where names could clash. */
extern "C" int stack_get()
{
	return 32;
}

namespace
{

struct amount {
	int by;
};

#define COUNTER(M, p) M(p, SEND, inc, amount)
ROTA_PROTOCOL(counter, COUNTER);

struct counter {
	long total;
};

int counter_on_inc(counter *c, const amount *m)
{
	c->total += m->by;
	return c->total == 42 ? rota_self_stop(42) : 0;
}

ROTA_BEHAVIOUR(counter, counter, COUNTER, nullptr);

} // namespace

int main()
{
	rota_engine *engine = rota_start(nullptr);
	counter_id id = counter_spawn(engine, nullptr, nullptr);
	rota_exit why = rota_exit();

	counter_inc(id, {mailbox_push()});
	counter_inc(id, {stack_get()});
	if (rota_join(id.id, ROTA_S(60), &why) != 0)
		std::cerr << "nothing was counted\n";
	if (rota_stop(engine, ROTA_S(60)) != 0)
		std::cerr << "the engine does not stop\n";
	std::cout << rota_version() << '\n';
	return why.reason != 42;
}
