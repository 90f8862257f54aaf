/* SPDX-License-Identifier: MIT */
/*
 * progress - one line on standard error that says how far the count is
 */
#include <stdio.h>

#include "progress.h"

void progress_show(const struct progress *progress, double seconds)
{
	double words = (double)progress->words * 1e-6;

	fprintf(stderr,
		"\r%.0f MB read, %.2f M lines, %.2f M words, %.3f M distinct, "
		"%.2f M words/s\033[K",
		(double)progress->bytes * 1e-6, (double)progress->lines * 1e-6,
		words, (double)progress->distinct * 1e-6,
		words / (seconds > 0 ? seconds : 1));
}

void progress_end(void)
{
	fputs("\r\033[K", stderr);
}
