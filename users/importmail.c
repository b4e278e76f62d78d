#include "users/import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>

enum { DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

struct box {
	char const *path;	/* of the source, for messages */
	char const *address;
	struct role const *owner;
	struct record record, there;	/* there: in memory alone */
	unsigned long count;
};

static DIR *
directory(int at, char const *name)
{
	int fd = openat(at, name, DIRECTORY);
	DIR *dir = fd == -1 ? 0 : fdopendir(fd);

	if (!dir && fd != -1)
		close(fd);
	return dir;
}

/* The name of a message does not change, but for what follows the colon. */
static size_t
base(char const *name)
{
	return strcspn(name, ":");
}

/* One that is root's is of a run that was killed. */
int
import_directory(int at, char const *name, struct role const *owner)
{
	struct stat st;

	if (mkdirat(at, name, 0700) == -1 && errno != EEXIST)
		return -1;
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return -1;
	if (!S_ISDIR(st.st_mode) || st.st_uid)
		return 1;
	return fchownat(at, name, owner->uid, owner->gid,
	    AT_SYMLINK_NOFOLLOW) == -1 ? -1 : 1;
}

static int
copy_bytes(int from, int to)
{
	static char buf[65536];
	ssize_t r;

	while ((r = read(from, buf, sizeof buf)))
		if (r == -1 ? errno != EINTR :
		    allwrite(to, buf, r) < (size_t)r)
			return -1;
	return 1;
}

/* By way of tmp/; synced with all the others, before they are recorded. */
static int
copy(int from, int to, char const *sub, char const *name,
    struct role const *owner)
{
	struct timespec times[2];
	struct stat st;
	int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC);
	int tmp = openat(to, "tmp", DIRECTORY);
	int dir = openat(to, sub, DIRECTORY);
	int out = -1, r = -1;

	if (in != -1 && tmp != -1 && dir != -1 && fstat(in, &st) != -1) {
		unlinkat(tmp, name, 0);
		errno = EINVAL;
		if (S_ISREG(st.st_mode))
			out = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL |
			    O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	if (out != -1) {
		times[0] = st.st_atim;
		times[1] = st.st_mtim;
		/* its time last: what is old in tmp/ may be swept away */
		if (copy_bytes(in, out) == 1 &&
		    fchown(out, owner->uid, owner->gid) != -1 &&
		    renameat(tmp, name, dir, name) != -1 &&
		    futimens(out, times) != -1)
			r = 1;
		else
			unlinkat(tmp, name, 0);
	}
	fd_close(in);
	fd_close(tmp);
	fd_close(dir);
	fd_close(out);
	return r;
}

static void
one(struct box *b, int from, int to, char const *sub, char const *name)
{
	struct stat st;
	char text[600];
	size_t n = base(name);

	if (strchr(name, '\n') || strlen(name) > 255) {
		import_miss(b->path, ": a message with an odd name");
		return;
	}
	if (record_has(&b->record, name, n))
		return;
	if (record_has(&b->there, name, n)) {	/* a run that was killed */
		record_add(&b->record, name, n);
		return;
	}
	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode)) {
		snprintf(text, sizeof text, "/%s/%s", sub, name);
		import_miss(b->path, text, ": not a file");
		return;
	}
	if (!import.dry && copy(from, to, sub, name, b->owner) == -1)
		import_die("copy a message for", b->address);
	record_add(&b->record, name, n);
	b->count++;
}

static void
each(struct box *b, int from, int to, char const *sub)
{
	DIR *dir = directory(from, sub);
	struct dirent *e;

	if (!dir) {
		if (errno != ENOENT)
			import_trouble(b->path);
		return;
	}
	while ((e = readdir(dir)) != 0)
		if (*e->d_name != '.')
			one(b, dirfd(dir), to, sub, e->d_name);
	closedir(dir);
}

/* What lies there already is not copied again, whatever its flags are now. */
static void
note_there(struct box *b, int to, char const *sub)
{
	DIR *dir = to == -1 ? 0 : directory(to, sub);
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)) != 0)
		if (*e->d_name != '.')
			record_add(&b->there, e->d_name, base(e->d_name));
	closedir(dir);
}

static void
sort_there(struct box *b)
{
	b->there.text = b->there.fresh;
	b->there.fresh = (stralloc)STRALLOC_ZERO;
	if (!stralloc_0(&b->there.text))
		import_die("go on:", "out of memory");
	record_sort(&b->there);
}

static void
folder(struct box *b, int from, int to)
{
	static char const *const sub[] = { "tmp", "new", "cur" };
	size_t i;

	for (i = 0; i < 3 && !import.dry; i++)
		if (import_directory(to, sub[i], b->owner) == -1)
			import_die("make a Maildir for", b->address);
	record_open(&b->there, "");
	note_there(b, to, "new");
	note_there(b, to, "cur");
	sort_there(b);
	each(b, from, to, "new");
	each(b, from, to, "cur");
	stralloc_free(&b->there.text);
	stralloc_free(&b->there.fresh);
	free(b->there.line);
}

/* ".Name": a folder of Maildir++. */
static void
subfolder(struct box *b, int from, int to, char const *name)
{
	int in = openat(from, name, DIRECTORY), out = -1, mark;

	if (in == -1) {
		if (errno != ENOTDIR)
			import_trouble(name);
		return;
	}
	if (!import.dry) {
		if (import_directory(to, name, b->owner) == 1)
			out = openat(to, name, DIRECTORY);
		mark = out == -1 ? -1 : openat(out, "maildirfolder",
		    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (mark == -1 ||
		    fchown(mark, b->owner->uid, b->owner->gid) == -1)
			import_die("make a folder for", b->address);
		close(mark);
	}
	folder(b, in, out);
	close(in);
	fd_close(out);
}

void
import_mail(int from, char const *frompath, int to, char const *address,
    struct role const *owner)
{
	struct box b = { .path = frompath, .address = address,
	    .owner = owner };
	DIR *dir = directory(from, ".");
	struct dirent *e;
	char number[32];

	record_open(&b.record, address);
	folder(&b, from, to);
	while (dir && (e = readdir(dir)) != 0)
		if (*e->d_name == '.' && strcmp(e->d_name, ".") &&
		    strcmp(e->d_name, ".."))
			subfolder(&b, from, to, e->d_name);
	if (dir)
		closedir(dir);
	if (b.count && !import.dry && syncfs(to) == -1)
		import_die("write the mail of", address);
	snprintf(number, sizeof number, "%lu", b.count);
	if (b.count)
		import_done(address, ": messages: ", number);
	record_close(&b.record);
}
