#include "local/dotqmail.h"

#include <string.h>

#include <skalibs/bytestr.h>

static enum dotqmail_kind
kind(char const *s, size_t n)
{
	if (n == 0)
		return DOTQMAIL_BLANK;
	switch (*s) {
	case '#':
		return DOTQMAIL_COMMENT;
	case '.':
	case '/':
		return s[n-1] == '/' ? DOTQMAIL_MAILDIR : DOTQMAIL_MBOX;
	case '|':
		return DOTQMAIL_PROGRAM;
	case '+':
		return n == 5 && !memcmp(s, "+list", 5) ?
		    DOTQMAIL_LIST : DOTQMAIL_OTHER;
	}
	return DOTQMAIL_FORWARD;
}

int
dotqmail_next(stralloc *file, size_t *pos, struct dotqmail_line *out)
{
	char *s = file->s + *pos, *nl;
	size_t n;

	if (*pos >= file->len)
		return 0;
	nl = memchr(s, '\n', file->len - *pos);
	if (!nl)
		return 0;
	n = nl - s;
	*pos += n + 1;
	/* CR: files come from other systems too */
	while (n && memchr(" \t\r", s[n-1], 3))
		n--;
	s[n] = 0;
	out->kind = kind(s, n);
	if (out->kind == DOTQMAIL_PROGRAM || (n && *s == '&')) {
		s++;
		n--;
	}
	out->text = s;
	out->n = n;
	return 1;
}

static int
build(char const *dash, char const *ext, size_t n, char const *end,
    stralloc *name)
{
	size_t start, i;

	if (!stralloc_copys(name, ".qmail") || !stralloc_cats(name, dash))
		return -1;
	start = name->len;
	if (!stralloc_catb(name, ext, n) || !stralloc_cats(name, end) ||
	    !stralloc_0(name))
		return -1;
	for (i = start; i < start + n; i++)
		if (name->s[i] == '.' || name->s[i] == '/')
			name->s[i] = ':';
	case_lowerb(name->s + start, n);
	return 1;
}

int
dotqmail_candidate(char const *dash, char const *ext, size_t *i,
    stralloc *name, long *from)
{
	size_t n = strlen(ext), cut;

	if (*i == 0) {
		*i = 1;
		*from = n >= 7 && !strcasecmp(ext + n - 7, "default") ?
		    (long)n - 7 : -1;
		return build(dash, ext, n, "", name);
	}
	/* *i - 1 is how much of ext's end has been cut off already */
	if (*i - 1 > n)
		return 0;
	for (cut = n - (*i - 1); cut && ext[cut-1] != '-'; cut--)
		;
	*i = n - cut + 2;
	*from = cut;
	return build(dash, ext, cut, "default", name);
}

static size_t
skip(char const *s, size_t n)
{
	size_t i = 0;

	while (i < n && (s[i] == ' ' || s[i] == '\t'))
		i++;
	return i;
}

/* Bytes that mean themselves to a shell. */
static size_t
plain(char const *s)
{
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789._+=:@%/-");
}

int
dotqmail_mailboxes(struct dotqmail_line const *line, char const **word,
    size_t *n)
{
	static char const program[] = "/vdelivermail";
	enum { LEN = sizeof program - 1 };
	char const *s = line->text;
	char const *end = s + line->n;
	size_t len;

	if (line->kind != DOTQMAIL_PROGRAM || strlen(s) != line->n)
		return 0;
	s += skip(s, end - s);
	len = plain(s);
	if (len < LEN || memcmp(s + len - LEN, program, LEN))
		return 0;
	s += len;
	len = skip(s, end - s);
	if (!len || end - (s + len) < 3 || memcmp(s + len, "''", 2))
		return 0;
	s += len + 2;
	len = skip(s, end - s);
	s += len;
	if (!len || s == end || plain(s) != (size_t)(end - s))
		return 0;
	*word = s;
	*n = end - s;
	return 1;
}
