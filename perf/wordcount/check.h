/* SPDX-License-Identifier: MIT */
/*
 * check - whether the actors and the sequential count agree
 */
#ifndef WORDCOUNT_CHECK_H
#define WORDCOUNT_CHECK_H

#include "job.h"
#include "sequential.h"

/* Compare the sums only; each difference is one line on stderr. Returns how
 * many there are. */
uint64_t check_totals(const struct job *job,
		      const struct sequential *sequential);

/* Compare the count of every word, both ways. The first few differences are
 * named on stderr. Returns how many there are. */
uint64_t check_words(const struct job *job,
		     const struct sequential *sequential);

#endif
