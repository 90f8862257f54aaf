/* SPDX-License-Identifier: MIT */
/*
 * cgroup - how much processor time the control groups leave to this process
 */
#ifndef ROTA_SCHED_CGROUP_H
#define ROTA_SCHED_CGROUP_H

#include <stdbool.h>

/*
 * The tightest quota of this process's group and of all groups around it, in
 * thousandths of a processor (1500: one and a half); 0: none, or none that can
 * be read. @is_hidden (may be NULL): our group lies in a namespace and no mount
 * shows it from there, so that its quota may be missed. @root is the folder
 * that holds proc and all mount points: "" for the machine's own, another one
 * for tests. Reads files, some tens of microseconds; it may be called again at
 * any time, from any thread.
 */
unsigned cgroup_millicpus(const char *root, bool *is_hidden);

#endif
