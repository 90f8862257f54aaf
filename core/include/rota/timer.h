/* SPDX-License-Identifier: MIT */
/*
 * rota/timer.h - messages that are sent later
 */
#ifndef ROTA_TIMER_H
#define ROTA_TIMER_H

#include <rota/base.h>

ROTA_EXTERN_C_BEGIN

/* The name of a timer: a plain value, like an id. 0 names none. */
typedef uint64_t rota_timer;

/**
 * rota_send_after() - send a message once a delay has passed
 * @delay:   nanoseconds; zero and less fire at once, huge ones never
 * @timer:   set to the timer's name on success; may be NULL
 *
 * The payload is copied now (@length up to ROTA_TIMER_PAYLOAD), the message is
 * sent when the timer fires, passes the mailbox's bound, and has the caller as
 * its sender. If the receiver is gone by then it is a dead letter.
 *
 * Context: a handler or any thread; never waits.
 * Errors:  -ESRCH, -ENOMEM, -EINVAL, -EMSGSIZE, -ESHUTDOWN.
 * Return:  0 or one of the errors above.
 */
ROTA_API int rota_send_after(rota_id to, unsigned tag, const void *payload,
			     size_t length, int64_t delay, rota_timer *timer);

#define ROTA_TIMER_PAYLOAD 40

/**
 * rota_timer_cancel() - see to it that a timer's message is not handled
 *
 * After this has returned 0 the message is never handled, even if it had fired
 * and was waiting in the mailbox.
 *
 * Context: a handler or any thread; never waits.
 * Return:  0; -ESRCH: it was handled, is being handled, or was cancelled.
 */
ROTA_API int rota_timer_cancel(rota_timer timer);

ROTA_EXTERN_C_END

#endif
