/* vuserinfo: what is known about a user of a virtual domain.
 *
 * Runs as: root.  Reads: users/cdb, the domain's vpasswd.  Writes: standard
 * output.  Trusts: its caller.  Trusted by: the administrator.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/vtool.h"

#define FIELDS "npgcdqa"
#define USAGE "vuserinfo [-" FIELDS "] [-D domain] [user@domain]"

static void
field(char const *wanted, char letter, char const *label, char const *value)
{
	if (!*wanted || strchr(wanted, 'a'))
		vtool_say(label, value);
	else if (strchr(wanted, letter))
		vtool_say("", value);
}

static void
show(struct vpasswd const *p, char const *wanted)
{
	char flags[32];

	snprintf(flags, sizeof flags, "%lu", p->flags);
	field(wanted, 'n', "name:   ", p->name);
	field(wanted, 'p', "passwd: ", p->hash);
	field(wanted, 'g', "gid:    ", flags);
	field(wanted, 'c', "comment: ", p->gecos);
	field(wanted, 'd', "dir:    ", p->dir);
	field(wanted, 'q', "quota:  ", p->quota);
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
			show(&p, wanted);
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
	show(&p, wanted);
	return 0;
}
