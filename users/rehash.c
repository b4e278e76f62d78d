/* rehash: give a user's password a hash of today's kind.
 *
 * authd starts it when a password was good and its hash is of an older kind,
 * with login, that hash and the password on descriptor 0, NUL behind each.
 * If the user's entry still has that hash, the new one takes its place in
 * vpasswd, and in vpasswd.cdb, as the tools for users would write them.
 *
 * Runs as: auth.  Reads: descriptor 0, users/cdb, the domain's vpasswd and
 * vpasswd.cdb, users/lock.  Writes: those two.  Starts: pwhash.  Trusts:
 * authd.  Trusted by: nobody; authd reads the files when somebody logs in.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>

#include "lib/cdbfile.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/job.h"
#include "users/account.h"
#include "users/textfile.h"
#include "users/vtool.h"

enum { REQUEST = 2048 };

static void
die_memory(void)
{
	strerr_dief(EXIT_TEMP, "out of memory");
}

/* 0: no tool has made it, so there is nothing to change. */
static int
lock(void)
{
	int fd = open("users/lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1 || flock(fd, LOCK_EX) == -1)
		strerr_diefusys(EXIT_TEMP, "lock users/lock");
	return 1;
}

/* name:hash:..., with another hash; what is behind it stays as it is. */
static int
with_hash(stralloc *out, char const *line, size_t n, char const *hash)
{
	size_t name = vpasswd_name(line, n);
	char const *rest = name < n ? memchr(line + name + 1, ':',
	    n - name - 1) : 0;

	return rest && stralloc_catb(out, line, name) &&
	    stralloc_append(out, ':') && stralloc_cats(out, hash) &&
	    stralloc_catb(out, rest, line + n - rest);
}

static int
is_user(char const *name, char const *s, size_t n)
{
	return n == strlen(name) && memcmp(s, name, n) == 0;
}

static int
write_text(char const *name, char const *hash)
{
	struct textfile_owner auth = { geteuid(), getegid(), 0600 };
	stralloc old = STRALLOC_ZERO, new = STRALLOC_ZERO;
	size_t pos = 0, n;
	char const *line;
	int found = 0;

	if (!openslurpclose(&old, "vpasswd"))
		return -1;
	while (vpasswd_line(old.s, old.len, &pos, &line, &n)) {
		int is = is_user(name, line, vpasswd_name(line, n));

		found |= is;
		if (!(is ? with_hash(&new, line, n, hash) :
		    stralloc_catb(&new, line, n)) ||
		    !stralloc_append(&new, '\n'))
			die_memory();
	}
	if (!found) {
		errno = ENOENT;
		return -1;
	}
	return textfile_write("vpasswd", new.s, new.len, &auth);
}

/* One record of the cdb, whose value is all behind the first colon. */
static int
copy(struct cdbmaker *to, char const *key, size_t keylen, char const *value,
    size_t len, char const *name, char const *hash)
{
	stralloc line = STRALLOC_ZERO;
	char const *rest;
	int r;

	if (!is_user(name, key, keylen))
		return cdbmaker_add(to, key, keylen, value, len);
	rest = memchr(value, ':', len);
	if (!rest || !stralloc_cats(&line, hash) ||
	    !stralloc_catb(&line, rest, value + len - rest))
		die_memory();
	r = cdbmaker_add(to, key, keylen, line.s, line.len);
	stralloc_free(&line);
	return r;
}

static int
write_cdb(char const *name, char const *hash)
{
	struct cdbfile from = CDBFILE_ZERO;
	struct cdbmaker to = CDBMAKER_ZERO;
	char const *key, *value;
	size_t keylen, len;
	unsigned int pos = 0;
	int r = cdbfile_open(&from, "vpasswd.cdb");

	/* without one the text is read */
	if (r != 1)
		return r == 0 ? 1 : -1;
	if (cdbmaker_open(&to, "vpasswd.cdb", 0600) == -1)
		return -1;
	while ((r = cdbfile_next(&from, &pos, &key, &keylen, &value,
	    &len)) == 1)
		if (copy(&to, key, keylen, value, len, name, hash) == -1)
			return -1;
	if (r == -1) {
		cdbmaker_abort(&to);
		errno = EPROTO;
		return -1;
	}
	return cdbmaker_commit(&to);
}

static void
change(char const *login, char const *old, stralloc const *password)
{
	struct account who = ACCOUNT_ZERO;
	stralloc hash = STRALLOC_ZERO;
	char const *dir;
	int r;

	vtool_hash(password, &hash);
	if (!lock())
		return;
	r = account_find(login, strlen(login), &who);
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "look up ", login);
	/* somebody may have set another password meanwhile */
	if (r == 0 || strcmp(who.pw.hash, old) != 0)
		return;
	dir = who.domain.home;
	if (chdir(dir) == -1)
		strerr_diefusys(EXIT_TEMP, "enter ", dir);
	if (write_text(who.pw.name, hash.s) == -1)
		strerr_diefusys(EXIT_TEMP, "write ", dir, "/vpasswd");
	if (write_cdb(who.pw.name, hash.s) == -1)
		strerr_diefusys(EXIT_TEMP, "write ", dir, "/vpasswd.cdb");
}

int
main(void)
{
	stralloc secret = STRALLOC_ZERO;
	char request[REQUEST];
	char const *login, *hash, *password;
	size_t pos = 0, n = allread(0, request, sizeof request);

	PROG = "rehash";
	umask(077);
	login = job_field(request, n, &pos);
	hash = login ? job_field(request, n, &pos) : 0;
	password = hash ? job_field(request, n, &pos) : 0;
	if (!password || pos != n)
		strerr_dief(EXIT_USAGE, "no login, hash and password on "
		    "descriptor 0");
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ", home_path());
	if (!stralloc_copys(&secret, password) || !stralloc_0(&secret))
		die_memory();
	change(login, hash, &secret);
	explicit_bzero(request, sizeof request);
	explicit_bzero(secret.s, secret.len);
	return EXIT_DONE;
}
