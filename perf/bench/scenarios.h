/* SPDX-License-Identifier: MIT */
/*
 * scenarios - one line for each; registry.c puts them in order
 */
#ifndef ROTA_PERF_SCENARIOS_H
#define ROTA_PERF_SCENARIOS_H

#include "perf/bench/bench.h"

extern const struct scenario scenario_pingpong;
extern const struct scenario scenario_pingpong_dedicated;
extern const struct scenario scenario_ring;
extern const struct scenario scenario_counting;
extern const struct scenario scenario_mpsc;
extern const struct scenario scenario_fjthroughput;
extern const struct scenario scenario_fjthroughput_240;
extern const struct scenario scenario_big;
extern const struct scenario scenario_chameneos;
extern const struct scenario scenario_random;
extern const struct scenario scenario_ask;
extern const struct scenario scenario_ask_thread;
extern const struct scenario scenario_scatter;
extern const struct scenario scenario_reads_100ns;
extern const struct scenario scenario_reads_2us;
extern const struct scenario scenario_reads_20us;
extern const struct scenario scenario_spawn;
extern const struct scenario scenario_skynet;
extern const struct scenario scenario_idle;
extern const struct scenario scenario_wakeup;
extern const struct scenario scenario_latency_pairs;
extern const struct scenario scenario_latency_ring;
extern const struct scenario scenario_steal_10us;
extern const struct scenario scenario_steal_50us;
extern const struct scenario scenario_steal_1ms;
extern const struct scenario scenario_sibling;
extern const struct scenario scenario_oversubscribe;
extern const struct scenario scenario_queens;
extern const struct scenario scenario_sort;
extern const struct scenario scenario_offload;
extern const struct scenario scenario_receive;
extern const struct scenario scenario_waiters;
extern const struct scenario scenario_cell_cast;
extern const struct scenario scenario_cell_call;
extern const struct scenario scenario_cell_dedicated;
extern const struct scenario scenario_cell_inside;

/* big, which oversubscribe runs with too many workers. */
void big_run(struct run *run);

#endif
