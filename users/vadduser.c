/* vadduser: add a user to a virtual domain, with a mailbox.
 *
 * Runs as: root.  Reads: users/cdb.  Writes: the domain's vpasswd,
 * vpasswd.cdb and the user's directory, users/mailbox/DOMAIN.cdb.  Trusts: its
 * caller.  Trusted by: the administrator.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/vtool.h"

#define USAGE "vadduser [-c comment] [-e hash] [-n] [-q quota] " \
	"[-r[length]] [-s] user@domain [password]"

struct options {
	char *name, *domain;
	char const *password, *gecos, *hash, *quota;
	unsigned int random;
	int slow;		/* -s: tables later */
};

static void
options(int argc, char *const *argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "c:e:nq:r::s")) != -1) {
		switch (c) {
		case 'c': o->gecos = optarg; break;
		case 'e': o->hash = optarg; break;
		case 'n': o->hash = "*"; break;	/* no password fits */
		case 'q': o->quota = vtool_quota(optarg); break;
		case 'r': o->random = vtool_random(optarg); break;
		case 's': o->slow = 1; break;
		default: strerr_dieusage(EXIT_USAGE, USAGE);
		}
	}
	argc -= optind;
	argv += optind;
	if (argc < 1 || argc > 2)
		strerr_dieusage(EXIT_USAGE, USAGE);
	o->name = vtool_address(argv[0], &o->domain);
	o->password = argv[1];
	if (!o->gecos)
		o->gecos = o->name;
}

/* The quota, and whether there may be one user more. */
static void
keep_limits(struct vdomain const *d, struct options *o)
{
	long long users = 0;
	char const *line;
	size_t pos = 0, n;

	if (!o->quota)
		o->quota = vtool_default_quota(d);
	if (d->limits.maxpopaccounts < 0)
		return;
	while (vpasswd_line(d->vpasswd.s, d->vpasswd.len, &pos, &line, &n))
		users += n != 0;
	if (users >= d->limits.maxpopaccounts)
		strerr_dief(EXIT_PERM, d->name.s,
		    " has as many users as it may");
}

static void
may_be_added(struct vdomain const *d, struct options *o)
{
	struct vpasswd old = VPASSWD_ZERO;

	if (vdomain_user(d, o->name, &old) != 0)
		strerr_dief(EXIT_PERM, "the user exists already: ", o->name,
		    "@", o->domain);
	keep_limits(d, o);
}

/* Without the lock: nobody waits for somebody who types. */
static void
make_hash(struct options *o)
{
	static stralloc password = STRALLOC_ZERO, hash = STRALLOC_ZERO;
	struct vdomain d = VDOMAIN_ZERO;

	vtool_open(&d, o->domain);
	may_be_added(&d, o);
	vdomain_close(&d);
	vtool_password(o->password, o->random, &password);
	vtool_hash(&password, &hash);
	o->hash = hash.s;
}

static int
add(struct vdomain *d, struct options const *o, char const *hash)
{
	struct vpasswd p = { o->name, hash, 1, 0, o->gecos, 0, o->quota, "",
	    STRALLOC_ZERO };
	stralloc dir = STRALLOC_ZERO;
	int e, r = -1;

	if (!stralloc_cats(&dir, d->path.s) || !stralloc_append(&dir, '/') ||
	    !stralloc_cats(&dir, o->name) || !stralloc_0(&dir))
		return -1;
	p.dir = dir.s;
	if (vdomain_make_user(d, o->name) == 1) {
		r = vdomain_set(d, o->name, &p);
		e = errno;
		if (r != 1)
			vdomain_remove_user(d, &p);
		errno = e;
	}
	stralloc_free(&dir);
	return r;
}

int
main(int argc, char *const *argv)
{
	struct options o = { 0, 0, 0, 0, 0, 0, 0, 0 };
	struct vdomain d = VDOMAIN_ZERO;
	int r;

	vtool_begin("vadduser");
	options(argc, argv, &o);
	if (!o.hash)
		make_hash(&o);
	vtool_lock();
	d.no_cdb = o.slow;
	vtool_change(&d, o.domain);
	may_be_added(&d, &o);
	r = add(&d, &o, o.hash);
	if (r == 0)
		strerr_dief(EXIT_PERM, "no colon may be in a comment or hash");
	if (r == -1 && errno == EEXIST)
		strerr_dief(EXIT_PERM, d.path.s, "/", o.name, " exists already,"
		    " and is nobody's: move it away, or vdeluser it");
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "add ", o.name, "@", o.domain);
	return 0;
}
