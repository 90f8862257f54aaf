/* SPDX-License-Identifier: MIT */
/*
 * oversubscribe - big with 64 workers, many more than there are cores
 *
 * What happens to an engine in a container that promised more processors than
 * it gets: any spinning or lock held by a worker that is not running shows at
 * once. The number lies on a machine with 64 free cores; there it is big.
 */
#include "perf/bench/scenarios.h"

const struct scenario scenario_oversubscribe = {
	.name = "oversubscribe",
	.what = "big with 64 workers (n pings each)",
	.unit = "message",
	.n = 20000,
	.quick_n = 3000,
	.actors = 120,
	.workers = 64,
	.run = big_run,
};
