/* tlsrun offers TLS to the program that it runs, and to that program's
 * client: UCSPI-TLS with tlsd at the other end.  With -i the program starts
 * behind a handshake, and what it reads and writes is encrypted from the
 * first byte on.
 *
 * Nothing of tlsrun stays behind: tlsd gets the connection and the far ends
 * of two sockets, and waits until the program asks.
 *
 * Runs as: who runs it; root, smtpd or popup, or a user that
 * control/tlsusers names.  Reads: of the control socket, with -i.  Writes:
 * one record to tlsd.  Trusts: tlsd.  Trusted by: the program, for SSL_*.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skalibs/exec.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/log.h"
#include "lib/session.h"
#include "lib/tlshandover.h"

#define USAGE "tlsrun [-i] prog..."

enum {
	PATIENCE = 70,		/* seconds; tlsd's own is shorter */
	ANSWER = 4096
};

struct offer {
	int control, clear;	/* the program's ends */
};

static void
must(int ok)
{
	if (!ok)
		strerr_diefusys(EXIT_TEMP, "allocate memory");
}

static int
hand_over(int control, int clear)
{
	char const *remote = getenv("TCPREMOTEIP");
	stralloc path = STRALLOC_ZERO;
	struct tlshandover h = { .control = control, .net = 0, .clear = clear };
	int r;

	must(stralloc_cats(&path, home_path()) &&
	    stralloc_cats(&path, "/" TLSHANDOVER_SOCKET) && stralloc_0(&path));
	strncpy(h.session, session_id(), sizeof h.session - 1);
	if (remote)
		strncpy(h.remote, remote, sizeof h.remote - 1);
	r = tlshandover_send(path.s, &h);
	stralloc_free(&path);
	return r;
}

/* 1, or -1 with errno and nothing left open. */
static int
offer(struct offer *o)
{
	int control[2], clear[2], r, e;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) == -1)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, clear) == -1) {
		e = errno;
		close(control[0]);
		close(control[1]);
		errno = e;
		return -1;
	}
	r = hand_over(control[1], clear[1]);
	e = errno;
	close(control[1]);
	close(clear[1]);
	if (r == -1) {
		close(control[0]);
		close(clear[0]);
	}
	o->control = control[0];
	o->clear = clear[0];
	errno = e;
	return r;
}

static void
refused(char const *level, char const *what, int e)
{
	log_start(level, what);
	log_errno(e);
	log_end();
}

static void
put_fd(stralloc *edits, char const *name, int fd)
{
	char fmt[UINT_FMT];

	must(stralloc_cats(edits, name) && stralloc_append(edits, '=') &&
	    stralloc_catb(edits, fmt, uint_fmt(fmt, (unsigned int)fd)) &&
	    stralloc_0(edits));
}

/* Numbers of their own for reading and writing: there are programs that close
 * the one before they take the other.
 */
static void
offer_later(struct offer const *o, stralloc *edits)
{
	int out = dup(o->clear);

	if (out == -1 || fcntl(o->control, F_SETFD, 0) == -1 ||
	    fcntl(o->clear, F_SETFD, 0) == -1)
		strerr_diefusys(EXIT_TEMP, "pass descriptors on");
	put_fd(edits, "SSLCTLFD", o->control);
	put_fd(edits, "SSLREADFD", o->clear);
	put_fd(edits, "SSLWRITEFD", out);
}

/* Reads on until two NULs end the answer.  Its length, 0: there is none. */
static size_t
read_answer(int fd, char *s)
{
	uint64_t end = clock_seconds() + PATIENCE;
	struct pollfd p = { fd, POLLIN, 0 };
	size_t n = 0;
	ssize_t r;

	while (n < 2 || s[n-1] || s[n-2]) {
		uint64_t now = clock_seconds();

		if (n == ANSWER || now >= end)
			return 0;
		if (poll(&p, 1, (int)(end - now) * 1000) <= 0)
			continue;
		r = read(fd, s + n, ANSWER - n);
		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0)
			return 0;
		n += r;
	}
	return n;
}

/* Asks for the handshake, and takes over what tlsd says of it. */
static void
encrypt_now(struct offer const *o, stralloc *edits)
{
	char answer[ANSWER];
	size_t n, i;

	n = send(o->control, "Y", 1, MSG_NOSIGNAL) == 1 ?
	    read_answer(o->control, answer) : 0;
	if (!n) {
		log_start("info", "ended without TLS");
		log_end();
		_exit(EXIT_TEMP);
	}
	for (i = 0; i < n && answer[i]; i += strlen(answer + i) + 1)
		if (strncmp(answer + i, "SSL_", 4) == 0 &&
		    strchr(answer + i, '='))
			must(stralloc_catb(edits, answer + i,
			    strlen(answer + i) + 1));
	if (dup2(o->clear, 0) == -1 || dup2(o->clear, 1) == -1)
		strerr_diefusys(EXIT_TEMP, "duplicate a descriptor");
}

int
main(int argc, char const *const *argv)
{
	static char const none[] = "SSLCTLFD\0SSLREADFD\0SSLWRITEFD\0";
	subgetopt l = SUBGETOPT_ZERO;
	stralloc edits = STRALLOC_ZERO;
	struct offer o;
	int opt, now = 0;

	PROG = "tlsrun";
	while ((opt = subgetopt_r(argc, argv, "i", &l)) != -1) {
		if (opt != 'i')
			strerr_dieusage(EXIT_USAGE, USAGE);
		now = 1;
	}
	argv += l.ind;
	if (!*argv)
		strerr_dieusage(EXIT_USAGE, USAGE);
	must(stralloc_catb(&edits, none, sizeof none - 1));
	if (offer(&o) == 1) {
		if (now) {
			encrypt_now(&o, &edits);
		} else {
			edits.len = 0;
			offer_later(&o, &edits);
		}
	} else if (now) {
		refused("fatal", "unable to reach tlsd", errno);
		return EXIT_TEMP;
	} else {
		refused("warning", "TLS is not offered", errno);
	}
	mexec_m(argv, edits.s, edits.len);
	strerr_diefusys(EXIT_TEMP, "run ", argv[0]);
}
