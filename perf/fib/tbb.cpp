/* SPDX-License-Identifier: MIT */
/* tbb - fib with a task per call, on oneTBB */
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <tbb/version.h>

#include "perf/fib/fib.h"

extern "C" {
#include "perf/bench/measure.h"
}

/* Both children are tasks, as on the other side. */
static int64_t fib(int n)
{
	int64_t a = 0, b = 0;

	if (n < 2)
		return n; /* before there is a group, as on the other side */
	tbb::task_group group;
	group.run([&a, n] { a = fib(n - 1); });
	group.run([&b, n] { b = fib(n - 2); });
	group.wait();
	return a + b;
}

struct fib_time fib_on_tbb(int n, unsigned workers)
{
	tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
				  workers);
	tbb::task_arena arena(static_cast<int>(workers));
	struct fib_time time;

	arena.execute([n] { return fib(n > 5 ? n - 5 : n); });
	time.elapsed_ns = measure_ns();
	time.cpu_ns = measure_cpu_ns();
	time.result = arena.execute([n] { return fib(n); });
	time.elapsed_ns = measure_ns() - time.elapsed_ns;
	time.cpu_ns = measure_cpu_ns() - time.cpu_ns;
	return time;
}

int fib_tbb_version(void)
{
	return TBB_runtime_interface_version();
}
