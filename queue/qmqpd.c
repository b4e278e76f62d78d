#include <errno.h>
#include <string.h>

#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "queue/netmail.h"
#include "queue/netstring.h"

char const *PROG = "qmqpd";

static int
body(struct netmail *m, struct netstring *all)
{
	struct netstring n;
	char const *s;
	size_t len;
	int r = netstring_begin(&n, all, all->io, NETMAIL_MOST);

	if (r != 1)
		return r;
	while ((r = netstring_piece(&n, &s, &len)) == 1)
		netmail_put(m, s, len);
	return r == 0 ? netstring_end(&n) : -1;
}

static int
envelope(struct netmail *m, struct netstring *all)
{
	stralloc s = STRALLOC_ZERO;
	int r = netstring_get(all, all->io, LIMIT_ENVELOPE, &s);

	if (r == 0) {		/* no sender */
		errno = EPROTO;
		r = -1;
	}
	if (r == 1)
		netmail_sender(m, s.s ? s.s : "", s.len);
	while (r == 1) {
		s.len = 0;
		r = netstring_get(all, all->io, LIMIT_ENVELOPE, &s);
		if (r == 1)
			netmail_recipient(m, s.s ? s.s : "", s.len);
	}
	stralloc_free(&s);
	return r;
}

/* One message: QMQP has no more on a connection.  1 answered; 0 the client
 * went away without one; -1 with errno.
 */
static int
session(io *i, struct netmail *m)
{
	struct netstring all;
	char const *verdict;
	int r;

	io_deadline(i, NETMAIL_TIMEOUT);
	r = netstring_begin(&all, 0, i, NETMAIL_MOST);
	if (r != 1)
		return r;
	netmail_begin(m, "QMQP");
	r = body(m, &all);
	if (r == 0)
		errno = EPROTO;
	if (r == 1)
		r = envelope(m, &all);
	else
		r = -1;
	if (r == 0)
		r = netstring_end(&all);
	if (r == -1) {
		int e = errno;

		netmail_drop(m);
		errno = e;
		return -1;
	}
	verdict = netmail_end(m);
	return netstring_put(i, verdict, strlen(verdict)) == 1 ? io_flush(i) :
	    -1;
}

static int
end(void)
{
	log_start("warning", "no message");
	log_errno(errno);
	log_end();
	return errno == EPROTO || errno == EMSGSIZE ? EXIT_PERM : EXIT_TEMP;
}

/* Takes one message by QMQP from a host that lets us queue for it, and puts it
 * into the queue.  It relays for everybody who reaches it: rules decide who
 * that is.
 *
 * Runs as: smtpd's user, behind listen
 * Reads:   descriptor 0, control/databytes
 * Writes:  descriptor 1; through the queue program
 * Trusts:  listen's rules; queued
 * Trusted by: nobody
 */
int
main(void)
{
	static io i;
	static struct netmail m;
	int r;

	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "chdir to ", home_path());
	sig_ignore(SIGPIPE);
	if (netmail_limit(&m.max) == -1)
		strerr_diefu1sys(EXIT_TEMP, "read control/databytes");
	io_init(&i, 0, 1);
	r = session(&i, &m);
	return r == -1 ? end() : EXIT_DONE;
}
