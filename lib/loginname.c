#include "lib/loginname.h"

#include <skalibs/bytestr.h>

#include "lib/control.h"
#include "lib/smtpaddress.h"

int
loginname(char const *s, size_t n, stralloc *out, size_t *at)
{
	stralloc domain = STRALLOC_ZERO;
	int r = 1;

	if (!stralloc_copyb(out, s, n))
		return -1;
	case_lowerb(out->s, out->len);
	*at = smtpaddress_at(out->s, n);
	if (*at == n) {
		while (*at && out->s[*at - 1] != '%')
			--*at;
		if (*at)
			out->s[--*at] = '@';
		else
			*at = n;
	}
	if (*at == n) {
		r = control_line("control/defaultvdomain", &domain);
		if (r == 1 && (!stralloc_append(out, '@') ||
		    !stralloc_catb(out, domain.s, domain.len)))
			r = -1;
		stralloc_free(&domain);
	}
	return r == -1 ? -1 : 1;
}
