/* vdominfo: which virtual domains there are, and where.
 *
 * Runs as: root.  Reads: users/assign, users/cdb, vpasswd files.  Writes:
 * standard output.  Trusts: its caller.  Trusted by: the administrator.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/vtool.h"

#define FIELDS "nugdta"
#define USAGE "vdominfo [-" FIELDS "] [domain...]"

static void
field(char const *wanted, char letter, char const *label, char const *value)
{
	if (!*wanted || strchr(wanted, 'a'))
		vtool_say(label, value);
	else if (strchr(wanted, letter))
		vtool_say("", value);
}

static void
number(char const *wanted, char letter, char const *label, unsigned long u)
{
	char text[32];

	snprintf(text, sizeof text, "%lu", u);
	field(wanted, letter, label, text);
}

static void
show(char const *domain, char const *wanted)
{
	struct vdomain d = VDOMAIN_ZERO;
	unsigned long users = 0;
	size_t pos = 0, n;
	char const *line;

	vtool_open(&d, domain);
	while (vpasswd_line(d.vpasswd.s, d.vpasswd.len, &pos, &line, &n))
		users += n != 0;
	field(wanted, 'n', "domain: ", domain);
	if (strcmp(domain, d.name.s) != 0)
		field(wanted, 'n', "alias of: ", d.name.s);
	number(wanted, 'u', "uid:    ", d.vmail.uid);
	number(wanted, 'g', "gid:    ", d.vmail.gid);
	field(wanted, 'd', "dir:    ", d.path.s);
	number(wanted, 't', "users:  ", users);
	if (!*wanted)
		vtool_say("", "");
	close(d.dir);
	close(d.home);
	stralloc_free(&d.name);
	stralloc_free(&d.path);
	stralloc_free(&d.vpasswd);
}

/* "+domain-:domain:..." of users/assign */
static void
show_all(char const *wanted)
{
	stralloc all = STRALLOC_ZERO;
	char const *line, *second;
	size_t pos = 0, n, len;
	char name[128];

	if (!openslurpclose(&all, "users/assign") && errno != ENOENT)
		strerr_diefusys(EXIT_TEMP, "read users/assign");
	while (vpasswd_line(all.s, all.len, &pos, &line, &n)) {
		len = vpasswd_name(line, n);
		if (len < 3 || len >= n || len >= sizeof name ||
		    *line != '+' || line[len-1] != '-')
			continue;
		second = line + len + 1;
		if (!memchr(second, '.', vpasswd_name(second, n - len - 1)))
			continue;
		memcpy(name, line + 1, len - 2);
		name[len - 2] = 0;
		show(name, wanted);
	}
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
	if (optind == argc)
		show_all(wanted);
	for (; optind < argc; optind++)
		show(vtool_domain(argv[optind]), wanted);
	return 0;
}
