/* SPDX-License-Identifier: MIT */
/*
 * timer - a heart that beats, and a watchdog that barks when it stops
 *
 * The heart sends itself each next beat with a delay. The watchdog arms a timer
 * and, at each beat it hears of, cancels it and arms it anew; when the timer
 * gets through the heart has stopped.
 */
#include <stdio.h>

#include <rota/rota.h>

enum { BEATS = 20 };

#define WATCHDOG(M, p)       \
	M(p, SEND, pat, int) \
	M(p, SEND, bark, void)
ROTA_PROTOCOL(watchdog, WATCHDOG);

#define HEART(M, p) M(p, SEND, beat, int)
ROTA_PROTOCOL(heart, HEART);

/* ---- watchdog ---- */

struct watchdog {
	int pats;
	int late;	  /* the timer had fired when it was cancelled */
	rota_timer timer; /* 0: none armed */
};

static int watchdog_on_pat(struct watchdog *w, const int *beat)
{
	/* It may be too late; then the bark is in the mailbox, or handled. */
	if (w->timer != 0 && rota_timer_cancel(w->timer) != 0)
		w->late++;
	w->pats++;
	printf("\rbeat %d", *beat);
	fflush(stdout);
	return watchdog_bark_after(watchdog_of(rota_self()), ROTA_MS(300),
				   &w->timer);
}

static int watchdog_on_bark(struct watchdog *w)
{
	w->timer = 0;
	if (w->pats < BEATS) /* a slow machine: the heart still beats */
		return 0;
	printf("\rthe heart has stopped after %d beats\n", w->pats);
	return rota_self_stop(w->pats);
}

ROTA_BEHAVIOUR(watchdog, watchdog, WATCHDOG, NULL);

/* ---- heart ---- */

struct heart {
	watchdog_id dog;
};

static int heart_on_beat(struct heart *h, const int *beat)
{
	int error = watchdog_pat(h->dog, *beat);

	if (error != 0)
		return error;
	if (*beat == BEATS)
		return rota_self_stop(*beat);
	return heart_beat_after(heart_of(rota_self()), *beat + 1, ROTA_MS(5),
				NULL);
}

ROTA_BEHAVIOUR(heart, heart, HEART, NULL);

int main(void)
{
	rota_engine *engine = rota_start(NULL);
	struct rota_exit why = {.reason = -1};
	struct heart heart;
	int error;

	if (engine == NULL) {
		perror("rota_start");
		return 1;
	}
	heart.dog = watchdog_spawn(engine, NULL, NULL);
	error = heart_beat(heart_spawn(engine, &heart, NULL), 1);
	if (error == 0)
		error = rota_join(heart.dog.id, ROTA_S(60), &why);
	if (error != 0)
		fprintf(stderr, "timer: %s\n", rota_strerror(error));
	if (rota_stop(engine, ROTA_S(10)) != 0)
		return 1;
	return why.cause != ROTA_EXIT_NORMAL || why.reason != BEATS;
}
