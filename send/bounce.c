#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/sig.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/enqueue.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "lib/msgfile.h"
#include "lib/packet.h"
#include "send/notice.h"

enum { BODY_MOST = 50000 };	/* bytes of a message that come back whole */

struct bounce {
	struct notice n;
	uint64_t id;
	stralloc host, from, to, envelope, text;
	unsigned int max;	/* bytes of a message; above: its header */
	char boundary[80];
	struct msgfile file;
	char const *control;	/* the file that was read last */
};

/* An "answer": a letter, a text, NUL. */
static void
answer(char letter, char const *text)
{
	char s[ENQUEUE_TEXT + 64];
	int n = snprintf(s, sizeof s, "%c%s", letter, text);

	if (n >= (int)sizeof s)
		n = sizeof s - 1;
	if (packet_send(0, s, n + 1, -1) == -1)
		strerr_diefu1sys(EXIT_TEMP, "answer send");
}

/* 1; 0 no such file, or no value; -1. */
static int
read_line(struct bounce *b, char const *file, stralloc *out)
{
	return control_line(b->control = file, out);
}

static int
line_or(struct bounce *b, char const *file, char const *value, stralloc *out)
{
	int r = read_line(b, file, out);

	if (r == 0)
		r = stralloc_copys(out, value) ? 1 : -1;
	return r;
}

static int
line_or_me(struct bounce *b, char const *file, stralloc *out)
{
	int r = read_line(b, file, out);

	if (r == 0)
		r = read_line(b, "control/me", out);
	if (r == 0) {
		errno = ENOENT;
		r = -1;
	}
	return r;
}

/* postmaster, or as control/doublebounce* say.  1; 0 discard: the file's
 * first line is empty; -1.
 */
static int
double_to(struct bounce *b)
{
	stralloc host = STRALLOC_ZERO;
	int r = read_line(b, "control/doublebounceto", &b->to);

	if (r == 0) {
		if (access("control/doublebounceto", F_OK) == 0)
			return 0;
		r = stralloc_copys(&b->to, "postmaster") ? 1 : -1;
	}
	if (r == 1)
		r = line_or_me(b, "control/doublebouncehost", &host);
	if (r == 1 && (!stralloc_catb(&b->to, "@", 1) ||
	    !stralloc_cat(&b->to, &host)))
		r = -1;
	stralloc_free(&host);
	return r;
}

/* Whom the bounce is for, and its own reverse-path: a bounce of a bounce goes
 * to the postmaster, from "#@[]", so that its own bounce is dropped.
 */
static int
address_it(struct bounce *b)
{
	size_t len = strlen(b->n.sender);
	int r = 1;

	b->n.doubled = !len;
	if (b->n.doubled)
		r = double_to(b);
	else {
		/* a VERP sender, "owner-@host-@[]", is "owner-@host" */
		if (len >= 4 && memcmp(b->n.sender + len - 4, "-@[]", 4) == 0)
			len -= 4;
		if (!stralloc_copyb(&b->to, b->n.sender, len))
			r = -1;
	}
	b->envelope.len = 0;
	if (r == 1 && (!stralloc_cats(&b->envelope,
	    b->n.doubled ? "F#@[]" : "F") || !stralloc_0(&b->envelope) ||
	    !stralloc_catb(&b->envelope, "T", 1) ||
	    job_put(&b->envelope, b->to.s, b->to.len) == -1 ||
	    !stralloc_0(&b->to)))
		r = -1;
	return r;
}

static int
settings(struct bounce *b)
{
	if (line_or_me(b, "control/bouncehost", &b->host) == -1 ||
	    !stralloc_0(&b->host) ||
	    line_or(b, "control/bouncefrom", "MAILER-DAEMON", &b->from) == -1 ||
	    !stralloc_0(&b->from))
		return -1;
	b->max = BODY_MOST;
	b->control = "control/bouncemaxbytes";
	return control_uint(b->control, &b->max) == -1 ? -1 : 1;
}

/* The file that settings or address_it failed at, and why.  Of files that may
 * be missing, ENOENT comes from line_or_me alone.
 */
static void
answer_unread(struct bounce const *b)
{
	char text[200];

	if (errno == ENOENT)
		snprintf(text, sizeof text, "%s names no host", b->control);
	else
		snprintf(text, sizeof text, "unable to read %s: %s",
		    b->control, strerror(errno));
	answer('Z', text);
}

/* Bytes of the body up to the end of its header, at most max. */
static int
copy_body(enqueue *q, int fd, uint64_t size, int headers_only)
{
	char buf[8192];
	uint64_t at = 0;
	int lf = 1;

	while (at < size) {
		size_t n = size - at < sizeof buf ? size - at : sizeof buf, i;
		ssize_t r = pread(fd, buf, n, at);

		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0)
			return -1;
		n = r;
		for (i = 0; headers_only && i < n; i++) {
			if (buf[i] == '\n' && lf) {
				enqueue_put(q, buf, i);
				return 1;
			}
			lf = buf[i] == '\n';
		}
		enqueue_put(q, buf, n);
		at += n;
	}
	return 1;
}

static int
queue_it(struct bounce *b, int fd)
{
	static enqueue q;
	char text[2 * UINT64_FMT];
	size_t n;

	b->text.len = 0;
	if (notice_head(&b->n, &b->text) == -1) {
		answer('Z', "out of memory");
		return 0;
	}
	if (enqueue_open(&q) == 1) {
		enqueue_put(&q, b->text.s, b->text.len);
		b->text.len = 0;
		if (copy_body(&q, fd, b->file.body, b->n.headers_only) == -1 ||
		    notice_tail(&b->n, &b->text) == -1) {
			enqueue_abort(&q);
			answer('Z', "unable to read the message");
			return 0;
		}
		enqueue_put(&q, b->text.s, b->text.len);
		if (enqueue_close(&q, &b->envelope) == QUEUE_OK) {
			n = uint64_fmt(text, q.pid);
			text[n++] = ' ';
			text[n + uint64_fmt(text + n, q.id)] = 0;
			answer('K', text);
			return 1;
		}
	}
	answer('Z', enqueue_reply(&q));
	return 0;
}

static int
parse(struct bounce *b, char const *s, size_t n)
{
	uint64_t birth;
	size_t pos = 0, i, nuls = 0;

	if (!job_field_number(s, n, &pos, &b->id) ||
	    !job_field_number(s, n, &pos, &birth) ||
	    !job_field_number(s, n, &pos, &b->n.until))
		return 0;
	b->n.sender = job_field(s, n, &pos);
	if (!b->n.sender || pos >= n || s[n - 1])
		return 0;
	b->n.arrival = birth / 1000000;
	b->n.failures = s + pos;
	b->n.failures_len = n - pos;
	for (i = pos; i < n; i++)
		nuls += !s[i];
	return nuls % 2 == 0;
}

/* A boundary that nobody can have put into the message. */
static void
boundary(struct bounce *b)
{
	uint64_t r[2];

	if (getrandom(r, sizeof r, 0) != sizeof r)
		strerr_diefu1sys(EXIT_TEMP, "get random bytes");
	snprintf(b->boundary, sizeof b->boundary,
	    "postern.%llu.%016llx%016llx", (unsigned long long)b->id,
	    (unsigned long long)r[0], (unsigned long long)r[1]);
}

static void
one_bounce(struct bounce *b, char const *s, size_t n, int fd)
{
	stralloc envelope = STRALLOC_ZERO;
	char const *why;
	int r;

	if (fd == -1 || !parse(b, s, n))
		strerr_dief1x(EXIT_PERM, "send's packet is malformed");
	if (settings(b) == -1) {
		answer_unread(b);
		return;
	}
	r = address_it(b);
	if (r == -1)
		answer_unread(b);
	else if (r == 0)
		answer('K', "0");
	if (r != 1)
		return;
	r = msgfile_read(fd, &b->file, &envelope, &why);
	stralloc_free(&envelope);
	if (r != 1) {
		answer('Z', "unable to read the message");
		return;
	}
	boundary(b);
	b->n.host = b->host.s;
	b->n.from = b->from.s;
	b->n.to = b->to.s;
	b->n.boundary = b->boundary;
	b->n.now = time(0);
	b->n.headers_only = b->n.until || (b->max && b->file.body > b->max);
	queue_it(b, fd);
}

/* bounce: queues bounces for send, one after the other, so that send never
 * waits until one is on disk.
 *
 * Runs as:    send, started by it
 * Reads:      from descriptor 0 what failed and why, with the message;
 *             control/bouncefrom, bouncehost, bouncemaxbytes, doublebounceto,
 *             doublebouncehost, me
 * Writes:     through queued
 * Trusts:     send
 * Trusted by: send: a recipient is done when its bounce is queued
 */
int
main(void)
{
	static struct bounce b;
	static char packet[LIMIT_PACKET];
	size_t n;
	int fd, r;

	PROG = "bounce";
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "chdir to ", home_path());
	sig_ignore(SIGPIPE);
	while ((r = packet_recv(0, packet, sizeof packet, &n, &fd)) == 1) {
		one_bounce(&b, packet, n, fd);
		if (fd != -1)
			close(fd);
	}
	if (r == -1)
		strerr_diefu1sys(EXIT_USAGE, "read jobs from descriptor 0: "
		    "run by send");
	return EXIT_DONE;
}
