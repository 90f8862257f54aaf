/* SPDX-License-Identifier: MIT */
/*
 * registry - the scenarios, in the order of the table that `all` prints
 */
#include "perf/bench/scenarios.h"

/* One a line, in the order of the table. */
/* clang-format off */
const struct scenario *const scenarios[] = {
	&scenario_pingpong,
	&scenario_ring,
	&scenario_counting,
	&scenario_mpsc,
	&scenario_fjthroughput,
	&scenario_fjthroughput_240,
	&scenario_big,
	&scenario_chameneos,
	&scenario_random,
	&scenario_ask,
	&scenario_ask_thread,
	&scenario_scatter,
	&scenario_reads_100ns,
	&scenario_reads_2us,
	&scenario_reads_20us,
	&scenario_spawn,
	&scenario_skynet,
	&scenario_idle,
	&scenario_wakeup,
	&scenario_latency_pairs,
	&scenario_latency_ring,
	&scenario_steal_10us,
	&scenario_steal_50us,
	&scenario_steal_1ms,
	&scenario_oversubscribe,
	&scenario_queens,
	&scenario_sort,
	&scenario_receive,
	&scenario_waiters,
	&scenario_offload,
	&scenario_pingpong_dedicated,
	&scenario_cell_cast,
	&scenario_cell_call,
	&scenario_cell_dedicated,
	&scenario_cell_inside,
	&scenario_sibling,
	NULL,
};
/* clang-format on */
