/* vmoduser: change what a user of a virtual domain may, or all of its users.
 *
 * Runs as: root.  Reads: users/cdb.  Writes: the domain's vpasswd and
 * vpasswd.cdb, users/mailbox/DOMAIN.cdb, users/full.  Trusts: its caller.
 * Trusted by: the administrator.
 */
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/mailbox.h"
#include "users/usermod.h"
#include "users/vtool.h"

#define FLAGS "dpwibru0123saofFSEm"
#define USAGE "vmoduser [-n" FLAGS "xX] [-q quota] [-c comment] [-e hash] " \
	"[-C password] user@domain | domain"

/* in the order of FLAGS */
static unsigned long const flags[] = {
	MAILBOX_NOPASSWD, MAILBOX_NOPOP, MAILBOX_NOWEBMAIL, MAILBOX_NOIMAP,
	MAILBOX_BOUNCE, MAILBOX_NORELAY, MAILBOX_NODIALUP, MAILBOX_USER0,
	MAILBOX_USER1, MAILBOX_USER2, MAILBOX_USER3, MAILBOX_NOSMTP,
	MAILBOX_ADMIN, MAILBOX_OVERRIDE, MAILBOX_NOSPAMASSASSIN,
	MAILBOX_DELETESPAM, MAILBOX_SYSTEMADMIN, MAILBOX_EXPERT,
	MAILBOX_NOMAILDROP
};

int
main(int argc, char *const *argv)
{
	stralloc password = STRALLOC_ZERO, hash = STRALLOC_ZERO;
	struct usermod m = USERMOD_ZERO;
	char const *clear = 0;
	int c, take = 0;

	vtool_begin("vmoduser");
	while ((c = getopt(argc, argv, FLAGS "nxXq:c:e:C:")) != -1) {
		switch (c) {
		case 'n': m.no_cdb = 1; break;
		case 'x': m.clear_flags = ~0UL; break;
		case 'X': take = 1; break;
		case 'q': m.quota = vtool_quota(optarg); break;
		case 'c': m.gecos = optarg; break;
		case 'e': m.hash = optarg; break;
		case 'C': clear = optarg; break;
		case '?': strerr_dieusage(EXIT_USAGE, USAGE);
		default: m.flags |= flags[strchr(FLAGS, c) - FLAGS];
		}
	}
	if (argc - optind != 1)
		strerr_dieusage(EXIT_USAGE, USAGE);
	if (take) {
		m.clear_flags = m.flags;
		m.flags = 0;
	}
	vtool_lock();
	if (clear) {
		vtool_password(clear, 0, &password);
		vtool_hash(&password, &hash);
		m.hash = hash.s;
	}
	usermod(argv[optind], &m);
	return 0;
}
