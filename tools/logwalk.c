#include "tools/logwalk.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/role.h"
#include "lib/sandbox.h"
#include "tools/loglines.h"
#include "tools/logtime.h"

enum { MOST = 256 };		/* logs */

struct at {
	struct logwalk const *w;
	char const *name;
	struct logfiles files;
	struct loglines lines;
	struct logtime time;
	uint64_t last;		/* time of the last line that had one */
};

/* Lines from here to the end of the file.  1; 0 enough; -1 */
static int
read_file(struct at *a)
{
	char const *s;
	size_t n, skip;
	uint64_t us;
	int r;

	while ((r = loglines_next(&a->lines, a->files.finished, &s, &n)) == 1) {
		us = skip = 0;
		if (logtime_scan(&a->time, s, n, &us, &skip) == 1)
			a->last = us;
		if (a->files.lost && us <= a->files.place.time)
			continue;
		a->files.lost = 0;
		r = a->w->line(a->w->ctx, a->name, us, s + skip, n - skip);
		if (r != 1)
			return r;
	}
	return r == -1 ? -1 : 1;
}

static int
too_old(struct at *a)
{
	struct stat st;

	return a->files.finished && !a->lines.offset &&
	    fstat(a->files.fd, &st) == 0 &&
	    ((uint64_t)st.st_mtime + 60) * 1000000 < a->w->since;
}

static int
read_files(struct at *a)
{
	uint64_t inode = 0;
	int r;

	do {
		if (inode != a->files.place.inode ||
		    a->lines.offset > a->files.place.offset) {
			inode = a->files.place.inode;
			loglines_init(&a->lines, a->files.fd,
			    a->files.place.offset);
			logtime_probe(&a->time, a->files.fd);
		}
		r = too_old(a) ? 1 : read_file(a);
		if (r != 1)
			return r;
		r = logfiles_next(&a->files, a->lines.offset, a->last);
	} while (r == 1);
	return r;
}

int
logwalk_one(struct logwalk const *w, char const *path, char const *name,
    struct logplace *place)
{
	static struct at a;
	int r;

	memset(&a, 0, sizeof a);
	a.w = w;
	a.name = name;
	logtime_init(&a.time);
	r = logfiles_open(&a.files, path, place);
	if (r != 1)
		return r;
	r = read_files(&a);
	logfiles_stop(&a.files, a.lines.offset, a.last);
	if (place)
		*place = a.files.place;
	logfiles_close(&a.files);
	return r == -1 ? -1 : 1;
}

static int
by_name(void const *a, void const *b)
{
	return strcmp(((struct logwalk_log const *)a)->path,
	    ((struct logwalk_log const *)b)->path);
}

static void
add(struct logwalk_log *l, char const *dir, char const *name)
{
	size_t n = strlen(dir);

	memcpy(l->path, dir, n);
	l->path[n] = '/';
	memcpy(l->path + n + 1, name, strlen(name) + 1);
	l->name = l->path + n + 1;
}

/* Is that directory a log?  "current" is missing for a moment when a logger
 * goes on to the next file; all of them have a "lock".
 */
static int
is_log(int d, char const *name)
{
	char path[LOGFILES_NAME + 16];
	struct stat st;
	size_t n = strlen(name);

	if ((*name == '.' && n > 1) || n >= LOGFILES_NAME)
		return 0;
	memcpy(path, name, n);
	memcpy(path + n, "/current", 9);
	if (fstatat(d, path, &st, 0) == -1) {
		/* whoever opens it will say that he may not */
		if (errno == EACCES)
			return 1;
		memcpy(path + n, "/lock", 6);
		if (fstatat(d, path, &st, 0) == -1)
			return 0;
	}
	return S_ISREG(st.st_mode);
}

static int
alone(struct logwalk_log *l, char const *path, size_t *n)
{
	char const *slash = strrchr(path, '/');

	if (strlen(path) >= sizeof l->path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(l->path, path, strlen(path) + 1);
	l->name = slash ? l->path + (slash - path) + 1 : l->path;
	*n = 1;
	return 1;
}

int
logwalk_list(char const *dir, struct logwalk_log **out, size_t *n)
{
	DIR *d = opendir(dir);
	struct logwalk_log *l;
	struct dirent *e;
	size_t i;
	int one;

	if (!d && errno != ENOTDIR)
		return errno == ENOENT ? 0 : -1;
	l = calloc(MOST, sizeof *l);
	if (!l)
		return -1;
	*n = 0;
	*out = l;
	one = !d || is_log(dirfd(d), ".") || strlen(dir) >= LOGFILES_NAME;
	while (!one && (e = readdir(d)) && *n < MOST)
		if (*e->d_name != '.' && is_log(dirfd(d), e->d_name))
			add(l + (*n)++, dir, e->d_name);
	if (d)
		closedir(d);
	if (one)
		return alone(l, dir, n);
	qsort(l, *n, sizeof *l, by_name);
	for (i = 0; i < *n; i++)
		l[i].name = l[i].path + strlen(dir) + 1;
	return *n != 0;
}

int
logwalk_all(struct logwalk const *w, char const *dir)
{
	struct logwalk_log *l;
	size_t i, n;
	int r = logwalk_list(dir, &l, &n);

	if (r != 1)
		return r;
	for (i = 0; i < n && r != -1; i++)
		r = logwalk_one(w, l[i].path, l[i].name, 0);
	free(l);
	return r == -1 ? -1 : 1;
}

/* Of a plain file: its directory, where the older ones are. */
static char const *
readable(char const *path)
{
	static char dir[4096];
	char const *slash = strrchr(path, '/');
	size_t n = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
	struct stat st;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return path;
	if (!n || n >= sizeof dir)
		return n ? path : ".";
	memcpy(dir, path, n);
	return dir;
}

int
logwalk_confine(char const *dir, int own)
{
	struct sandbox_path const paths[] = {
		{ readable(dir), SANDBOX_READ }
	};
	struct role nobody, log;

	if (own && geteuid() == 0) {
		if (role_find("popup", &nobody) != 1 ||
		    role_find("log", &log) != 1) {
			errno = ENOENT;
			return -1;
		}
		nobody.gid = log.gid;
		if (role_become(&nobody) == -1)
			return -1;
	}
	if (sandbox_no_new_privs() == -1 || sandbox_paths(paths, 1) == -1 ||
	    sandbox_forbid(SANDBOX_BIND | SANDBOX_CONNECT | SANDBOX_SIGNAL,
	    0, 0) == -1 || sandbox_syscalls() == -1)
		return -1;
	return 1;
}
