/* SPDX-License-Identifier: MIT */
/*
 * asleep - does the kernel have a thread asleep?
 *
 * The state is the first field behind the thread's name in its stat file. The
 * name stands in parentheses and may itself contain some: the last one counts.
 */
#include "sched/asleep.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

long asleep_self(void)
{
	return syscall(SYS_gettid);
}

bool asleep_is(long thread)
{
	char line[128]; /* number, name and state take 40 at most */
	char *state;
	ssize_t length;
	int file;

	snprintf(line, sizeof(line), "/proc/self/task/%ld/stat", thread);
	file = open(line, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	length = read(file, line, sizeof(line) - 1);
	close(file);
	line[length > 0 ? length : 0] = '\0';
	state = strrchr(line, ')');
	return state && (state[2] == 'S' || state[2] == 'D');
}
