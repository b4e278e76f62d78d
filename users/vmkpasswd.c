/* vmkpasswd: make the tables of virtual domains anew, from vpasswd and .qmail
 * files that somebody edited or copied in.
 *
 * Runs as: root.  Reads: users/assign, users/cdb, the domain's vpasswd, limits
 * and .qmail files.  Writes: vpasswd.cdb, users/mailbox/DOMAIN.cdb.  Trusts:
 * its caller.  Trusted by: the administrator.
 */
#include <stdio.h>
#include <string.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/vtool.h"

/* Lines that nobody can log in or get mail by are named, and left out. */
static int
check(struct vdomain const *d)
{
	struct vpasswd p = VPASSWD_ZERO;
	unsigned long number = 0;
	size_t pos = 0, n;
	char const *line;
	char text[32];
	int code = 0;

	while (vpasswd_line(d->vpasswd.s, d->vpasswd.len, &pos, &line, &n)) {
		number++;
		if (!n || vpasswd_parse(line, n, &p) == 1)
			continue;
		snprintf(text, sizeof text, "%lu", number);
		strerr_warnw(d->path.s, "/vpasswd: line ", text,
		    ": not name:hash:uid:flags:comment:directory:quota");
		code = EXIT_PERM;
	}
	stralloc_free(&p.sa);
	return code;
}

static int
make(char const *domain)
{
	struct vdomain d = VDOMAIN_ZERO;
	int code;

	vtool_open(&d, domain);
	vdomain_sweep(&d);
	code = check(&d);
	if (vdomain_tables(&d) == -1)
		strerr_diefusys(EXIT_TEMP, "write the tables of ", domain);
	vdomain_close(&d);
	return code;
}

static void
one(char const *name, void *arg)
{
	int *code = arg;

	if (make(name))
		*code = EXIT_PERM;
}

int
main(int argc, char *const *argv)
{
	int code = 0;

	vtool_begin("vmkpasswd");
	if (argc > 1 && *argv[1] == '-')
		strerr_dieusage(EXIT_USAGE, "vmkpasswd [domain ...]");
	vtool_lock();
	if (argc == 1)
		vtool_domains(0, one, &code);
	while (*++argv)
		one(vtool_domain(*argv), &code);
	return code;
}
