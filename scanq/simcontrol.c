#include "scanq/simcontrol.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

struct import {
	char const *file;
	unsigned long line;
	stralloc out;
	int failed;
};

static void
warn(struct import *m, char const *what, char const *s, size_t n)
{
	stralloc text = STRALLOC_ZERO;
	char fmt[UINT64_FMT];
	size_t i;

	fmt[uint64_fmt(fmt, m->line)] = 0;
	if (!stralloc_catb(&text, s, n < 200 ? n : 200) || !stralloc_0(&text))
		return;
	for (i = 0; i + 1 < text.len; i++)
		if (text.s[i] < 32 || text.s[i] > 126)
			text.s[i] = '?';
	strerr_warnw6x(m->file, ":", fmt, ": ", what, text.s);
	stralloc_free(&text);
}

static void
put(struct import *m, char const *s, size_t n)
{
	if (!stralloc_catb(&m->out, s, n))
		m->failed = 1;
}

static void
puts_to(struct import *m, char const *s)
{
	put(m, s, strlen(s));
}

/* "attach=.mp3:.exe": simscan compares the end of a name, with or without a
 * dot in front; ours are extensions.
 */
static void
attach(struct import *m, char const *key, size_t keylen, char const *s,
    size_t n)
{
	char const *end = s + n, *p;

	while (s < end) {
		p = memchr(s, ':', (size_t)(end - s));
		if (!p)
			p = end;
		if (p > s) {
			if (*s != '.') {
				warn(m, "read as an extension, with a dot: ",
				    s, (size_t)(p - s));
				puts_to(m, ".");
			}
			put(m, s, (size_t)(p - s));
			puts_to(m, "\tSIZE=-1 action=refuse");
			if (keylen) {
				puts_to(m, " rcpt=");
				put(m, key, keylen);
			}
			puts_to(m, "\tattachment ");
			put(m, s, (size_t)(p - s));
			puts_to(m, "\n");
		}
		s = p + 1;
	}
}

static void
setting(struct import *m, char const *key, size_t keylen, char const *s,
    size_t n)
{
	char const *is = memchr(s, '=', n);
	size_t name = is ? (size_t)(is - s) : n;

	if (!is || !name) {
		warn(m, "not name=value: ", s, n);
		return;
	}
	if (memchr(s, ' ', n) || memchr(s, '\t', n))
		warn(m, "simscan cuts at blanks, so it never saw this as it "
		    "stands: ", s, n);
	if (name == 6 && !strncasecmp(s, "attach", 6))
		attach(m, key, keylen, is + 1, n - 7);
	else if (name == 4 && !strncasecmp(s, "clam", 4) && n == 8 &&
	    !strncasecmp(is, "=yes", 4))
		return;
	else if (name == 10 && !strncasecmp(s, "size_limit", 10)) {
		puts_to(m, ">");
		put(m, is + 1, n - 11);
		puts_to(m, "\tMessage-Size action=refuse");
		if (keylen) {
			puts_to(m, " rcpt=");
			put(m, key, keylen);
		}
		puts_to(m, "\tmessage too large\n");
	} else {
		warn(m, "nothing like it here: ", s, n);
	}
}

static void
settings(struct import *m, char const *key, size_t keylen, char const *s,
    size_t n)
{
	char const *end = s + n, *p;

	while (s < end) {
		p = memchr(s, ',', (size_t)(end - s));
		if (!p)
			p = end;
		if (p > s)
			setting(m, key, keylen, s, (size_t)(p - s));
		s = p + 1;
	}
}

/* The key ends at any of ":\n\t\r #", and those in front are skipped: a line
 * that looks like a comment is none to simscan.
 */
static void
line(struct import *m, char const *s, size_t n)
{
	size_t i = 0, start;

	while (n && strchr("\r \t", s[n - 1]))
		n--;
	if (!n)
		return;
	if (*s == ':') {
		settings(m, "", 0, s + 1, n - 1);
		return;
	}
	if (*s == '#')
		warn(m, "a comment here, but a rule in force with simscan: ",
		    s, n);
	if (*s == '#')
		return;
	while (i < n && strchr(":\t\r #", s[i]))
		i++;
	for (start = i; i < n && !strchr(":\t\r #", s[i]); i++)
		;
	if (i == n || s[i] != ':') {
		warn(m, "no colon behind the address or domain: ", s, n);
		return;
	}
	settings(m, s + start, i - start, s + i + 1, n - i - 1);
}

int
simcontrol_import(char const *file, char const *s, size_t n)
{
	struct import m = { file, 0, STRALLOC_ZERO, 0 };
	char const *end = s + n, *lf;

	puts_to(&m, "# from simscan's simcontrol.  Here the strictest "
	    "recipient decides,\n# where simscan took the last one.\n");
	while (s < end) {
		m.line++;
		lf = memchr(s, '\n', (size_t)(end - s));
		if (!lf)
			lf = end;
		line(&m, s, (size_t)(lf - s));
		s = lf + 1;
	}
	if (m.failed || allwrite(1, m.out.s, m.out.len) < m.out.len) {
		strerr_warnwu1sys("write the rules");
		return -1;
	}
	stralloc_free(&m.out);
	return 1;
}
