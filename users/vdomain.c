#include "users/vdomain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/assign.h"
#include "lib/cdbfile.h"
#include "lib/mailbox.h"
#include "users/mailboxes.h"
#include "users/removetree.h"
#include "users/textfile.h"

#define CDB "vpasswd.cdb"

enum { DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

static int
roles(struct vdomain *d)
{
	int a = role_find("auth", &d->auth), v = role_find("vmail", &d->vmail);

	if (a == 0 || v == 0)
		errno = ENOENT;
	if (a != 1 || v != 1)
		return -1;
	/* only to come back to: a profile may forbid to read it */
	d->home = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return d->home == -1 ? -1 : 1;
}

static int
read_vpasswd(struct vdomain *d)
{
	int fd = openat(d->dir, "vpasswd", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd == -1)
		return errno == ENOENT ? 1 : -1;
	r = slurp(&d->vpasswd, fd) ? 1 : -1;
	close(fd);
	return r;
}

int
vdomain_open(struct vdomain *d, char const *domain)
{
	struct assign a = ASSIGN_ZERO;
	stralloc key = STRALLOC_ZERO;
	int r = roles(d);

	if (r == 1 && (!stralloc_cats(&key, domain) ||
	    !stralloc_append(&key, '-')))
		r = -1;
	if (r == 1)
		r = assign_find(key.s, key.len, &a);
	if (r == 1 && (*a.ext || !strchr(a.user, '.')))
		r = 0;		/* somebody else's wildcard */
	if (r == 1) {
		d->dir = open(a.home, DIRECTORY);
		r = d->dir != -1 && stralloc_cats(&d->name, a.user) &&
		    stralloc_0(&d->name) && stralloc_cats(&d->path, a.home) &&
		    stralloc_0(&d->path) && read_vpasswd(d) == 1 ?
		    limits_read(d->dir, &d->limits) : -1;
	}
	stralloc_free(&key);
	stralloc_free(&a.sa);
	return r;
}

static void
new_path(char *out, size_t n, char const *domain)
{
	snprintf(out, n, "domains/.new.%s", domain);
}

static void
final_path(char *out, size_t n, char const *domain)
{
	snprintf(out, n, "domains/%s", domain);
}

int
vdomain_create(struct vdomain *d, char const *domain)
{
	char path[160], cwd[4096];

	if (roles(d) == -1 || !getcwd(cwd, sizeof cwd))
		return -1;
	if (!stralloc_cats(&d->name, domain) || !stralloc_0(&d->name) ||
	    !stralloc_cats(&d->path, cwd) ||
	    !stralloc_cats(&d->path, "/domains/") ||
	    !stralloc_cats(&d->path, domain) || !stralloc_0(&d->path))
		return -1;
	new_path(path, sizeof path, domain);
	/* of a tool that was killed */
	if (removetree(AT_FDCWD, path) == -1 || mkdir(path, 0700) == -1)
		return -1;
	d->dir = open(path, DIRECTORY);
	return d->dir == -1 ? -1 : limits_read(d->dir, &d->limits);
}

int
vdomain_adopt(struct vdomain *d, char const *domain)
{
	char path[160], cwd[4096];

	final_path(path, sizeof path, domain);
	if (roles(d) == -1 || !getcwd(cwd, sizeof cwd))
		return -1;
	d->dir = open(path, DIRECTORY);
	if (d->dir == -1)
		return errno == ENOENT ? 0 : -1;
	if (!stralloc_cats(&d->name, domain) || !stralloc_0(&d->name) ||
	    !stralloc_cats(&d->path, cwd) || !stralloc_append(&d->path, '/') ||
	    !stralloc_cats(&d->path, path) || !stralloc_0(&d->path) ||
	    read_vpasswd(d) == -1)
		return -1;
	return limits_read(d->dir, &d->limits);
}

int
vdomain_publish(struct vdomain *d)
{
	char from[160], to[160];

	new_path(from, sizeof from, d->name.s);
	final_path(to, sizeof to, d->name.s);
	if (fchown(d->dir, d->auth.uid, d->vmail.gid) == -1 ||
	    fchmod(d->dir, 0750) == -1 || fsync(d->dir) == -1)
		return -1;
	return rename(from, to) == -1 ? -1 : 1;
}

int
vdomain_remove(char const *domain)
{
	char path[160];

	snprintf(path, sizeof path, "users/mailbox/%s.cdb", domain);
	if (unlink(path) == -1 && errno != ENOENT)
		return -1;
	new_path(path, sizeof path, domain);
	if (removetree(AT_FDCWD, path) == -1)
		return -1;
	final_path(path, sizeof path, domain);
	return removetree(AT_FDCWD, path);
}

int
vdomain_user(struct vdomain const *d, char const *name, struct vpasswd *out)
{
	size_t pos = 0, n, want = strlen(name);
	char const *line;
	int r;

	while (vpasswd_line(d->vpasswd.s, d->vpasswd.len, &pos, &line, &n)) {
		if (vpasswd_name(line, n) != want || memcmp(line, name, want))
			continue;
		r = vpasswd_parse(line, n, out);
		if (r == 0)
			errno = EPROTO;
		return r == 1 ? 1 : -1;
	}
	return 0;
}

/* The file with that change; lines that nobody asked about stay as they are. */
static int
changed(struct vdomain const *d, char const *name, struct vpasswd const *p,
    stralloc *out)
{
	size_t pos = 0, n, len, want = strlen(name);
	char const *line;
	int r, done = !p;

	while (vpasswd_line(d->vpasswd.s, d->vpasswd.len, &pos, &line, &n)) {
		len = vpasswd_name(line, n);
		r = memcmp(line, name, len < want ? len : want);
		if (r == 0)
			r = len < want ? -1 : len > want;
		if (!done && r >= 0) {
			done = vpasswd_format(out, p);
			if (done != 1)
				return done;
		}
		if (r != 0 && n && (!stralloc_catb(out, line, n) ||
		    !stralloc_append(out, '\n')))
			return -1;
	}
	return done ? 1 : vpasswd_format(out, p);
}

/* The flags that the domain's limits set for everybody stand in the tables,
 * not in vpasswd: a user who may override them is left as he is.
 */
static int
add_user(struct vdomain const *d, struct cdbmaker *m, char const *line,
    size_t n)
{
	static struct vpasswd p = VPASSWD_ZERO;
	static stralloc out = STRALLOC_ZERO;
	size_t len = vpasswd_name(line, n);
	int r;

	if (d->limits.flags && vpasswd_parse(line, n, &p) == 1 &&
	    !(p.flags & MAILBOX_OVERRIDE)) {
		p.flags |= d->limits.flags;
		out.len = 0;
		r = vpasswd_format(&out, &p);
		if (r != 1)
			return r;
		line = out.s;
		n = out.len - 1;
	}
	return cdbmaker_add(m, line, len, line + len + 1, n - len - 1);
}

static int
write_cdb(struct vdomain const *d)
{
	struct cdbmaker m = CDBMAKER_ZERO;
	size_t pos = 0, n, len;
	char const *line;
	int r = 1;

	if (cdbmaker_open(&m, CDB, 0600) == -1)
		return -1;
	if (fchown(m.fd, d->auth.uid, d->auth.gid) == -1) {
		cdbmaker_abort(&m);
		return -1;
	}
	while (r != -1 && vpasswd_line(d->vpasswd.s, d->vpasswd.len, &pos,
	    &line, &n)) {
		len = vpasswd_name(line, n);
		if (len && len < n)
			r = add_user(d, &m, line, n);
	}
	return r == -1 ? -1 : cdbmaker_commit(&m);
}

/* In the domain's own directory. */
static int
within(struct vdomain const *d, int (*write)(struct vdomain const *))
{
	int r;

	if (fchdir(d->dir) == -1)
		return -1;
	r = write(d);
	return fchdir(d->home) == -1 ? -1 : r;
}

static int
write_vpasswd(struct vdomain const *d)
{
	struct textfile_owner const auth = { d->auth.uid, d->auth.gid, 0600 };

	return textfile_write("vpasswd", d->vpasswd.s, d->vpasswd.len, &auth);
}

int
vdomain_tables(struct vdomain *d)
{
	struct mailboxes table = { d->name.s, d->path.s, d->dir, &d->vpasswd,
	    &d->limits };

	if (d->no_cdb)
		return 1;
	return within(d, write_cdb) == 1 ? mailboxes_write(&table) : -1;
}

static void
table_path(struct vdomain const *d, char *out, size_t n)
{
	snprintf(out, n, "users/mailbox/%s.cdb", d->name.s);
}

int
vdomain_stale(struct vdomain const *d)
{
	struct stat dir, table;
	char path[160];

	table_path(d, path, sizeof path);
	if (fstat(d->dir, &dir) == -1)
		return -1;
	if (lstat(path, &table) == -1)
		return errno == ENOENT ? 1 : -1;
	if (table.st_mtim.tv_sec != dir.st_mtim.tv_sec)
		return table.st_mtim.tv_sec < dir.st_mtim.tv_sec;
	return table.st_mtim.tv_nsec < dir.st_mtim.tv_nsec;
}

int
vdomain_settled(struct vdomain const *d)
{
	char path[160];

	table_path(d, path, sizeof path);
	return utimensat(AT_FDCWD, path, 0, AT_SYMLINK_NOFOLLOW) == -1 ?
	    -1 : 1;
}

/* ".old.FILE": no name of a mailbox or an alias. */
static void
old_name(char *out, size_t n, char const *file)
{
	snprintf(out, n, ".old.%s", file);
}

static int
keep(struct vdomain const *d, char const *file)
{
	char old[300];

	old_name(old, sizeof old, file);
	if (unlinkat(d->dir, old, 0) == -1 && errno != ENOENT)
		return -1;
	if (linkat(d->dir, file, d->dir, old, 0) == -1)
		return errno == ENOENT ? 1 : -1;
	return 1;
}

static void
end_one(struct vdomain const *d, char const *file, int good)
{
	char old[300];

	old_name(old, sizeof old, file);
	if (good)
		unlinkat(d->dir, old, 0);
	else if (renameat(d->dir, old, d->dir, file) == -1 && errno == ENOENT)
		unlinkat(d->dir, file, 0);	/* there was none */
	/* two names of one file: rename leaves both */
	unlinkat(d->dir, old, 0);
}

void
vdomain_sweep(struct vdomain const *d)
{
	int fd = openat(d->dir, ".", DIRECTORY);
	DIR *dir = fd == -1 ? 0 : fdopendir(fd);
	struct dirent *e;

	if (!dir && fd != -1)
		close(fd);
	while (dir && (e = readdir(dir)) != 0)
		if (!strncmp(e->d_name, ".old.", 5) ||
		    strstr(e->d_name, ".tmp."))
			unlinkat(fd, e->d_name, 0);	/* no directory */
	if (dir)
		closedir(dir);
}

int
vdomain_begin(struct vdomain const *d, char const *file)
{
	return keep(d, file) == 1 && keep(d, CDB) == 1 ? 1 : -1;
}

int
vdomain_end(struct vdomain const *d, char const *file, int r)
{
	int e = errno;

	end_one(d, file, r == 1);
	end_one(d, CDB, r == 1);
	if (r == 1)
		vdomain_settled(d);
	errno = e;
	return r;
}

int
vdomain_put(struct vdomain *d, stralloc *text)
{
	stralloc old = d->vpasswd;

	if (vdomain_begin(d, "vpasswd") == -1)
		return vdomain_end(d, "vpasswd", -1);
	d->vpasswd = *text;
	*text = old;
	return vdomain_end(d, "vpasswd", within(d, write_vpasswd) == 1 ?
	    vdomain_tables(d) : -1);
}

int
vdomain_set(struct vdomain *d, char const *name, struct vpasswd const *p)
{
	stralloc text = STRALLOC_ZERO;
	int r = changed(d, name, p, &text);

	if (r == 1)
		r = vdomain_put(d, &text);
	stralloc_free(&text);
	return r;
}

static int
make_maildir(struct vdomain *d, int dir)
{
	static char const *const sub[] = { "Maildir", "Maildir/tmp",
	    "Maildir/new", "Maildir/cur" };
	size_t i;

	for (i = 0; i < sizeof sub / sizeof *sub; i++)
		if (mkdirat(dir, sub[i], 0700) == -1)
			return -1;
	/* the top last: until then nobody else can reach below it */
	for (i = sizeof sub / sizeof *sub; i--;)
		if (fchownat(dir, sub[i], d->vmail.uid, d->vmail.gid,
		    AT_SYMLINK_NOFOLLOW) == -1)
			return -1;
	return fchown(dir, d->vmail.uid, d->vmail.gid) == -1 ? -1 : 1;
}

int
vdomain_make_user(struct vdomain *d, char const *name)
{
	int fd, e, r = -1;

	if (mkdirat(d->dir, name, 0700) == -1)
		return -1;
	fd = openat(d->dir, name, DIRECTORY);
	if (fd != -1) {
		r = make_maildir(d, fd);
		e = errno;
		close(fd);
		errno = e;
	}
	if (r == -1) {
		e = errno;
		removetree(d->dir, name);
		errno = e;
	}
	return r;
}

/* One component of a path, and not the way back up. */
static int
is_name(char const *s, size_t n)
{
	errno = EINVAL;
	return n && n < 256 && !(n == 1 && *s == '.') &&
	    !(n == 2 && !memcmp(s, "..", 2));
}

static int
down(int at, char const *s, size_t n)
{
	char part[256];
	int next = -1;

	if (is_name(s, n)) {
		memcpy(part, s, n);
		part[n] = 0;
		next = openat(at, part, DIRECTORY);
	}
	fd_close(at);
	return next;
}

int
vdomain_place(struct vdomain const *d, struct vpasswd const *p,
    char const **name)
{
	char const *s = vpasswd_below(p, d->path.s), *slash;
	int at = fcntl(d->dir, F_DUPFD_CLOEXEC, 0);

	for (; at != -1 && (slash = strchr(s, '/')) != 0; s = slash + 1)
		at = down(at, s, slash - s);
	if (at != -1 && !is_name(s, strlen(s))) {
		fd_close(at);
		errno = EINVAL;
		at = -1;
	}
	*name = s;
	return at;
}

int
vdomain_remove_user(struct vdomain const *d, struct vpasswd const *p)
{
	char const *name;
	int e, r, at = vdomain_place(d, p, &name);

	if (at == -1)
		return errno == ENOENT ? 1 : -1;
	r = removetree(at, name);
	e = errno;
	close(at);
	errno = e;
	return r;
}

int
vdomain_is_left(struct vdomain const *d, char const *name)
{
	struct vpasswd p = VPASSWD_ZERO;
	size_t pos = 0, n, len = strlen(name);
	char const *line, *dir;
	struct stat st;
	int r = fstatat(d->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(st.st_mode);

	while (r && vpasswd_line(d->vpasswd.s, d->vpasswd.len, &pos, &line,
	    &n)) {
		if (!n)
			continue;
		/* a damaged line may be anybody's */
		r = vpasswd_parse(line, n, &p) == 1;
		dir = r ? vpasswd_below(&p, d->path.s) : "";
		if (!strncmp(dir, name, len) && (!dir[len] || dir[len] == '/'))
			r = 0;
	}
	stralloc_free(&p.sa);
	return r;
}

int
vdomain_read(struct vdomain const *d, char const *file, stralloc *out)
{
	int fd = openat(d->dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC);
	struct stat st;
	int e, r = -1;

	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) != -1) {
		errno = S_ISREG(st.st_mode) ? EFBIG : EINVAL;
		if (S_ISREG(st.st_mode) && st.st_size <= VDOMAIN_FILE)
			r = slurp(out, fd) ? 1 : -1;
	}
	e = errno;
	close(fd);
	errno = e;
	return r;
}

int
vdomain_unlink(struct vdomain *d, char const *file)
{
	if (unlinkat(d->dir, file, 0) == -1 && errno != ENOENT)
		return -1;
	return fsync(d->dir) == -1 ? -1 : 1;
}

int
vdomain_usage(struct vdomain *d)
{
	static char const *const sub[] = { ".usage", ".usage/tmp" };
	char quota[64];
	size_t i;

	limits_domain_quota(&d->limits, quota, sizeof quota);
	for (i = 0; *quota && i < sizeof sub / sizeof *sub; i++)
		if (mkdirat(d->dir, sub[i], 0700) == -1 && errno != EEXIST)
			return -1;
	for (i = 2; *quota && i--;)
		if (fchownat(d->dir, sub[i], d->vmail.uid, d->vmail.gid,
		    AT_SYMLINK_NOFOLLOW) == -1)
			return -1;
	return 1;
}

void
vdomain_close(struct vdomain *d)
{
	if (d->dir != -1)
		close(d->dir);
	if (d->home != -1)
		close(d->home);
	stralloc_free(&d->name);
	stralloc_free(&d->path);
	stralloc_free(&d->vpasswd);
}

int
vdomain_write(struct vdomain *d, char const *file, char const *s, size_t n)
{
	struct textfile_owner const both = { d->auth.uid, d->vmail.gid, 0640 };
	int r;

	if (fchdir(d->dir) == -1)
		return -1;
	r = textfile_write(file, s, n, &both);
	return fchdir(d->home) == -1 ? -1 : r;
}
