/* addrlist: the addresses of a header field (RFC 5322 3.4, and the obsolete
 * forms of 4.4), and where in the field each of them stands, so that a field
 * can be completed without touching the rest of it.
 */
#ifndef ADDRLIST_H
#define ADDRLIST_H

#include <stddef.h>

#include <skalibs/genalloc.h>
#include <skalibs/stralloc.h>

struct addrlist_item {
	size_t text;	/* offset in addrlist.text: local part without quotes,
			 * and, if there is one, '@' and domain */
	size_t len;	/* 0: "<>" */
	size_t end;	/* offset in the field, behind its last byte */
	int has_domain;
};

struct addrlist {
	stralloc text;
	genalloc items;		/* of struct addrlist_item */
};
#define ADDRLIST_ZERO { STRALLOC_ZERO, GENALLOC_ZERO }

/* s: a field body, folded or not.  Appends to *out; offsets count from s.
 *  1  done, also if the list is empty
 *  0  malformed: *out as it was
 * -1  out of memory
 */
extern int addrlist_parse(char const *s, size_t n, struct addrlist *out);

#endif
