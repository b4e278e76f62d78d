#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "lib/cdbfile.h"
#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/recipient.h"
#include "lib/smtpaddress.h"
#include "queue/netmail.h"
#include "queue/netstring.h"

char const *PROG = "qmtpd";

enum { NO_HOST, YES, REFUSED };

struct service {
	struct netmail m;
	char const *relay;	/* $RELAYCLIENT; null: only to our domains */
	stralloc rcpthosts;
	struct cdbfile more;
	stralloc answers;	/* per recipient: null, or its own refusal */
};

/* ---- the body: LF, or CR LF, as its first byte says (QMTP 2) */

struct lines {
	int crlf;		/* -1: the first byte has not come */
	int cr;			/* the last byte was CR */
};

/* In CR LF mode a CR or LF of its own would mean a line end to some and none
 * to others: such a message is refused, as smtpd does.
 */
static void
unfold(struct netmail *m, struct lines *l, char const *s, size_t n)
{
	size_t i, from = 0;

	if (!l->crlf) {
		netmail_put(m, s, n);
		return;
	}
	for (i = 0; i < n; i++) {
		if (l->cr != (s[i] == '\n')) {
			netmail_refuse(m, "Dbare CR or LF (#5.6.0)");
			return;
		}
		l->cr = s[i] == '\r';
		if (l->cr) {
			netmail_put(m, s + from, i - from);
			from = i + 1;
		}
	}
	netmail_put(m, s + from, n - from);
}

static void
first_byte(struct netmail *m, struct lines *l, char c)
{
	l->crlf = c == '\r';
	l->cr = 0;
	if (c != '\r' && c != '\n')
		netmail_refuse(m, "Dunknown line ends (#5.6.0)");
}

/* 1; 0 no more messages; -1. */
static int
body(struct netmail *m, io *i)
{
	struct netstring n;
	struct lines l = { -1, 0 };
	char const *s;
	size_t len;
	int r = netstring_begin(&n, 0, i, NETMAIL_MOST);

	if (r != 1)
		return r;
	netmail_begin(m, "QMTP");
	while ((r = netstring_piece(&n, &s, &len)) == 1) {
		if (l.crlf == -1) {
			first_byte(m, &l, *s);
			s++;
			len--;
		}
		unfold(m, &l, s, len);
	}
	if (l.crlf == -1)
		netmail_refuse(m, "Dempty message (#5.6.0)");
	if (l.cr)
		netmail_refuse(m, "Dbare CR or LF (#5.6.0)");
	return r == 0 ? netstring_end(&n) : -1;
}

/* ---- the recipients */

/* In control/rcpthosts or morercpthosts.cdb: 1, 0, -1. */
static int
has_domain(struct service *v, char const *s, size_t n)
{
	char key[LIMIT_ADDRESS];
	char const *value;
	size_t i, len;
	int r = 0;

	if (control_has_domain(&v->rcpthosts, s, n))
		return 1;
	if (!v->rcpthosts.len || n > sizeof key)
		return 0;
	for (i = 0; i < n; i++)
		key[i] = s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i];
	for (i = 0; i < n && r == 0; i++)
		if (!i || key[i] == '.')
			r = cdbfile_get(&v->more, key + i, n - i, &value,
			    &len);
	return r;
}

/* The refusal of one recipient, or null. */
static char const *
judge(struct service *v, char const *s, size_t n)
{
	static char const trouble[] =
	    "Zunable to check recipients now (#4.3.0)";
	size_t at = smtpaddress_at(s, n);
	int host = v->relay ? 1 : at == n ? 0 : has_domain(v, s + at + 1,
	    n - at - 1), r;

	if (n > LIMIT_ADDRESS || memchr(s, 0, n))
		return "Daddress is too long, or no address (#5.1.3)";
	if (!v->relay && smtpaddress_detours(s, at))
		return "Dwe don't relay (#5.7.1)";
	if (host == -1)
		return trouble;
	r = recipient_check(s, n);
	/* no rcpthosts, or no domain to be in it: what the tables know, and
	 * nothing else */
	if (!host && ((at < n && v->rcpthosts.len) || r == RECIPIENT_FOREIGN))
		return "Dsorry, that domain isn't in my list of allowed "
		    "rcpthosts (#5.7.1)";
	switch (r) {
	case RECIPIENT_NO:
		return "Dsorry, no mailbox here by that name (#5.1.1)";
	case RECIPIENT_DISABLED:
		return "Dsorry, that mailbox is disabled (#5.2.1)";
	case RECIPIENT_FULL:
		return "Zsorry, that mailbox is over quota (#4.2.2)";
	case RECIPIENT_OVER:
		return "Dsorry, that mailbox is over quota (#5.2.2)";
	case RECIPIENT_TROUBLE:
		return trouble;
	default:
		return 0;
	}
}

static int
keep_answer(struct service *v, char const *answer)
{
	return stralloc_catb(&v->answers, (char const *)&answer,
	    sizeof answer) ? 1 : -1;
}

static int
recipient(struct service *v, stralloc *to)
{
	char const *why;

	if (v->answers.len / sizeof why >= LIMIT_RECIPIENTS) {
		netmail_refuse(&v->m, "Ztoo many recipients (#4.5.3)");
		return keep_answer(v, 0);
	}
	why = judge(v, to->s ? to->s : "", to->len);
	if (!why && v->relay && !stralloc_cats(to, v->relay))
		return -1;
	if (!why && !netmail_recipient(&v->m, to->s ? to->s : "", to->len))
		why = "Daddress is too long, or no address (#5.1.3)";
	return keep_answer(v, why);
}

static int
envelope(struct service *v, io *i)
{
	stralloc s = STRALLOC_ZERO;
	struct netstring all;
	int r = netstring_get(0, i, LIMIT_ADDRESS + 1, &s);

	if (r == 1) {
		netmail_sender(&v->m, s.s ? s.s : "", s.len);
		r = netstring_begin(&all, 0, i, LIMIT_ENVELOPE);
	}
	if (r == 0) {
		errno = EPROTO;
		r = -1;
	}
	v->answers.len = 0;
	while (r == 1) {
		s.len = 0;
		r = netstring_get(&all, i, LIMIT_ENVELOPE, &s);
		if (r == 1)
			r = recipient(v, &s);
	}
	stralloc_free(&s);
	return r == 0 ? netstring_end(&all) : -1;
}

/* An answer for each recipient, in their order. */
static int
answer(struct service *v, io *i)
{
	char const *all = netmail_end(&v->m), *own;
	size_t k;

	for (k = 0; k < v->answers.len; k += sizeof own) {
		memcpy(&own, v->answers.s + k, sizeof own);
		if (!own)
			own = all;
		if (netstring_put(i, own, strlen(own)) == -1)
			return -1;
	}
	return io_flush(i);
}

/* Message after message.  0 the client has no more; -1 with errno. */
static int
session(struct service *v, io *i)
{
	int r;

	do {
		io_deadline(i, NETMAIL_TIMEOUT);
		r = body(&v->m, i);
		if (r == 1)
			r = envelope(v, i);
		if (r == 1)
			r = answer(v, i);
	} while (r == 1);
	if (r == -1) {
		int e = errno;

		netmail_drop(&v->m);
		errno = e;
	}
	return r;
}

static int
end(void)
{
	log_start("warning", "connection given up");
	log_errno(errno);
	log_end();
	return errno == EPROTO || errno == EMSGSIZE ? EXIT_PERM : EXIT_TEMP;
}

/* Takes messages by QMTP for our domains, from clients that may relay for all,
 * and puts them into the queue.
 *
 * Runs as: smtpd's user, behind listen
 * Reads:   descriptor 0; control/rcpthosts, morercpthosts.cdb, databytes; the
 *          tables of recipients
 * Writes:  descriptor 1; through the queue program
 * Trusts:  listen's rules; queued
 * Trusted by: nobody
 */
int
main(void)
{
	static io i;
	static struct service v;

	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "chdir to ", home_path());
	sig_ignore(SIGPIPE);
	v.relay = getenv("RELAYCLIENT");
	if (netmail_limit(&v.m.max) == -1)
		strerr_diefu1sys(EXIT_TEMP, "read control/databytes");
	if (control_list("control/rcpthosts", &v.rcpthosts) == -1 ||
	    cdbfile_open(&v.more, "control/morercpthosts.cdb") == -1)
		strerr_diefu1sys(EXIT_TEMP, "read control/rcpthosts or "
		    "morercpthosts.cdb");
	io_init(&i, 0, 1);
	return session(&v, &i) == -1 ? end() : EXIT_DONE;
}
