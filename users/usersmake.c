/* usersmake: compile users/assign, and learn which local names exist.
 *
 * Makes users/cdb, which says whose a local part is, and users/names.cdb,
 * which says whether it exists, each replaced at one stroke.  If users/assign
 * is wrong the old tables stay.
 *
 * Runs as: root (in each home directory: as its owner).  Reads: users/assign,
 * the system's users, the names of their .qmail files.  Writes: users/cdb,
 * users/names.cdb.  Trusts: users/assign; not what home directories hold.
 * Trusted by: lspawn, rcptcheck, smtpd.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <skalibs/djbunix.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/assign.h"
#include "lib/cdbfile.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/role.h"
#include "users/assignfile.h"
#include "users/names.h"

#define ASSIGN "users/assign"
#define CDB "users/cdb"
#define NAMES "users/names.cdb"

enum { FIRST_USER = 1000 };	/* below are the system's own: login.defs(5) */

static void
die_wrong(unsigned int number, char const *why)
{
	char fmt[16];

	snprintf(fmt, sizeof fmt, "%u", number);
	strerr_dief(EXIT_PERM, ASSIGN ", line ", fmt, ": ", why);
}

static void
check(int r, char const *what, char const *name)
{
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, what, " ", name);
}

static void
read_assign(stralloc *file)
{
	if (openslurpclose(file, ASSIGN))
		return;
	if (errno != ENOENT)
		strerr_diefusys(EXIT_TEMP, "read ", ASSIGN);
	if (!stralloc_copys(file, ".\n"))
		strerr_diefusys(EXIT_TEMP, "read ", ASSIGN);
}

/* Wildcards by the last byte of their keys, so that lspawn need not try each
 * beginning of a local part.
 */
static void
note_end(stralloc *ends, struct assignfile_line const *l)
{
	if (l->wildcard && l->n &&
	    !(ends->len && memchr(ends->s, l->local[l->n-1], ends->len)) &&
	    !stralloc_append(ends, l->local[l->n-1]))
		strerr_diefusys(EXIT_TEMP, "remember a wildcard");
}

static void
add_record(struct cdbmaker *m, struct assignfile_line const *l)
{
	stralloc key = STRALLOC_ZERO;

	if (!stralloc_copys(&key, "!") ||
	    !stralloc_catb(&key, l->local, l->n) ||
	    (!l->wildcard && !stralloc_0(&key)))
		strerr_diefusys(EXIT_TEMP, "remember a name");
	check(cdbmaker_add(m, key.s, key.len, l->data, l->len), "write", CDB);
	stralloc_free(&key);
}

static void
add_owner(struct names *t, struct assignfile_line const *l)
{
	struct assign a = ASSIGN_ZERO;
	struct names_owner o = { .local = l->local, .n = l->n };

	if (assign_record(l->data, l->len, "", 0, &a) != 1)
		strerr_diefusys(EXIT_TEMP, "remember an owner");
	o.kind = l->wildcard ? NAMES_WILDCARD : NAMES_EXACT;
	o.uid = a.uid;
	o.gid = a.gid;
	o.home = a.home;
	o.dash = a.dash;
	o.ext = a.ext;
	/* lspawn delivers nothing as root, and we read nothing as root */
	o.hidden = a.uid == 0;
	check(names_add(t, &o), "remember", "an owner");
	stralloc_free(&a.sa);
}

static void
make_cdb(struct names *t)
{
	stralloc file = STRALLOC_ZERO, ends = STRALLOC_ZERO;
	struct cdbmaker m = CDBMAKER_ZERO;
	struct assignfile_line l;
	unsigned int number = 0;
	size_t pos = 0;
	char const *why;
	int r;

	read_assign(&file);
	check(cdbmaker_open(&m, CDB, 0644), "create", CDB);
	while ((r = assignfile_next(&file, &pos, &number, &l, &why)) == 1) {
		add_record(&m, &l);
		note_end(&ends, &l);
		add_owner(t, &l);
	}
	if (r == -1) {
		cdbmaker_abort(&m);
		die_wrong(number, why);
	}
	check(cdbmaker_add(&m, "", 0, ends.s, ends.len), "write", CDB);
	check(cdbmaker_commit(&m), "write", CDB);
	stralloc_free(&file);
	stralloc_free(&ends);
}

/* The same rule as getpw's: not root, and the home directory his own. */
static int
gets_mail(struct passwd const *p)
{
	struct stat st;
	char const *s;

	for (s = p->pw_name; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			return 0;
	return p->pw_uid && stat(p->pw_dir, &st) == 0 &&
	    st.st_uid == p->pw_uid;
}

static void
add_system(struct names *t)
{
	struct passwd *p;

	setpwent();
	while ((p = getpwent())) {
		struct names_owner o = { .kind = NAMES_USER, .dash = "-",
			.ext = "", .local = p->pw_name,
			.n = strlen(p->pw_name), .uid = p->pw_uid,
			.gid = p->pw_gid, .home = p->pw_dir,
			.hidden = p->pw_uid < FIRST_USER };

		if (gets_mail(p))
			check(names_add(t, &o), "remember", p->pw_name);
	}
	endpwent();
}

static void
add_alias(struct names *t)
{
	stralloc home = STRALLOC_ZERO;
	struct names_owner o = { .kind = NAMES_ALIAS, .local = "",
		.dash = "-", .ext = "" };
	struct role alias;
	int r = role_find("alias", &alias);

	check(r, "find user of role", "alias");
	if (r == 0)
		strerr_dief(EXIT_TEMP, "no user for role alias in conf-users");
	if (!stralloc_copys(&home, home_path()) ||
	    !stralloc_cats(&home, "/alias") || !stralloc_0(&home))
		strerr_diefusys(EXIT_TEMP, "remember alias");
	o.uid = alias.uid;
	o.gid = alias.gid;
	o.home = home.s;
	check(names_add(t, &o), "remember", "alias");
	stralloc_free(&home);
}

static void
make_names(struct names *t)
{
	struct cdbmaker m = CDBMAKER_ZERO;

	add_system(t);
	add_alias(t);
	check(cdbmaker_open(&m, NAMES, 0644), "create", NAMES);
	if (names_write(t, &m) == -1) {
		cdbmaker_abort(&m);
		strerr_diefusys(EXIT_TEMP, "write ", NAMES);
	}
	check(cdbmaker_commit(&m), "write", NAMES);
}

/* Held until exit: who has read users/assign before a change must not replace
 * the tables of who has read it since.
 */
static void
lock(void)
{
	int fd = open("users", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1 || flock(fd, LOCK_EX) == -1)
		strerr_diefusys(EXIT_TEMP, "lock users");
}

int
main(int argc, char const *const *argv)
{
	struct names *t = names_new();

	(void)argv;
	PROG = "usersmake";
	if (argc != 1)
		strerr_dieusage(EXIT_USAGE, "usersmake");
	if (!t)
		strerr_diefusys(EXIT_TEMP, "start");
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ",
		    home_path());
	lock();
	make_cdb(t);
	make_names(t);
	return EXIT_DONE;
}
