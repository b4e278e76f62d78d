/* maildirmake: make a Maildir, or a folder in one, or give one a quota.
 *
 * Runs as: the mailbox's owner.  Reads: nothing.  Writes: the Maildir.
 * Trusts: its arguments.  Trusted by: nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"

#define USAGE "maildirmake [ -f folder ] [ -q quota ] dir"

static void
make_dir(char const *dir, char const *name)
{
	stralloc path = STRALLOC_ZERO;

	if (!stralloc_cats(&path, dir) || !stralloc_cats(&path, name) ||
	    !stralloc_0(&path))
		strerr_diefusys(EXIT_TEMP, "make a name");
	if (mkdir(path.s, 0700) == -1)
		strerr_diefusys(EXIT_TEMP, "make directory ", path.s);
	stralloc_free(&path);
}

static void
make_maildir(char const *dir)
{
	make_dir(dir, "");
	make_dir(dir, "/tmp");
	make_dir(dir, "/new");
	make_dir(dir, "/cur");
}

/* Courier's Maildir++: a folder is DIR/.NAME, marked by a file. */
static void
make_folder(char const *dir, char const *folder)
{
	stralloc path = STRALLOC_ZERO;

	if (!*folder || *folder == '.' || strchr(folder, '/'))
		strerr_dief(EXIT_PERM, "not a folder's name: ", folder);
	if (!stralloc_cats(&path, dir) || !stralloc_cats(&path, "/.") ||
	    !stralloc_cats(&path, folder) || !stralloc_0(&path))
		strerr_diefusys(EXIT_TEMP, "make a name");
	make_maildir(path.s);
	path.len--;
	if (!stralloc_cats(&path, "/maildirfolder") || !stralloc_0(&path))
		strerr_diefusys(EXIT_TEMP, "make a name");
	if (!openwritenclose(path.s, "", 0))
		strerr_diefusys(EXIT_TEMP, "write ", path.s);
	stralloc_free(&path);
}

/* Digits and that letter; what follows, or null. */
static char const *
number(char const *s, char letter)
{
	size_t n = strspn(s, "0123456789");

	return n && n <= 18 && s[n] == letter ? s + n + 1 : 0;
}

/* "NNNNS", "NNNNC", or both with a comma. */
static int
quota_ok(char const *s)
{
	char const *rest = number(s, 'S');

	if (rest && *rest == ',')
		rest = number(rest + 1, 'C');
	else if (!rest)
		rest = number(s, 'C');
	return rest && !*rest;
}

/* The first line of maildirsize; programs that deliver count anew below it. */
static void
set_quota(char const *dir, char const *quota)
{
	stralloc path = STRALLOC_ZERO, line = STRALLOC_ZERO;

	if (!quota_ok(quota))
		strerr_dief(EXIT_PERM, "not a quota: ", quota);
	if (!stralloc_cats(&path, dir) ||
	    !stralloc_cats(&path, "/maildirsize") || !stralloc_0(&path) ||
	    !stralloc_cats(&line, quota) || !stralloc_cats(&line, "\n"))
		strerr_diefusys(EXIT_TEMP, "make a name");
	if (!openwritenclose(path.s, line.s, line.len))
		strerr_diefusys(EXIT_TEMP, "write ", path.s);
	stralloc_free(&path);
	stralloc_free(&line);
}

int
main(int argc, char const *const *argv)
{
	char const *folder = 0, *quota = 0;
	int opt;

	PROG = "maildirmake";
	umask(077);
	while ((opt = sgetopt(argc, argv, "f:q:")) != -1) {
		if (opt == 'f')
			folder = subgetopt_here.arg;
		else if (opt == 'q')
			quota = subgetopt_here.arg;
		else
			strerr_dieusage(EXIT_USAGE, USAGE);
	}
	if (argc - subgetopt_here.ind != 1 || (folder && quota))
		strerr_dieusage(EXIT_USAGE, USAGE);
	argv += subgetopt_here.ind;
	if (folder)
		make_folder(argv[0], folder);
	else if (quota && access(argv[0], F_OK) == 0)
		set_quota(argv[0], quota);
	else {
		make_maildir(argv[0]);
		if (quota)
			set_quota(argv[0], quota);
	}
	return EXIT_DONE;
}
