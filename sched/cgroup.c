/* SPDX-License-Identifier: MIT */
/*
 * cgroup - how much processor time the control groups leave to this process
 *
 * Problem:    a container with 64 cores and a quota of two must not get 64
 *             workers: they use the quota up in a fraction of each period and
 *             then all stand still. hwloc reads cpusets and no quotas.
 * Approach:   /proc/self/cgroup says which group we are in, per hierarchy;
 *             /proc/self/mountinfo says where that hierarchy is mounted, and
 *             which of its groups stands at the mount point. From our group
 *             up to the mount point each folder may have a quota: cpu.max in
 *             version 2, cpu.cfs_quota_us and cpu.cfs_period_us in version 1.
 *             The tightest counts. Both versions may be mounted at once.
 *             Where we are in a namespace of groups and its file system has
 *             not been mounted again, "/" is our group, the mount begins
 *             somewhere above it ("/.."), and nothing tells its name: that is
 *             said. Nor does a group outside our namespace have a name.
 *             What cannot be read or understood is no quota: it limits
 *             nothing that the kernel would not limit anyway.
 * Reference:  cgroup-v2.rst and sched-bwc.rst of the kernel, proc(5).
 */
#include "sched/cgroup.h"

#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hierarchy {
	bool is_v2;
	char *path;	 /* our group in it */
	unsigned *quota; /* the tightest so far, in thousandths; 0: none */
	bool *is_hidden; /* see cgroup.h */
};

/* One line of mountinfo, cut into its fields. */
struct mount {
	char *root;    /* the group at the mount point */
	char *point;   /* where it is mounted */
	char *type;    /* of the file system */
	char *options; /* of the file system: names the controllers */
};

static FILE *open_below(const char *root, const char *folder, const char *name)
{
	char path[PATH_MAX];

	if ((unsigned)snprintf(path, sizeof(path), "%s%s/%s", root, folder,
			       name) >= sizeof(path))
		return NULL;
	return fopen(path, "re");
}

/* Is @name among the items of a list with commas? */
static bool has_item(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (;;) {
		if (strncmp(list, name, length) == 0 &&
		    (list[length] == ',' || list[length] == '\0'))
			return true;
		list = strchr(list, ',');
		if (!list)
			return false;
		list++;
	}
}

/* ---- the quota of one group */

/* "max 100000", "150000 100000". */
static bool read_v2(const char *root, const char *folder, int64_t *quota,
		    int64_t *period)
{
	FILE *file = open_below(root, folder, "cpu.max");
	int n;

	if (!file)
		return false;
	n = fscanf(file, "%" SCNd64 " %" SCNd64, quota, period);
	fclose(file);
	return n == 2;
}

static bool read_number(const char *root, const char *folder, const char *name,
			int64_t *number)
{
	FILE *file = open_below(root, folder, name);
	int n;

	if (!file)
		return false;
	n = fscanf(file, "%" SCNd64, number);
	fclose(file);
	return n == 1;
}

/* A quota of -1 is none. */
static bool read_v1(const char *root, const char *folder, int64_t *quota,
		    int64_t *period)
{
	return read_number(root, folder, "cpu.cfs_quota_us", quota) &&
	       read_number(root, folder, "cpu.cfs_period_us", period);
}

static void tighten(const struct hierarchy *hierarchy, const char *root,
		    const char *folder)
{
	int64_t quota, period, millicpus;

	if (!(hierarchy->is_v2 ? read_v2 : read_v1)(root, folder, &quota,
						    &period))
		return;
	if (quota <= 0 || period <= 0 || quota > INT64_MAX / 1000)
		return;
	millicpus = quota * 1000 / period;
	if (millicpus > INT_MAX)
		return;
	if (millicpus == 0)
		millicpus = 1; /* 0 would mean none */
	if (*hierarchy->quota == 0 || millicpus < *hierarchy->quota)
		*hierarchy->quota = (unsigned)millicpus;
}

/* ---- from our group to the mount point */

/* What is left of @path below @group; NULL if it is not below it. */
static const char *path_below(const char *path, const char *group)
{
	size_t length = strlen(group);

	if (strcmp(group, "/") == 0)
		return path;
	if (strncmp(path, group, length) != 0 ||
	    (path[length] != '/' && path[length] != '\0'))
		return NULL;
	return path + length;
}

/* A group outside our namespace is shown as "/../...": not below any mount. */
static bool leads_out(const char *path)
{
	return strstr(path, "/../") ||
	       (strlen(path) >= 3 &&
		strcmp(path + strlen(path) - 3, "/..") == 0);
}

static void climb(const struct hierarchy *hierarchy, const char *root,
		  const char *point, const char *below)
{
	size_t length = strlen(point);
	char *folder;

	if (asprintf(&folder, "%s%s", point, below) < 0)
		return;
	for (;;) {
		char *slash;

		tighten(hierarchy, root, folder);
		slash = strrchr(folder, '/');
		if (!slash || (size_t)(slash - folder) < length)
			break;
		*slash = '\0';
	}
	free(folder);
}

/* ---- mounts */

/* Blanks in names stand there as octal numbers: "\040". */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		unsigned code;

		if (*text == '\\' && sscanf(text + 1, "%3o", &code) == 1) {
			*to++ = (char)code;
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* id parent device ROOT POINT options [tags ...] - TYPE source OPTIONS */
static bool parse_mount(char *line, struct mount *mount)
{
	char *rest = strstr(line, " - "), *save, *field[5];
	unsigned i;

	line[strcspn(line, "\n")] = '\0';
	if (!rest)
		return false;
	*rest = '\0';
	for (i = 0; i < 5; i++) {
		field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (!field[i])
			return false;
	}
	mount->root = field[3];
	mount->point = field[4];
	mount->type = strtok_r(rest + 3, " ", &save);
	strtok_r(NULL, " ", &save);
	mount->options = strtok_r(NULL, " ", &save);
	if (!mount->options)
		return false;
	unescape(mount->root);
	unescape(mount->point);
	return true;
}

static bool is_mount_of(const struct mount *mount,
			const struct hierarchy *hierarchy)
{
	if (hierarchy->is_v2)
		return strcmp(mount->type, "cgroup2") == 0;
	return strcmp(mount->type, "cgroup") == 0 &&
	       has_item(mount->options, "cpu");
}

/*
 * Climb from our group where it is below some mount. Where it is below none (a
 * container that is shown a path of its host), the group at the first mount
 * point is the closest that we can see.
 */
static void visit_mounts(const struct hierarchy *hierarchy, const char *root)
{
	FILE *file = open_below(root, "/proc/self", "mountinfo");
	char *line = NULL, *first = NULL;
	bool is_found = false, is_out = leads_out(hierarchy->path);
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		struct mount mount;
		const char *below;

		if (!parse_mount(line, &mount) ||
		    !is_mount_of(&mount, hierarchy))
			continue;
		is_out |= leads_out(mount.root);
		below = path_below(hierarchy->path, mount.root);
		if (below && !leads_out(below)) {
			is_found = true;
			climb(hierarchy, root, mount.point, below);
		} else if (!first) {
			first = strdup(mount.point);
		}
	}
	if (first && !is_found) {
		*hierarchy->is_hidden |= is_out;
		tighten(hierarchy, root, first);
	}
	free(first);
	free(line);
	if (file)
		fclose(file);
}

/* number:controllers:path; no controllers: version 2 */
static bool parse_group(char *line, struct hierarchy *hierarchy)
{
	char *controllers = strchr(line, ':'), *path;

	if (!controllers)
		return false;
	path = strchr(++controllers, ':');
	if (!path)
		return false;
	*path++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	hierarchy->path = path;
	hierarchy->is_v2 = controllers[0] == '\0';
	return hierarchy->is_v2 || has_item(controllers, "cpu");
}

unsigned cgroup_millicpus(const char *root, bool *is_hidden)
{
	FILE *file = open_below(root, "/proc/self", "cgroup");
	bool is_one_hidden = false;
	unsigned quota = 0;
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		struct hierarchy hierarchy = {.quota = &quota,
					      .is_hidden = &is_one_hidden};

		if (parse_group(line, &hierarchy))
			visit_mounts(&hierarchy, root);
	}
	free(line);
	if (file)
		fclose(file);
	if (is_hidden)
		*is_hidden = is_one_hidden;
	return quota;
}
