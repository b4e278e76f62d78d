#include "users/usermod.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/mailbox.h"
#include "users/vtool.h"

/* 1; 0 a field has a forbidden byte; -1 out of memory. */
static int
modified(struct vpasswd *p, struct usermod const *m, stralloc *out)
{
	if (m->quota)
		p->quota = m->quota;
	if (m->gecos)
		p->gecos = m->gecos;
	if (m->hash) {
		p->hash = m->hash;
		p->clear = "";
	}
	p->flags &= ~m->clear_flags;
	p->flags |= m->flags;
	return vpasswd_format(out, p);
}

static void
damaged(struct vdomain const *d, unsigned long number)
{
	char text[32];

	snprintf(text, sizeof text, "%lu", number);
	strerr_dief(EXIT_TEMP, d->path.s, "/vpasswd: line ", text,
	    ": not name:hash:uid:flags:comment:directory:quota");
}

/* name 0: everybody.  How many were changed. */
static unsigned long
edit(struct vdomain const *d, char const *name, struct usermod const *m,
    stralloc *out)
{
	struct vpasswd p = VPASSWD_ZERO;
	unsigned long changed = 0, number = 0;
	size_t pos = 0, n;
	char const *line;
	int r;

	while (vpasswd_line(d->vpasswd.s, d->vpasswd.len, &pos, &line, &n)) {
		number++;
		if (n && (!name || (vpasswd_name(line, n) == strlen(name) &&
		    !memcmp(line, name, strlen(name))))) {
			if (vpasswd_parse(line, n, &p) != 1)
				damaged(d, number);
			r = modified(&p, m, out);
			if (r == 0)
				strerr_dief(EXIT_PERM,
				    "no colon may be in a comment or hash");
			changed++;
		} else
			r = stralloc_catb(out, line, n) &&
			    stralloc_append(out, '\n') ? 1 : -1;
		if (r == -1)
			strerr_diefusys(EXIT_TEMP, "go on");
	}
	stralloc_free(&p.sa);
	return changed;
}

void
usermod(char const *whom, struct usermod const *m)
{
	struct vdomain d = VDOMAIN_ZERO;
	stralloc text = STRALLOC_ZERO;
	char *name = 0, *domain;

	if (strchr(whom, '@'))
		name = vtool_address(whom, &domain);
	else
		domain = vtool_domain(whom);
	d.no_cdb = m->no_cdb;
	vtool_change(&d, domain);
	if (edit(&d, name, m, &text) == 0)
		strerr_dief(EXIT_PERM, name ? "no such user: " :
		    "no users in the domain: ", whom);
	if (vdomain_put(&d, &text) == -1)
		strerr_diefusys(EXIT_TEMP, "change ", whom);
	if (m->quota)
		vtool_not_full(&d, name);
}
