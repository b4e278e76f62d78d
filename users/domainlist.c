#include "users/domainlist.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/bytestr.h>
#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>

#include "lib/cdbfile.h"
#include "lib/control.h"
#include "users/textfile.h"
#include "users/vtool.h"

enum { RCPTHOSTS = 50, TEXT = 128 };

#define MORE "control/morercpthosts"

int
domainlist_compile(void)
{
	struct cdbmaker m = CDBMAKER_ZERO;
	stralloc list = STRALLOC_ZERO;
	size_t i, n;
	int r = control_list(MORE, &list);

	if (r == 0)
		list.len = 0;
	if (r == -1 || cdbmaker_open(&m, MORE ".cdb", 0644) == -1)
		return -1;
	for (i = 0, r = 1; r == 1 && i < list.len; i += n + 1) {
		n = strlen(list.s + i);
		case_lowerb(list.s + i, n);
		r = cdbmaker_add(&m, list.s + i, n, "", 0);
	}
	stralloc_free(&list);
	return r == 1 ? cdbmaker_commit(&m) : -1;
}

static int
accept_mail(char const *domain)
{
	struct textfile_edit e = { .add = domain };
	int count = textfile_count("control/rcpthosts");

	if (count == -1)
		return -1;
	if (count < RCPTHOSTS)
		return textfile_edit("control/rcpthosts", &e);
	return textfile_edit(MORE, &e) == -1 ? -1 : domainlist_compile();
}

/* Without control/locals the name in control/me is local (qmail-send(8)): if
 * that is the domain, there must be a control/locals that does not say so.
 * 1 it was local; 0 not; -1.
 */
static int
not_local(char const *domain)
{
	struct textfile_edit e = { .drop = domain };
	struct textfile_edit only = { .add = "localhost" };
	stralloc s = STRALLOC_ZERO;
	size_t n = strlen(domain);
	int r;

	if (access("control/locals", F_OK) == 0) {
		r = control_list("control/locals", &s);
		if (r == 1)
			r = control_has(&s, domain, n) ?
			    textfile_edit("control/locals", &e) : 0;
	} else {
		r = control_line("control/me", &s);
		if (r == 1)
			r = s.len == n && case_diffb(s.s, n, domain) == 0 ?
			    textfile_edit("control/locals", &only) : 0;
	}
	stralloc_free(&s);
	return r;
}

static char const *const files[] = { "users/assign", "users/cdb",
	"users/names.cdb", "control/locals", "control/virtualdomains",
	"control/rcpthosts", MORE, MORE ".cdb" };

static void
end_all(int good)
{
	int e = errno;
	size_t i;

	for (i = 0; i < sizeof files / sizeof *files; i++)
		textfile_end(files[i], good);
	errno = e;
}

static int
keep_all(void)
{
	size_t i;

	for (i = 0; i < sizeof files / sizeof *files; i++)
		if (textfile_keep(files[i]) == -1) {
			end_all(1);
			return -1;
		}
	return 1;
}

static int
add(struct vdomain const *d, char const *domain)
{
	char assign[4500], virtual[2 * TEXT + 2];
	struct textfile_edit e = { .add = assign, .sorted = 1 };
	struct textfile_edit v = { .add = virtual };
	int local;

	if (snprintf(assign, sizeof assign, "+%s-:%s:%lu:%lu:%s:-::", domain,
	    d->name.s, (unsigned long)d->vmail.uid, (unsigned long)d->vmail.gid,
	    d->path.s) >= (int)sizeof assign) {
		errno = ENAMETOOLONG;
		return -1;
	}
	snprintf(virtual, sizeof virtual, "%s:%s", domain, domain);
	if (textfile_edit("users/assign", &e) == -1 ||
	    vtool_usersmake() == -1 || (local = not_local(domain)) == -1 ||
	    textfile_edit("control/virtualdomains", &v) == -1 ||
	    accept_mail(domain) == -1)
		return -1;
	if (local)
		strerr_warnw(domain, " was a name of this host: its users and "
		    "alias/, as root and quarantine, are not known there now");
	return 1;
}

int
domainlist_add(struct vdomain const *d, char const *domain)
{
	int r = keep_all();

	if (r == 1) {
		r = add(d, domain);
		end_all(r == 1);
	}
	return r;
}

static int
drop(char const *domain)
{
	char prefix[TEXT], virtual[TEXT];
	struct textfile_edit host = { .drop = domain };
	struct textfile_edit v = { .drop_prefix = virtual };
	struct textfile_edit e = { .drop_prefix = prefix,
	    .drop_second = domain };
	int more = access(MORE, F_OK) == 0;

	snprintf(prefix, sizeof prefix, "+%s-:", domain);
	snprintf(virtual, sizeof virtual, "%s:", domain);
	if (textfile_edit("control/rcpthosts", &host) == -1)
		return -1;
	if (more) {
		more = textfile_edit(MORE, &host);
		if (more == -1 || (more == 1 && domainlist_compile() == -1))
			return -1;
	}
	if (textfile_edit("control/virtualdomains", &v) == -1)
		return -1;
	if (textfile_edit("users/assign", &e) == -1)
		return -1;
	return vtool_usersmake();
}

int
domainlist_remove(char const *domain)
{
	int r = keep_all();

	if (r == 1) {
		r = drop(domain);
		end_all(r == 1);
	}
	return r;
}
