/* SPDX-License-Identifier: MIT */
/*
 * save - writes a file as a whole or not at all
 *
 * A file takes the place of the one before it when it lies on the disk. What is
 * no file (a device, a pipe), or our own standard output, is written to.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "perf/places/places.h"

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			text += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

static mode_t mode_of_new_files(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return 0666 & ~mask;
}

/* 0, or -1 and errno; then @name is as before. */
static int replace(const char *name, mode_t mode, const char *text, size_t size)
{
	char *beside;
	int fd, error = 0;

	if (asprintf(&beside, "%s.XXXXXX", name) < 0)
		places_fail("no memory for a name");
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd >= 0) {
		if (write_all(fd, text, size) < 0 || fchmod(fd, mode) < 0 ||
		    fsync(fd) < 0)
			error = errno;
		if (close(fd) < 0 && error == 0)
			error = errno;
		if (error == 0 && rename(beside, name) < 0)
			error = errno;
		if (error != 0)
			unlink(beside);
	} else {
		error = errno;
	}
	free(beside);
	errno = error;
	return error == 0 ? 0 : -1;
}

static int write_to(int fd, const char *text, size_t size)
{
	int error = 0;

	if (fd < 0)
		return -1;
	if (write_all(fd, text, size) < 0)
		error = errno;
	if (close(fd) < 0 && error == 0)
		error = errno;
	errno = error;
	return error == 0 ? 0 : -1;
}

static bool is_our_output(const struct stat *status)
{
	struct stat output;

	return fstat(STDOUT_FILENO, &output) == 0 &&
	       output.st_dev == status->st_dev &&
	       output.st_ino == status->st_ino;
}

void places_save(const char *name, const char *text, size_t size)
{
	/* Where links lead to; NULL: to nothing yet. */
	char *path = realpath(name, NULL);
	struct stat status;
	int result;

	if (path != NULL && stat(path, &status) == 0 && is_our_output(&status))
		result = write_to(dup(STDOUT_FILENO), text, size);
	else if (path != NULL && stat(path, &status) == 0 &&
		 S_ISREG(status.st_mode))
		result = replace(path, status.st_mode & 0777, text, size);
	else if (path == NULL && lstat(name, &status) < 0 && errno == ENOENT)
		result = replace(name, mode_of_new_files(), text, size);
	else
		result = write_to(
			open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666), text,
			size);
	if (result < 0)
		places_fail("%s cannot be written: %s", name, strerror(errno));
	free(path);
}
