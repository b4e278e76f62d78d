#include "dmarc/macro.h"

#include <string.h>

enum { NIBBLES = 32 };		/* of an IPv6 address (RFC 7208 7.3) */

/* Into how many parts that many delimiters cut s[0..n). */
static size_t
parts_of(char const *s, size_t n, char const *delimiters, size_t k)
{
	size_t parts = 1, i;

	for (i = 0; i < n; i++)
		parts += memchr(delimiters, s[i], k) != 0;
	return parts;
}

/* What a letter stands for; 0: libspf2 is to see for itself. */
static size_t
parts(char letter, char const *delimiters, size_t k, char const *domain,
    struct facts const *f)
{
	char const *at = strrchr(f->sender, '@');
	char const *of_sender = at ? at + 1 : f->helo;
	char const *s;
	size_t n;

	switch (letter | 0x20) {
	case 'd': s = domain; break;
	case 'o': s = of_sender; break;
	case 'h': s = f->helo; break;
	case 's': s = f->sender; break;
	case 'l': s = at ? f->sender : "postmaster"; break;
	case 'i':
		if (strchr(f->ip, ':'))
			return memchr(delimiters, '.', k) ? NIBBLES : 1;
		s = f->ip;
		break;
	case 'v': s = "in-addr"; break;
	default: return 0;
	}
	n = (letter | 0x20) == 'l' && at ? (size_t)(at - s) : strlen(s);
	return parts_of(s, n, delimiters, k);
}

/* s: behind "%{".  How many bytes behind the letter are to go. */
static size_t
surplus(char const *s, char const *domain, struct facts const *f)
{
	size_t digits = strspn(s + 1, "0123456789"), wanted = 0, have, i;
	char const *delimiters;

	if (!*s || !digits)
		return 0;
	for (i = 1; i <= digits && wanted < 1000; i++)
		wanted = wanted * 10 + (size_t)(s[i] - '0');
	delimiters = s + 1 + digits;
	delimiters += *delimiters == 'r' || *delimiters == 'R';
	i = strspn(delimiters, ".-+,/_=");
	have = i ? parts(*s, delimiters, i, domain, f) :
	    parts(*s, ".", 1, domain, f);
	/* "0" is an error that libspf2 reports */
	return wanted && have && wanted >= have ? digits : 0;
}

size_t
macro_mend(char *record, size_t n, char const *domain, struct facts const *f)
{
	size_t i, k;

	if (strncmp(record, "v=spf1", 6))
		return n;
	for (i = 0; i + 2 < n; i++) {
		if (record[i] != '%')
			continue;
		if (record[i + 1] != '{') {
			i++;		/* "%%" */
			continue;
		}
		k = surplus(record + i + 2, domain, f);
		memmove(record + i + 3, record + i + 3 + k, n - (i + 2 + k));
		n -= k;
		i++;
	}
	return n;
}
