/* vcatchall: what becomes of mail for unknown names of a virtual domain.
 *
 * Runs as: root.  Reads: users/cdb, the domain's .qmail-default.  Writes: that
 * file, users/mailbox/DOMAIN.cdb.  Trusts: its caller.  Trusted by: the
 * administrator.
 */
#include <string.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/mailbox.h"
#include "users/vtool.h"

#define USAGE "vcatchall domain [bounce-no-mailbox | delete | user | address]"

static void
show(struct vdomain const *d)
{
	struct mailbox m = MAILBOX_ZERO;
	int r = mailbox_find(d->name.s, d->name.len - 1, "", 0, &m);

	if (r != 1)
		strerr_diefusys(EXIT_TEMP, "read users/mailbox/", d->name.s,
		    ".cdb");
	vtool_say("", m.dir);
}

int
main(int argc, char *const *argv)
{
	struct vdomain d = VDOMAIN_ZERO;
	stralloc text = STRALLOC_ZERO;
	char const *domain;
	int r;

	vtool_begin("vcatchall");
	if (argc < 2 || argc > 3 || *argv[1] == '-')
		strerr_dieusage(EXIT_USAGE, USAGE);
	domain = vtool_domain(argv[1]);
	vtool_lock();
	if (argc == 2) {
		vtool_open(&d, domain);
		show(&d);
		return 0;
	}
	vtool_change(&d, domain);
	vtool_policy(&d, argv[2], &text);
	r = vdomain_begin(&d, ".qmail-default");
	if (r == 1)
		r = vdomain_write(&d, ".qmail-default", text.s, text.len);
	if (r == 1)
		r = vdomain_tables(&d);
	if (vdomain_end(&d, ".qmail-default", r) == -1)
		strerr_diefusys(EXIT_TEMP, "write ", d.path.s,
		    "/.qmail-default");
	return 0;
}
