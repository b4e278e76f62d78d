#include "send/notice.h"

#include <string.h>

#include "lib/date822.h"
#include "lib/smtpaddress.h"

static int
put(stralloc *out, char const *s)
{
	return stralloc_cats(out, s);
}

/* A line of others' text in our own: no control bytes, no 8-bit bytes. */
static int
put_clean(stralloc *out, char const *s, size_t n)
{
	size_t i, at = out->len;

	if (!stralloc_catb(out, s, n))
		return 0;
	for (i = at; i < out->len; i++) {
		unsigned char c = out->s[i];

		if ((c < 32 && c != '\t') || c > 126)
			out->s[i] = '?';
	}
	return 1;
}

static int
put_date(stralloc *out, uint64_t t)
{
	char date[DATE822_LEN];

	return stralloc_catb(out, date, date822(date, t));
}

/* An address as a header field wants it. */
static int
put_address(stralloc *out, char const *s)
{
	stralloc quoted = STRALLOC_ZERO;
	int r = smtpaddress_quote(s, strlen(s), &quoted);

	if (r == 1)
		r = put_clean(out, quoted.s, quoted.len);
	else if (r == 0)	/* control bytes: nothing can quote them */
		r = put_clean(out, s, strlen(s));
	stralloc_free(&quoted);
	return r == 1;
}

static int
header(struct notice const *n, stralloc *out)
{
	return put(out, "Date: ") && put_date(out, n->now) &&
	    put(out, "\nMessage-ID: <") && put(out, n->boundary) &&
	    put(out, "@") && put_clean(out, n->host, strlen(n->host)) &&
	    put(out, ">\nFrom: ") &&
	    put_clean(out, n->from, strlen(n->from)) && put(out, "@") &&
	    put_clean(out, n->host, strlen(n->host)) &&
	    put(out, "\nTo: ") && put_address(out, n->to) &&
	    put(out, n->until ? "\nSubject: delivery delayed\n" :
		"\nSubject: failure notice\n") &&
	    put(out, "Auto-Submitted: auto-replied\n"
		"MIME-Version: 1.0\n"
		"Content-Type: multipart/report; "
		"report-type=delivery-status;\n"
		"\tboundary=\"") && put(out, n->boundary) &&
	    put(out, "\"\nContent-Transfer-Encoding: 8bit\n\n"
		"This is a delivery report in MIME format.\n\n");
}

static int
part(struct notice const *n, stralloc *out, char const *type)
{
	return put(out, "--") && put(out, n->boundary) && put(out, "\n") &&
	    put(out, type);
}

/* "<recipient>:", its report with empty lines turned to "/", as a paragraph */
static int
paragraph(stralloc *out, char const *to, char const *report)
{
	size_t len = strlen(report), i, end;

	while (len && report[len - 1] == '\n')
		len--;
	if (!put(out, "<"))
		return 0;
	for (i = 0; to[i]; i++)
		if (!put_clean(out, to[i] == '\n' ? "_" : to + i, 1))
			return 0;
	if (!put(out, ">:\n"))
		return 0;
	for (i = 0; i < len; i = end + 1) {
		char const *lf = memchr(report + i, '\n', len - i);

		end = lf ? (size_t)(lf - report) : len;
		if (!(end == i ? put(out, "/") :
		    put_clean(out, report + i, end - i)) || !put(out, "\n"))
			return 0;
	}
	return put(out, "\n");
}

/* The pair at *pos of the failures. */
static int
next(struct notice const *n, size_t *pos, char const **to,
    char const **report)
{
	size_t left = n->failures_len - *pos;

	if (!left)
		return 0;
	*to = n->failures + *pos;
	*pos += strlen(*to) + 1;
	*report = n->failures + *pos;
	*pos += strlen(*report) + 1;
	return 1;
}

static int
text_part(struct notice const *n, stralloc *out)
{
	char const *to, *report;
	size_t pos = 0;

	if (!part(n, out, "Content-Type: text/plain; charset=us-ascii\n\n") ||
	    !put(out, "Hi. This is the qmail-send program at ") ||
	    !put_clean(out, n->host, strlen(n->host)) ||
	    !put(out, n->until ?
		".\nI was not able to deliver your message to the following "
		"addresses yet.\nThis is a warning only: you need not send "
		"it again. I shall keep trying.\n\n" : n->doubled ?
		".\nI tried to deliver a bounce message to this address, "
		"but the bounce bounced!\n\n" :
		".\nI'm afraid I wasn't able to deliver your message to the "
		"following addresses.\nThis is a permanent error; I've given "
		"up. Sorry it didn't work out.\n\n"))
		return 0;
	while (next(n, &pos, &to, &report))
		if (!paragraph(out, to, report))
			return 0;
	return put(out, n->doubled ?
	    "--- Below this line is the original bounce.\n\n" :
	    "--- Below this line is a copy of the message.\n\n");
}

static int
digits(char const *s, size_t max)
{
	size_t n = 0;

	while (s[n] >= '0' && s[n] <= '9')
		n++;
	return n && n <= max ? (int)n : 0;
}

/* "5.1.1" at s: its length, or 0.  RFC 3463 2. */
static size_t
status_at(char const *s)
{
	size_t n = 1, len, i;

	if (*s != '4' && *s != '5')
		return 0;
	for (i = 0; i < 2; i++) {
		if (s[n] != '.')
			return 0;
		len = digits(s + n + 1, 3);
		if (!len)
			return 0;
		n += 1 + len;
	}
	return n;
}

void
notice_status(char const *report, char class, char *out)
{
	char const *s;
	size_t n = 0;

	for (s = strstr(report, "(#"); s && !n; s = strstr(s + 2, "(#")) {
		n = status_at(s + 2);
		if (n && s[2 + n] == ')')
			memcpy(out, s + 2, n);
		else
			n = 0;
	}
	/* a server's reply: "550 5.1.1 ..." */
	for (s = report; *s && !n; s++)
		if (digits(s, 3) == 3 && (s[3] == ' ' || s[3] == '-') &&
		    (s == report || s[-1] < '0' || s[-1] > '9')) {
			n = status_at(s + 4);
			memcpy(out, s + 4, n);
		}
	if (!n) {
		memcpy(out, "5.0.0", 5);
		n = 5;
	}
	/* a last try that failed for the time being has failed for good */
	*out = class;
	out[n] = 0;
}

/* A report as one field value: its lines joined, folded before column 900
 * (RFC 5322 2.1.1 allows 998).
 */
static int
diagnostic(stralloc *out, char const *report)
{
	size_t i, len = strlen(report), column = 0;

	while (len && report[len - 1] == '\n')
		len--;
	for (i = 0; i < len; i++) {
		if (report[i] == '\n' && report[i + 1] == '\n')
			continue;	/* an empty line would end the field */
		if (report[i] == '\n' || column > 900) {
			if (!put(out, "\n\t"))
				return 0;
			column = 0;
		}
		if (report[i] != '\n' && !put_clean(out, report + i, 1))
			return 0;
		column++;
	}
	return put(out, "\n");
}

static int
status_part(struct notice const *n, stralloc *out)
{
	char const *to, *report;
	size_t pos = 0;

	if (!part(n, out, "Content-Type: message/delivery-status\n\n") ||
	    !put(out, "Reporting-MTA: dns; ") ||
	    !put_clean(out, n->host, strlen(n->host)) ||
	    !put(out, "\nArrival-Date: ") || !put_date(out, n->arrival) ||
	    !put(out, "\n"))
		return 0;
	while (next(n, &pos, &to, &report)) {
		char status[16];

		notice_status(report, n->until ? '4' : '5', status);
		if (!put(out, "\nFinal-Recipient: rfc822; ") ||
		    !put_address(out, to) ||
		    !put(out, n->until ? "\nAction: delayed\nStatus: " :
			"\nAction: failed\nStatus: ") ||
		    !put(out, status) ||
		    !put(out, "\nDiagnostic-Code: x-postern; ") ||
		    !diagnostic(out, report))
			return 0;
		if (n->until && (!put(out, "Will-Retry-Until: ") ||
		    !put_date(out, n->until) || !put(out, "\n")))
			return 0;
	}
	return put(out, "\n");
}

int
notice_head(struct notice const *n, stralloc *out)
{
	return header(n, out) && text_part(n, out) && status_part(n, out) &&
	    part(n, out, n->headers_only ?
		"Content-Type: text/rfc822-headers\n"
		"Content-Transfer-Encoding: 8bit\n\nReturn-Path: <" :
		"Content-Type: message/rfc822\n"
		"Content-Transfer-Encoding: 8bit\n\nReturn-Path: <") &&
	    put_address(out, n->sender) && put(out, ">\n") ? 1 : -1;
}

int
notice_tail(struct notice const *n, stralloc *out)
{
	return put(out, "\n--") && put(out, n->boundary) && put(out, "--\n") ?
	    1 : -1;
}
