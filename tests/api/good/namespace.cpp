/* SPDX-License-Identifier: MIT */
/*
 * C++ of its own: namespaces, noexcept handlers, braced payloads, classes as
 * payload and state.
 *
 * only: c++
 */
#include <rota/rota.h>

namespace shop
{

class money
{
      public:
	money() = default;
	explicit money(long c) : cents(c)
	{
	}
	long value() const
	{
		return cents;
	}

      private:
	long cents;
};

struct order {
	int article;
	money price;
};

#define TILL(M, p)                   \
	M(p, SEND, pay, order)       \
	M(p, SEND, tip, shop::money) \
	M(p, BYTES, note, void)      \
	M(p, SEND, close, void)
ROTA_PROTOCOL(till, TILL);

namespace
{

struct till {
	money total;
	long notes = 0;
};

int till_on_pay(till *self, const order *m) noexcept
{
	self->total = money(self->total.value() + m->price.value());
	return 0;
}

int till_on_tip(till *self, const money *m)
{
	self->total = money(self->total.value() + m->value());
	return 0;
}

int till_on_note(till *self, const char *bytes, size_t length)
{
	self->notes += bytes != nullptr && length > 0;
	return 0;
}

int till_on_close(struct till *)
{
	return rota_self_stop(0);
}

void till_fini(till *self)
{
	self->notes = 0;
}

ROTA_HOOKS(till, till_fini);
ROTA_BEHAVIOUR(till, till, TILL, &till_hooks);

} // namespace

} // namespace shop

struct plain {
	int n;
};

#define PLAIN(M, p) M(p, SEND, put, plain)

extern "C" {
ROTA_PROTOCOL(plain, PLAIN);
}

static int plain_on_put(plain *self, plain const *m)
{
	self->n += m->n;
	return 0;
}

ROTA_BEHAVIOUR(plain, plain, PLAIN, nullptr);

int use(rota_engine *engine);
int use(rota_engine *engine)
{
	shop::till_id id = shop::till_spawn(engine, nullptr, nullptr);
	plain_id other = plain_spawn(engine, nullptr, nullptr);

	return shop::till_pay(id, {1, shop::money(100)}) +
	       shop::till_try_tip(id, shop::money(10)) +
	       shop::till_note(id, "x", 1) + shop::till_close(id) +
	       plain_put(other, {3}) +
	       plain_put_urgent(plain_id{other.id}, {4});
}
