/* vautorespond: answer mail for a user of a virtual domain who is away.
 *
 * Writes what vpopmail's users have: vacation/message with the answer, and a
 * .qmail that runs autorespond and keeps the mail.
 *
 * Runs as: root.  Reads: users/cdb, standard input.  Writes: the user's .qmail
 * and vacation/.  Trusts: its caller; not the user's directory.  Trusted by:
 * the administrator.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/exitcode.h"
#include "users/removetree.h"
#include "users/textfile.h"
#include "users/vtool.h"

#define USAGE "vautorespond [-d days] user@domain on|off"

enum {
	TEXT = 65536, DAYS = 7, MOST_DAYS = 365,
	DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
};

struct place {
	struct vdomain d;
	int dir;		/* of the user */
	struct textfile_owner owner;
};

/* The user's directory is somebody else's: no component may be a link. */
static void
enter(struct place *p, char const *name)
{
	struct vpasswd user = VPASSWD_ZERO;
	char const *last;
	int at;

	vtool_user(&p->d, name, &user);
	at = vdomain_place(&p->d, &user, &last);
	p->dir = at == -1 ? -1 : openat(at, last, DIRECTORY);
	if (p->dir == -1 || fchdir(p->dir) == -1)
		strerr_diefusys(EXIT_TEMP, "open ", user.dir);
	close(at);
	p->owner = (struct textfile_owner)
	    { p->d.vmail.uid, p->d.vmail.gid, 0600 };
}

/* Is there a .qmail that is not ours? */
static int
is_foreign(int *ours)
{
	char text[4096];
	int fd = open(".qmail", O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC);
	size_t n;

	*ours = 0;
	if (fd == -1)
		return errno != ENOENT;
	n = allread(fd, text, sizeof text - 1);
	close(fd);
	text[n] = 0;
	*ours = strstr(text, "/autorespond ") != 0;
	return n && !*ours;
}

static void
save(struct place const *p, char const *dir, char const *file, char const *s,
    size_t n)
{
	int fd = openat(p->dir, dir, DIRECTORY);

	if (fd == -1 || fchdir(fd) == -1 ||
	    textfile_write(file, s, n, &p->owner) == -1)
		strerr_diefusys(EXIT_TEMP, "write ", dir, "/", file);
	close(fd);
}

/* Without the lock: nobody waits for somebody who types. */
static size_t
read_answer(char *text)
{
	size_t n = allread(0, text, TEXT + 1);

	if (n == 0 || n > TEXT || memchr(text, 0, n))
		strerr_dief(EXIT_PERM, n > TEXT ? "the answer is longer than "
		    "64 KiB" : "no answer on standard input");
	return n;
}

static void
turn_on(struct place const *p, unsigned int days, char const *text, size_t n)
{
	char line[8192];
	size_t home;

	if (mkdirat(p->dir, "vacation", 0700) == -1 ? errno != EEXIST :
	    fchownat(p->dir, "vacation", p->owner.uid, p->owner.gid,
	    AT_SYMLINK_NOFOLLOW) == -1)
		strerr_diefusys(EXIT_TEMP, "make vacation");
	save(p, "vacation", "message", text, n);
	home = strlen(p->d.path.s) - strlen(p->d.name.s) - strlen("domains/");
	n = snprintf(line, sizeof line, "|%.*sbin/autorespond %u 1 "
	    "vacation/message vacation\n./Maildir/\n", (int)home,
	    p->d.path.s, days * 86400);
	save(p, ".", ".qmail", line, n);
}

static void
turn_off(struct place const *p, int ours)
{
	if (ours && unlinkat(p->dir, ".qmail", 0) == -1)
		strerr_diefusys(EXIT_TEMP, "remove .qmail");
	if (removetree(p->dir, "vacation") == -1)
		strerr_diefusys(EXIT_TEMP, "remove vacation");
}

int
main(int argc, char *const *argv)
{
	static char text[TEXT + 1];
	struct place p = { VDOMAIN_ZERO, -1, { 0, 0, 0 } };
	unsigned int days = DAYS;
	char *name, *domain;
	size_t n = 0;
	int c, ours, on;

	vtool_begin("vautorespond");
	while ((c = getopt(argc, argv, "d:")) != -1)
		if (c != 'd' || !uint0_scan(optarg, &days) || !days ||
		    days > MOST_DAYS)
			strerr_dieusage(EXIT_USAGE, USAGE);
	argc -= optind;
	argv += optind;
	if (argc != 2 || (strcmp(argv[1], "on") && strcmp(argv[1], "off")))
		strerr_dieusage(EXIT_USAGE, USAGE);
	name = vtool_address(argv[0], &domain);
	on = strcmp(argv[1], "on") == 0;
	if (on)
		n = read_answer(text);
	vtool_lock();
	vtool_open(&p.d, domain);
	enter(&p, name);
	if (is_foreign(&ours))
		strerr_dief(EXIT_PERM, argv[0], " has a .qmail of another kind:"
		    " see to it by hand");
	if (on)
		turn_on(&p, days, text, n);
	else
		turn_off(&p, ours);
	return 0;
}
