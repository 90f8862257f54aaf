/* SPDX-License-Identifier: MIT */
/*
 * progress - one line on standard error that says how far the count is
 */
#ifndef WORDCOUNT_PROGRESS_H
#define WORDCOUNT_PROGRESS_H

#include "job.h"

/* To be used only where stderr is a terminal. */
void progress_show(const struct progress *progress, double seconds);

/* Take the line away. */
void progress_end(void);

#endif
