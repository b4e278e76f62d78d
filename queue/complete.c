#include "queue/complete.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/control.h"
#include "lib/smtpaddress.h"

static int
load(char const *variable, char const **file, stralloc *out)
{
	char const *s = getenv(variable);
	int r;

	if (s)
		return stralloc_copys(out, s) ? 1 : -1;
	r = control_line(*file, out);
	if (r == 0)
		r = control_line(*file = "control/me", out);
	return r;
}

int
complete_load(struct complete *c, char const **file)
{
	struct {
		char const *variable, *file;
		stralloc *out;
	} const all[] = {
		{ "QMAILDEFAULTHOST", "control/defaulthost", &c->defaulthost },
		{ "QMAILDEFAULTDOMAIN", "control/defaultdomain",
		    &c->defaultdomain },
		{ "QMAILPLUSDOMAIN", "control/plusdomain", &c->plusdomain },
		{ "QMAILIDHOST", "control/idhost", &c->idhost },
	};
	size_t i;
	int r;

	for (i = 0; i < sizeof all / sizeof *all; i++) {
		*file = all[i].file;
		r = load(all[i].variable, file, all[i].out);
		if (r != 1)
			return r;
	}
	return 1;
}

int
complete_address(struct complete const *c, char const *s, size_t n,
    int has_domain, stralloc *out, size_t *cut)
{
	char const *host = c->defaulthost.s;
	size_t len = c->defaulthost.len, at;

	*cut = 0;
	out->len = 0;
	if (has_domain) {
		at = smtpaddress_at(s, n);
		host = s + at + 1;
		len = n - at - 1;
	} else if (!stralloc_catb(out, "@", 1) ||
	    !stralloc_catb(out, host, len)) {
		return -1;
	}
	if (len && host[len - 1] == '+') {
		if (has_domain)
			*cut = 1;
		else
			out->len--;
		return stralloc_catb(out, ".", 1) &&
		    stralloc_cat(out, &c->plusdomain) ? 1 : -1;
	}
	if (len && (*host == '[' || memchr(host, '.', len)))
		return 1;
	return stralloc_catb(out, ".", 1) &&
	    stralloc_cat(out, &c->defaultdomain) ? 1 : -1;
}
