#include "dmarc/ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"

enum { NAME = 255, LINE = 1200, LABEL = 63 };

/* Only what dnsq takes, and what cannot end its line. */
static int
is_name(char const *s)
{
	size_t n = strlen(s);

	return n && n <= NAME && *s != '.' && strspn(s,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	    "._-+=/@!#$%&'*~^`{}|?") == n;
}

int
ask_is_domain(char const *s)
{
	size_t n;
	unsigned int labels = 0;

	if (strlen(s) > NAME - 2)
		return 0;
	for (;; s += n + 1) {
		n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
		if (!n || n > LABEL)
			return 0;
		labels++;
		if (!s[n])
			return labels > 1;
		if (s[n] != '.')
			return 0;
		if (!s[n + 1])
			return labels > 1;
	}
}

static int
send_all(struct ask *a, char const *s, size_t n)
{
	ssize_t r;

	for (; n; s += r, n -= (size_t)r) {
		r = write(a->fd, s, n);
		if (r <= 0)
			return -1;
	}
	return 1;
}

/* The next line of dnsq's, NUL in place of its LF; 0: none comes. */
static char *
next_line(struct ask *a)
{
	struct pollfd p = { a->fd, POLLIN, 0 };
	uint64_t now;
	char *lf;
	ssize_t r;

	memmove(a->buf, a->buf + a->used, a->have - a->used);
	a->have -= a->used;
	a->used = 0;
	while (!(lf = memchr(a->buf, '\n', a->have))) {
		now = clock_ms();
		if (now >= a->until || a->have == sizeof a->buf ||
		    poll(&p, 1, (int)(a->until - now)) <= 0)
			return 0;
		r = read(a->fd, a->buf + a->have, sizeof a->buf - a->have);
		if (r <= 0)
			return 0;
		a->have += (size_t)r;
	}
	*lf = 0;
	a->used = (size_t)(lf + 1 - a->buf);
	return a->buf;
}

static char *
word(char **s)
{
	char *w = *s, *end;

	if (!w || !*w)
		return 0;
	end = strchr(w, ' ');
	if (end)
		*end++ = 0;
	*s = end;
	return w;
}

/* "text" in quotes, \ooo for odd bytes: in place.  Its length. */
static size_t
decode(char *s)
{
	char *to = s, *from = s + (*s == '"');

	for (; *from && *from != '"'; from++) {
		if (*from == '\\' && strspn(from + 1, "01234567") >= 3) {
			*to++ = (char)((from[1] - '0') << 6 |
			    (from[2] - '0') << 3 | (from[3] - '0'));
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	*to = 0;
	return (size_t)(to - s);
}

static enum ask_result
take(struct ask *a, char *line, int text)
{
	char *w, *result, *detail;
	unsigned int i;

	for (i = 0; i < 3; i++)		/* tag type name */
		if (!word(&line))
			return ASK_TROUBLE;
	result = word(&line);
	detail = result && word(&line) ? word(&line) : 0;
	if (!detail)
		return ASK_TROUBLE;
	if (!strcmp(result, "nodata"))
		return ASK_NODATA;
	/* a label that is too long or empty: there is no such name */
	if (!strcmp(result, "nxdomain") ||
	    !strcmp(detail, "malformed-question"))
		return ASK_NXDOMAIN;
	if (strcmp(result, "answer"))
		return ASK_TROUBLE;
	while (a->values < ASK_VALUES && (w = word(&line))) {
		a->len[a->values] = text ? decode(w) : strlen(w);
		a->value[a->values++] = w;
	}
	return a->values ? ASK_FOUND : ASK_NODATA;
}

enum ask_result
ask(struct ask *a, char const *type, char const *name)
{
	char question[LINE], tag[16];
	char *line;
	int n;

	a->values = 0;
	if (!is_name(name))
		return ASK_NXDOMAIN;
	if (a->asked == ASK_QUESTIONS)
		return ASK_TROUBLE;
	n = snprintf(tag, sizeof tag, "%u ", ++a->asked);
	snprintf(question, sizeof question, "%s%s %s\n", tag, type, name);
	if (send_all(a, question, strlen(question)) == -1)
		return ASK_TROUBLE;
	line = next_line(a);
	if (!line || strncmp(line, tag, (size_t)n) != 0)
		return ASK_TROUBLE;
	return take(a, line, !strcmp(type, "txt"));
}
