/* vdominfo: which virtual domains there are, and where.
 *
 * Runs as: root.  Reads: users/assign, users/cdb, vpasswd files.  Writes:
 * standard output.  Trusts: its caller.  Trusted by: the administrator.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/vtool.h"

#define FIELDS "nugdta"
#define USAGE "vdominfo [-" FIELDS "] [domain...]"

static void
number(char const *wanted, char letter, char const *label, unsigned long u)
{
	char text[32];

	snprintf(text, sizeof text, "%lu", u);
	vtool_field(wanted, letter, label, text);
}

static void
show(char const *domain, void *arg)
{
	char const *wanted = arg;
	struct vdomain d = VDOMAIN_ZERO;
	unsigned long users = 0;
	size_t pos = 0, n;
	char const *line;

	vtool_open(&d, domain);
	while (vpasswd_line(d.vpasswd.s, d.vpasswd.len, &pos, &line, &n))
		users += n != 0;
	vtool_field(wanted, 'n', "domain: ", domain);
	if (strcmp(domain, d.name.s) != 0)
		vtool_field(wanted, 'n', "alias of: ", d.name.s);
	number(wanted, 'u', "uid:    ", d.vmail.uid);
	number(wanted, 'g', "gid:    ", d.vmail.gid);
	vtool_field(wanted, 'd', "dir:    ", d.path.s);
	number(wanted, 't', "users:  ", users);
	if (!*wanted)
		vtool_say("", "");
	vdomain_close(&d);
}

int
main(int argc, char *const *argv)
{
	char wanted[16] = "";
	size_t used = 0;
	int c;

	vtool_begin("vdominfo");
	while ((c = getopt(argc, argv, FIELDS)) != -1) {
		if (c == '?')
			strerr_dieusage(EXIT_USAGE, USAGE);
		if (used < sizeof wanted - 1)
			wanted[used++] = c;
	}
	vtool_lock();
	if (optind == argc)
		vtool_domains(1, show, wanted);
	for (; optind < argc; optind++)
		show(vtool_domain(argv[optind]), wanted);
	return 0;
}
