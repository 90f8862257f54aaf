/* SPDX-License-Identifier: MIT */
/*
 * fib - the same recursion on two schedulers
 */
#ifndef ROTA_PERF_FIB_H
#define ROTA_PERF_FIB_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one computation took. */
struct fib_time {
	int64_t result; /* fib(n), or a negative number: it failed */
	uint64_t elapsed_ns;
	uint64_t cpu_ns; /* of all threads of the process meanwhile */
};

/* fib(n) on so many workers: one warm-up of a tenth of the work, one run. */
struct fib_time fib_on_rota(int n, unsigned workers);
struct fib_time fib_on_tbb(int n, unsigned workers);

/* The version of oneTBB that runs, as in TBB_runtime_interface_version(). */
int fib_tbb_version(void);

#ifdef __cplusplus
}
#endif

#endif
