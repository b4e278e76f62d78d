#include "local/environment.h"

#include <string.h>

#include "local/mbox.h"

/* A NUL would end the variable; addresses hold none. */
static int
set(stralloc *out, char const *name, char const *s, size_t n)
{
	return stralloc_cats(out, name) && stralloc_cats(out, "=") &&
	    stralloc_catb(out, s, n) && stralloc_0(out) ? 1 : -1;
}

static int
sets(stralloc *out, char const *name, char const *s)
{
	return set(out, name, s, strlen(s));
}

/* EXT2 is what follows the first dash of EXT, EXT3 and EXT4 of that. */
static int
extensions(stralloc *out, char const *ext)
{
	static char const *const names[] = { "EXT", "EXT2", "EXT3", "EXT4" };
	unsigned int i;
	char const *dash;

	for (i = 0; i < 4; i++) {
		if (sets(out, names[i], ext) == -1)
			return -1;
		dash = strchr(ext, '-');
		ext = dash ? dash + 1 : "";
	}
	return 1;
}

/* HOST2 is what stands before the last dot of HOST, HOST3 and HOST4 of that. */
static int
hosts(stralloc *out, char const *host)
{
	static char const *const names[] = { "HOST", "HOST2", "HOST3",
		"HOST4" };
	size_t n = strlen(host);
	unsigned int i;

	for (i = 0; i < 4; i++) {
		if (set(out, names[i], host, n) == -1)
			return -1;
		while (n && host[n-1] != '.')
			n--;
		n -= n != 0;
	}
	return 1;
}

int
environment_of(struct delivery const *d, stralloc *out)
{
	stralloc line = STRALLOC_ZERO;
	int r = mbox_from_line(d, &line);

	if (r == 1)
		r = set(out, "UFLINE", line.s, line.len);
	stralloc_free(&line);
	if (r == -1 || extensions(out, d->ext) == -1 ||
	    hosts(out, d->host) == -1 ||
	    sets(out, "SENDER", d->sender) == -1 ||
	    set(out, "NEWSENDER", d->new_sender.s,
	    d->new_sender.len) == -1 ||
	    set(out, "RECIPIENT", d->recipient.s, d->recipient.len) == -1 ||
	    sets(out, "USER", d->user) == -1 ||
	    sets(out, "HOME", d->home) == -1 ||
	    sets(out, "LOCAL", d->local) == -1 ||
	    set(out, "DTLINE", d->dtline.s, d->dtline.len) == -1 ||
	    set(out, "RPLINE", d->rpline.s, d->rpline.len) == -1)
		return -1;
	if (d->matched)
		return sets(out, "DEFAULT", d->matched);
	return stralloc_catb(out, "DEFAULT", sizeof "DEFAULT") ? 1 : -1;
}
