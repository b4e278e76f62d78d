#include "users/assignfile.h"

#include <stdint.h>
#include <string.h>

#include <skalibs/bytestr.h>
#include <skalibs/types.h>

enum { FIELDS = 6 };		/* user, uid, gid, home, dash, ext */

static int
number(char const *s)
{
	uint32_t u;

	return *s && uint320_scan(s, &u);
}

/* Cuts s[0..n) at its colons; what follows the sixth is left alone. */
static char const *
cut(char *s, size_t n, struct assignfile_line *out)
{
	char *field[FIELDS + 1], *colon;
	unsigned int i;

	field[0] = s;
	for (i = 0; i < FIELDS; i++) {
		colon = memchr(field[i], ':', n - (field[i] - s));
		if (!colon)
			return "fewer than six colons after the name";
		*colon = 0;
		field[i+1] = colon + 1;
	}
	if (!*field[0])
		return "no user";
	if (!number(field[1]))
		return "the uid is not a number";
	if (!number(field[2]))
		return "the gid is not a number";
	if (*field[3] != '/')
		return "the home directory is not absolute";
	out->data = s;
	out->len = field[FIELDS] - 1 - s;
	return 0;
}

static char const *
parse(char *s, size_t n, struct assignfile_line *out)
{
	char *colon = memchr(s, ':', n);

	if (*s != '=' && *s != '+')
		return "it starts with neither = nor +";
	if (memchr(s, 0, n))
		return "it holds a NUL";
	if (!colon)
		return "no colon";
	out->wildcard = *s == '+';
	out->local = s + 1;
	out->n = colon - s - 1;
	case_lowerb(s + 1, out->n);
	return cut(colon + 1, n - (colon + 1 - s), out);
}

int
assignfile_next(stralloc *file, size_t *pos, unsigned int *line,
    struct assignfile_line *out, char const **why)
{
	char *s = file->s + *pos;
	char *nl = *pos < file->len ?
	    memchr(s, '\n', file->len - *pos) : 0;

	++*line;
	if (*pos < file->len && *s == '.')
		return 0;
	if (*pos >= file->len)
		*why = "the last line must be a dot: is the file whole?";
	else if (!nl)
		*why = "the line has no end: is the file whole?";
	else {
		*pos += nl - s + 1;
		*why = nl == s ? "it is empty" : parse(s, nl - s, out);
	}
	return *why ? -1 : 1;
}
