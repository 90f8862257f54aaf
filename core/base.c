/* SPDX-License-Identifier: MIT */
/* base - what identities and errors mean, and which version this is */
#include <errno.h>
#include <string.h>

#include <rota/base.h>
#include <rota/version.h>

#include "core/id.h"
#include "sched/clock.h"

int rota_id_error(rota_id id)
{
	int error = (int)id_slot(id);

	if (id_engine(id) != 0)
		return 0;
	return error > 0 ? -error : -ESRCH;
}

rota_deadline rota_deadline_in(int64_t within)
{
	return (rota_deadline){clock_deadline(clock_ns(), within)};
}

int64_t rota_deadline_left(rota_deadline deadline)
{
	return clock_left(clock_ns(), deadline.ns);
}

const char *rota_strerror(int error)
{
	static const struct {
		int number;
		const char *text;
	} texts[] = {
		{0, "done"},
		{EALREADY, "it was answered or has ended before"},
		{EBUSY, "what it is in the middle of cannot be interrupted"},
		{ECONNRESET, "died with the request begun and unanswered"},
		{EIO, "too many have failed"},
		{ENOSYS, "the receiver does not know this request"},
		{EPIPE, "the promise to answer was broken"},
		{EAGAIN,
		 "the mailbox or queue is full, or a thread could not be made"},
		{ECANCELED,
		 "cancelled: it did not run, or who waits is being stopped"},
		{EDEADLK, "waiting here would never end"},
		{E2BIG, "an option of a newer version was used"},
		{EINVAL, "an argument is out of its range"},
		{EMFILE, "no file descriptor is left"},
		{EMSGSIZE, "the payload is too large"},
		{ENODEV, "the topology has no processor that we may use"},
		{ENOMEM,
		 "memory has run out, or the engine's limit is reached"},
		{ENOTSUP, "this kernel cannot do it"},
		{EPERM, "not allowed: outside a handler, in a forked child, or "
			"urgently to this actor"},
		{ESHUTDOWN, "the actor or the engine is closing"},
		{ESRCH, "it does not exist, or not any more"},
		{ETIMEDOUT, "the time is up"},
		{EUSERS, "no engine number is free"},
	};
	size_t i;

	if (error < 0 && error != INT32_MIN)
		error = -error;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].number == error)
			return texts[i].text;
	return "an error that rota does not know";
}

const char *rota_version(void)
{
	return ROTA_VERSION_STRING;
}
