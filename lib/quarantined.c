#include "lib/quarantined.h"

#include <string.h>
#include <strings.h>

#include <skalibs/types.h>

#define NAME "X-Postern-Quarantine"

static int
put_address(stralloc *out, char const *name, char const *s, size_t n)
{
	static char const hex[] = "0123456789ABCDEF";
	size_t i;
	char c[3] = "%";

	if (!stralloc_cats(out, name))
		return -1;
	for (i = 0; i < n; i++) {
		c[1] = hex[(unsigned char)s[i] >> 4];
		c[2] = hex[s[i] & 15];
		if (s[i] <= 32 || s[i] > 126 || s[i] == '%') {
			if (!stralloc_catb(out, c, 3))
				return -1;
		} else if (!stralloc_append(out, s[i])) {
			return -1;
		}
	}
	return stralloc_append(out, '\n') ? 1 : -1;
}

static int
put_text(stralloc *out, char const *name, stralloc const *v)
{
	size_t i, at;

	if (!stralloc_cats(out, name))
		return -1;
	at = out->len;
	if (!stralloc_catb(out, v->s, v->len < 800 ? v->len : 800))
		return -1;
	for (i = at; i < out->len; i++)
		if (out->s[i] < 32 || out->s[i] > 126)
			out->s[i] = '?';
	return stralloc_append(out, '\n') ? 1 : -1;
}

int
quarantined_write(stralloc *out, struct quarantined const *q)
{
	stralloc const *env = &q->envelope;
	char fmt[UINT64_FMT];
	size_t i, n;

	if (put_text(out, NAME ": id ", &q->id) == -1 ||
	    put_text(out, NAME "-Date: ", &q->date) == -1 ||
	    put_text(out, NAME "-Reason: ", &q->reason) == -1)
		return -1;
	for (i = 0; i < env->len; i += n + 2) {
		n = strlen(env->s + i + 1);
		if (put_address(out, env->s[i] == 'F' ? NAME "-Sender: " :
		    NAME "-Recipient: ", env->s + i + 1, n) == -1)
			return -1;
	}
	n = uint64_fmt(fmt, q->size);
	return stralloc_cats(out, NAME "-End: ") &&
	    stralloc_catb(out, fmt, n) && stralloc_append(out, '\n') ? 1 : -1;
}

/* The next line of s[*at..n), without its LF.  1; 0 at the end. */
static int
next_line(char const *s, size_t n, size_t *at, char const **line, size_t *len)
{
	char const *lf = *at < n ? memchr(s + *at, '\n', n - *at) : 0;

	if (!lf)
		return 0;
	*line = s + *at;
	*len = (size_t)(lf - *line);
	*at += *len + 1;
	return 1;
}

static int
starts(char const *s, size_t n, char const *name)
{
	return n >= strlen(name) && !strncasecmp(s, name, strlen(name));
}

/* What delivery, queue and scanq put in front. */
static int
is_trace(char const *s, size_t n)
{
	return starts(s, n, "Return-Path:") || starts(s, n, "Delivered-To:") ||
	    starts(s, n, "Received: (") || starts(s, n, " ") ||
	    starts(s, n, "\t");
}

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ?
	    c - 'A' + 10 : -1;
}

static int
get_address(stralloc *env, char letter, char const *s, size_t n)
{
	size_t i;
	char c;

	if (!stralloc_append(env, letter))
		return -1;
	for (i = 0; i < n; i++) {
		c = s[i];
		if (c == '%') {
			if (n - i < 3 || digit(s[i + 1]) < 0 ||
			    digit(s[i + 2]) < 0)
				return 0;
			c = (char)(digit(s[i + 1]) << 4 | digit(s[i + 2]));
			i += 2;
		}
		if (!c)
			return 0;
		if (!stralloc_append(env, c))
			return -1;
	}
	return stralloc_0(env) ? 1 : -1;
}

static int
get_text(stralloc *to, char const *s, size_t n)
{
	return stralloc_copyb(to, s, n) && stralloc_0(to) ? 1 : -1;
}

/* One line of the block.  1; 0 not one; 2 the last; -1. */
static int
take(struct quarantined *q, char const *s, size_t n)
{
	char number[UINT64_FMT + 1];

	if (starts(s, n, NAME ": id "))
		return get_text(&q->id, s + 25, n - 25);
	if (starts(s, n, NAME "-Date: "))
		return get_text(&q->date, s + 27, n - 27);
	if (starts(s, n, NAME "-Reason: "))
		return get_text(&q->reason, s + 29, n - 29);
	if (starts(s, n, NAME "-Sender: "))
		return q->envelope.len ? 0 :
		    get_address(&q->envelope, 'F', s + 29, n - 29);
	if (starts(s, n, NAME "-Recipient: "))
		return !q->envelope.len ? 0 :
		    get_address(&q->envelope, 'T', s + 32, n - 32);
	if (!starts(s, n, NAME "-End: ") || n - 26 >= sizeof number)
		return 0;
	memcpy(number, s + 26, n - 26);
	number[n - 26] = 0;
	return uint640_scan(number, &q->size) ? 2 : 0;
}

int
quarantined_read(char const *s, size_t n, struct quarantined *q)
{
	char const *line;
	size_t at = 0, len;
	int r = 1, inside = 0;

	q->envelope.len = 0;
	while (r == 1 && next_line(s, n, &at, &line, &len)) {
		if (!inside && is_trace(line, len))
			continue;
		inside = 1;
		r = take(q, line, len);
	}
	if (r != 2)
		return r == -1 ? -1 : 0;
	q->message = at;
	return q->envelope.len && q->id.len && q->reason.len && q->date.len &&
	    n - at == q->size;
}
