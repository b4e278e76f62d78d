#include "queue/header.h"

#include <string.h>
#include <strings.h>

static struct {
	char const *name;
	unsigned int flags;
} const table[] = {
	{ "date", FIELD_DATE },
	{ "message-id", FIELD_ID },
	{ "from", FIELD_FROM | FIELD_ADDRESS },
	{ "sender", FIELD_ADDRESS },
	{ "reply-to", FIELD_ADDRESS },
	{ "errors-to", FIELD_ADDRESS },
	{ "to", FIELD_ADDRESS | FIELD_RECIPIENT | FIELD_SHOWN },
	{ "cc", FIELD_ADDRESS | FIELD_RECIPIENT | FIELD_SHOWN },
	{ "bcc", FIELD_RECIPIENT | FIELD_DELETE },
	{ "apparently-to", FIELD_ADDRESS | FIELD_RECIPIENT },
	{ "mail-followup-to", FIELD_ADDRESS },
	{ "mail-reply-to", FIELD_ADDRESS },
	{ "return-path", FIELD_RETURN | FIELD_DELETE },
	{ "content-length", FIELD_DELETE },
	{ "resent-date", FIELD_RESENT | FIELD_DATE },
	{ "resent-message-id", FIELD_RESENT | FIELD_ID },
	{ "resent-from", FIELD_RESENT | FIELD_FROM | FIELD_ADDRESS },
	{ "resent-sender", FIELD_RESENT | FIELD_ADDRESS },
	{ "resent-reply-to", FIELD_RESENT | FIELD_ADDRESS },
	{ "resent-to", FIELD_RESENT | FIELD_ADDRESS | FIELD_RECIPIENT |
	    FIELD_SHOWN },
	{ "resent-cc", FIELD_RESENT | FIELD_ADDRESS | FIELD_RECIPIENT |
	    FIELD_SHOWN },
	{ "resent-bcc", FIELD_RESENT | FIELD_RECIPIENT | FIELD_DELETE },
};

/* Length of a field's name (RFC 5322 3.6.8), where s[0..n) starts one, else
 * 0; *body is the offset behind the colon (blanks before it: 4.5).
 */
static size_t
field_name(char const *s, size_t n, size_t *body)
{
	size_t i = 0, name;

	while (i < n && s[i] > 32 && s[i] < 127 && s[i] != ':')
		i++;
	name = i;
	while (i < n && (s[i] == ' ' || s[i] == '\t'))
		i++;
	if (!name || i == n || s[i] != ':')
		return 0;
	*body = i + 1;
	return name;
}

/* "From joe Mon ..." is no field: programs that read mailboxes put it there */
static int
is_from_line(char const *s, size_t n)
{
	return (n >= 5 && !memcmp(s, "From ", 5)) ||
	    (n >= 6 && !memcmp(s, ">From ", 6));
}

static int
is_header_line(char const *s, size_t n, int first)
{
	size_t body;

	if (first ? is_from_line(s, n) : n && (*s == ' ' || *s == '\t'))
		return 1;
	return field_name(s, n, &body) != 0;
}

int
header_end(char const *s, size_t n, size_t *pos)
{
	char const *nl;

	while (*pos < n) {
		nl = memchr(s + *pos, '\n', n - *pos);
		if (!nl)
			return 0;
		if (!is_header_line(s + *pos, nl - (s + *pos), *pos == 0))
			return 1;
		*pos = nl - s + 1;
	}
	return 0;
}

static unsigned int
flags_of(char const *name, size_t n)
{
	size_t i;

	for (i = 0; i < sizeof table / sizeof *table; i++)
		if (strlen(table[i].name) == n &&
		    strncasecmp(table[i].name, name, n) == 0)
			return table[i].flags;
	return 0;
}

static size_t
line_end(char const *s, size_t n, size_t pos)
{
	char const *nl = memchr(s + pos, '\n', n - pos);

	return nl ? (size_t)(nl - s) + 1 : n;
}

int
header_next(char const *s, size_t n, size_t *pos, struct field *out)
{
	size_t end;

	if (*pos == 0 && is_from_line(s, n))
		*pos = line_end(s, n, 0);
	if (*pos >= n)
		return 0;
	end = line_end(s, n, *pos);
	while (end < n && (s[end] == ' ' || s[end] == '\t'))
		end = line_end(s, n, end);
	out->s = s + *pos;
	out->n = end - *pos;
	out->name = field_name(out->s, out->n, &out->body);
	if (!out->name)
		out->body = 0;
	out->flags = flags_of(out->s, out->name);
	*pos = end;
	return 1;
}
