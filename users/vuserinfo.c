/* vuserinfo: what is known about a user of a virtual domain.
 *
 * Runs as: root.  Reads: users/cdb, the domain's vpasswd, what Maildirs hold.
 * Writes: standard output.  Trusts: its caller.  Trusted by: the administrator.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/quota.h"
#include "users/vtool.h"

#define FIELDS "npgcdqQa"
#define USAGE "vuserinfo [-" FIELDS "] [-D domain] [user@domain]"

/* What lies in the mailbox.  1, -1. */
static int
count(struct vdomain const *d, struct vpasswd const *p, struct quota_sum *s)
{
	char const *name;
	int at = vdomain_place(d, p, &name), box = -1, e, r = -1;

	if (at != -1)
		box = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		    O_CLOEXEC);
	if (box != -1)
		r = quota_sum(box, "Maildir", s);
	e = errno;
	fd_close(box);
	fd_close(at);
	errno = e;
	return r;
}

static void
usage(struct vdomain const *d, struct vpasswd const *p, char const *wanted)
{
	struct quota_sum s = { 0, 0, 0, 0 };
	struct quota q = { 0, 0 };
	char text[120];
	int n;

	if (count(d, p, &s) == -1) {
		vtool_field(wanted, 'Q', "usage:  unknown: ", strerror(errno));
		return;
	}
	n = snprintf(text, sizeof text, "%" PRId64 " bytes, %" PRId64
	    " messages", s.bytes, s.count);
	if (quota_parse(p->quota, &q) == 1)
		snprintf(text + n, sizeof text - n, ", %.0f %%", q.bytes ?
		    100. * s.bytes / q.bytes : 100. * s.count / q.count);
	vtool_field(wanted, 'Q', "usage:  ", text);
}

/* Without options, for one user: the usage too.  Of many only if it is asked
 * for: it may have to be counted.
 */
static void
show(struct vdomain const *d, struct vpasswd const *p, char const *wanted,
    int many)
{
	char flags[32];

	snprintf(flags, sizeof flags, "%lu", p->flags);
	vtool_field(wanted, 'n', "name:   ", p->name);
	vtool_field(wanted, 'p', "passwd: ", p->hash);
	vtool_field(wanted, 'g', "gid:    ", flags);
	vtool_field(wanted, 'c', "comment: ", p->gecos);
	vtool_field(wanted, 'd', "dir:    ", p->dir);
	vtool_field(wanted, 'q', "quota:  ", p->quota);
	if (*wanted ? strpbrk(wanted, "Qa") != 0 : !many)
		usage(d, p, wanted);
}

static void
show_all(char const *domain, char const *wanted)
{
	struct vdomain d = VDOMAIN_ZERO;
	struct vpasswd p = VPASSWD_ZERO;
	size_t pos = 0, n;
	char const *line;

	vtool_open(&d, domain);
	while (vpasswd_line(d.vpasswd.s, d.vpasswd.len, &pos, &line, &n)) {
		if (vpasswd_parse(line, n, &p) == 1)
			show(&d, &p, wanted, 1);
		else
			strerr_warnw("a damaged line in ", d.path.s,
			    "/vpasswd");
		if (!*wanted)
			vtool_say("", "");
	}
}

int
main(int argc, char *const *argv)
{
	struct vdomain d = VDOMAIN_ZERO;
	struct vpasswd p = VPASSWD_ZERO;
	char wanted[16] = "", *name, *domain, *all = 0;
	size_t used = 0;
	int c;

	vtool_begin("vuserinfo");
	while ((c = getopt(argc, argv, FIELDS "D:")) != -1) {
		if (c == 'D')
			all = vtool_domain(optarg);
		else if (c == '?')
			strerr_dieusage(EXIT_USAGE, USAGE);
		else if (used < sizeof wanted - 1)
			wanted[used++] = c;
	}
	if (argc - optind != !all)
		strerr_dieusage(EXIT_USAGE, USAGE);
	vtool_lock();
	if (all) {
		show_all(all, wanted);
		return 0;
	}
	name = vtool_address(argv[optind], &domain);
	vtool_open(&d, domain);
	vtool_user(&d, name, &p);
	show(&d, &p, wanted, 0);
	return 0;
}
