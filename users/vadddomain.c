/* vadddomain: make a virtual domain, with a postmaster.
 *
 * Runs as: root.  Reads: users/assign, control/.  Writes: domains/DOMAIN,
 * users/mailbox/DOMAIN.cdb, users/assign and what usersmake makes of it,
 * control/locals, virtualdomains, rcpthosts, morercpthosts.  Trusts: its
 * caller.  Trusted by: the administrator.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "users/domainlist.h"
#include "users/vtool.h"

#define USAGE \
	"vadddomain [-b | -e address] [-q quota] [-r[length]] domain [password]"

struct options {
	char const *domain, *password, *quota, *policy;
	unsigned int random;
};

static void
options(int argc, char *const *argv, struct options *o)
{
	int c;

	o->policy = "bounce-no-mailbox";
	while ((c = getopt(argc, argv, "be:q:r::")) != -1) {
		if (c == 'e')
			o->policy = optarg;
		else if (c == 'q')
			o->quota = vtool_quota(optarg);
		else if (c == 'r')
			o->random = vtool_random(optarg);
		else if (c != 'b')
			strerr_dieusage(EXIT_USAGE, USAGE);
	}
	argc -= optind;
	argv += optind;
	if (argc < 1 || argc > 2)
		strerr_dieusage(EXIT_USAGE, USAGE);
	o->domain = vtool_domain(argv[0]);
	o->password = argv[1];
	if (!o->password && !o->random)
		o->random = VTOOL_RANDOM;
	if (strchr(o->policy, '@') == 0 &&
	    strcmp(o->policy, "bounce-no-mailbox"))
		strerr_dief(EXIT_PERM, "not an address: ", o->policy);
	vtool_policy_ok(o->policy);
}

static void
must_be_new(char const *domain)
{
	struct vdomain d = VDOMAIN_ZERO;
	int r = vdomain_open(&d, domain);
	char path[160];
	struct stat st;

	/* somebody's mail, or what a killed vadddomain has left */
	snprintf(path, sizeof path, "domains/%s", domain);
	if (r == 0 && lstat(path, &st) == 0)
		strerr_dief(EXIT_PERM, path, " exists already, and no domain "
		    "is named so: move it away, or vdeldomain it");
	if (r == 1)
		strerr_dief(EXIT_PERM, "the domain exists already: ", domain);
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "look for the domain ", domain);
}

static int
fill(struct vdomain *d, struct options const *o, char const *hash)
{
	struct vpasswd p = { "postmaster", hash, 1, 0, "Postmaster", 0,
	    o->quota, "", STRALLOC_ZERO };
	stralloc s = STRALLOC_ZERO;
	int r = -1;

	if (!o->quota)
		p.quota = vtool_default_quota(d);
	vtool_policy(d, o->policy, &s);
	r = vdomain_write(d, ".qmail-default", s.s, s.len);
	if (r == 1)
		r = vdomain_usage(d);
	s.len = 0;
	if (r == 1 && (!stralloc_cats(&s, d->path.s) ||
	    !stralloc_cats(&s, "/postmaster") || !stralloc_0(&s)))
		r = -1;
	p.dir = s.s;
	if (r == 1)
		r = vdomain_make_user(d, "postmaster");
	if (r == 1)
		r = vdomain_set(d, "postmaster", &p);
	stralloc_free(&s);
	return r;
}

int
main(int argc, char *const *argv)
{
	stralloc password = STRALLOC_ZERO, hash = STRALLOC_ZERO;
	struct vdomain d = VDOMAIN_ZERO;
	struct options o = { 0, 0, 0, 0, 0 };
	int e;

	vtool_begin("vadddomain");
	options(argc, argv, &o);
	vtool_lock();
	must_be_new(o.domain);
	if (access("domains", F_OK) == -1)
		strerr_diefusys(EXIT_TEMP, "open domains");
	vtool_password(o.password, o.password ? 0 : o.random, &password);
	vtool_hash(&password, &hash);
	if (vdomain_create(&d, o.domain) == 1 && fill(&d, &o, hash.s) == 1 &&
	    vdomain_publish(&d) == 1 && domainlist_add(&d, o.domain) == 1) {
		vtool_reload();
		return 0;
	}
	e = errno;
	vdomain_remove(o.domain);
	errno = e;
	strerr_diefusys(EXIT_TEMP, "make the domain ", o.domain,
	    ": nothing is changed");
}
