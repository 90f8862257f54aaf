/* SPDX-License-Identifier: MIT */
/*
 * bank - in C++: accounts send each other money, and none of it gets lost
 *
 * Payloads and states are trivially copyable classes; everything else is as in
 * C. One type speaks two protocols: accounts are also audited.
 */
#include <cstddef>
#include <cstdio>
#include <vector>

#include <rota/rota.h>

namespace
{

constexpr std::size_t ACCOUNTS = 200;
constexpr int HOPS = 500;
constexpr long FUNDS = 1000;
constexpr long TOTAL = FUNDS * long(ACCOUNTS);
constexpr long TRANSFERS = (HOPS + 1) * long(ACCOUNTS);

struct money {
	long cents;
};

ROTA_PROTOCOL_ID(account);

struct link {
	account_id next;
};

struct transfer {
	money amount;
	int hops; /* how often it is still passed on */
};

struct statement {
	money balance;
	int transfers;
};

#define AUDITOR(M, p) M(p, SEND, statement, statement)
ROTA_PROTOCOL(auditor, AUDITOR);

#define ACCOUNT(M, p)          \
	M(p, SEND, open, link) \
	M(p, SEND, transfer, transfer)
ROTA_PROTOCOL_CALLS(account, ACCOUNT);

#define AUDITED(M, p)                   \
	M(p, SEND, report, auditor_id) \
	M(p, READ, balance, void, money)
ROTA_PROTOCOL(audited, AUDITED);

/* ---- account ---- */

struct account {
	money balance;
	int transfers;
	account_id next;
};

int account_on_open(account *self, const link *m)
{
	self->next = m->next;
	return 0;
}

int account_on_transfer(account *self, const transfer *m)
{
	self->transfers++;
	if (m->hops == 0) {
		self->balance.cents += m->amount.cents;
		return 0;
	}
	/* Half of what comes stays, the rest and half of ours goes on. */
	long pool = self->balance.cents + m->amount.cents;

	self->balance.cents = pool / 2;
	return account_transfer(self->next, {{pool - pool / 2}, m->hops - 1});
}

int account_on_report(account *self, const auditor_id *to)
{
	return auditor_statement(*to, {self->balance, self->transfers});
}

int account_on_balance(const account *self, money *reply)
{
	*reply = self->balance;
	return 0;
}

ROTA_BEHAVIOUR_2(account, account, ACCOUNT, audited, AUDITED, nullptr);

/* ---- auditor ---- */

struct auditor {
	long cents;
	long transfers;
	std::size_t statements;
};

int auditor_on_statement(auditor *self, const statement *m)
{
	self->cents += m->balance.cents;
	self->transfers += m->transfers;
	if (++self->statements < ACCOUNTS)
		return 0;
	std::printf("%zu accounts, %ld transfers, %ld cents\n",
		    self->statements, self->transfers, self->cents);
	bool right = self->cents == TOTAL && self->transfers == TRANSFERS;
	return rota_self_stop(right ? 0 : 1);
}

ROTA_BEHAVIOUR(auditor, auditor, AUDITOR, nullptr);

/* Every account starts a chain of transfers with nothing in it. */
int bank_run(rota_engine *engine)
{
	std::vector<account_id> accounts;
	const account start = {{FUNDS}, 0, account_id{}};

	for (std::size_t i = 0; i < ACCOUNTS; i++)
		accounts.push_back(account_spawn(engine, &start, nullptr));
	for (std::size_t i = 0; i < ACCOUNTS; i++) {
		account_id next = accounts[(i * 7 + 1) % ACCOUNTS];

		if (int error = account_open(accounts[i], {next}))
			return error;
	}
	for (account_id id : accounts)
		if (int error = account_transfer(id, {{0}, HOPS}))
			return error;
	if (int error = rota_quiesce(engine, 60000000000))
		return error;

	/* What each says if asked has to be what all report. */
	long cents = 0;

	for (account_id id : accounts) {
		money balance = {0};

		if (int error = audited_balance(account_as_audited(id),
						&balance, 60000000000))
			return error;
		cents += balance.cents;
	}
	if (cents != TOTAL)
		return 1;

	auditor_id auditor = auditor_spawn(engine, nullptr, nullptr);

	for (account_id id : accounts)
		if (int error = audited_report(account_as_audited(id), auditor))
			return error;

	rota_exit why = rota_exit();

	if (int error = rota_join(auditor.id, 60000000000, &why))
		return error;
	return why.cause == ROTA_EXIT_NORMAL ? why.reason : 1;
}

} // namespace

int main()
{
	rota_engine *engine = rota_start(nullptr);

	if (engine == nullptr) {
		std::perror("rota_start");
		return 1;
	}
	int error = bank_run(engine);

	if (error != 0)
		std::fprintf(stderr, "bank: %s\n", rota_strerror(error));
	return rota_stop(engine, 10000000000) != 0 || error != 0;
}
