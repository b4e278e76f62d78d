/* remote: hand a message over to another host, by SMTP.
 *
 * With arguments, as qmail-remote: one message, on descriptor 0, to recipients
 * at one host, with a report on descriptor 1.  Without, descriptor 0 is
 * rspawn's socket: job after job (lib/job.h), until that ends.
 *
 * Runs as:    remote
 * Reads:      the message; control/; what servers and, through dnsq, DNS say
 * Writes:     to servers; remote/deadhosts; a report
 * Trusts:     its job, control/.  Neither servers nor DNS
 * Trusted by: rspawn, for what became of the jobs that it had
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "lib/msgfile.h"
#include "lib/packet.h"
#include "lib/sandbox.h"
#include "remote/relay.h"

enum {
	IDLE = 5,		/* seconds that a connection waits for a job */
	ANSWER = 16384		/* of answers, then they are sent */
};

static struct relay relay = RELAY_ZERO;

/* No message leaves the queue for a server before it has been found whole. */
static int
take_message(struct relay *r, int fd)
{
	static stralloc env = STRALLOC_ZERO;
	struct msgfile m;
	char const *why = "";
	int got = msgfile_read(fd, &m, &env, &why);

	if (got == 1) {
		got = content_start(&r->content, fd, m.body);
		if (got == 1 && r->content.crc != m.body_crc) {
			why = "the body's checksum does not fit";
			got = 0;
		}
	}
	if (got == 0)
		report_set(&r->report, 'C', (char const *const []){ why, 0 });
	else if (got == -1)
		report_temp(&r->report, "Unable to read message: ",
		    strerror(errno), ". (#4.3.0)\n");
	return got;
}

static void
nomem_if(int bad)
{
	if (bad)
		strerr_diefu1sys(EXIT_TEMP, "allocate memory");
}

static void
job(struct relay *r, char const *s, size_t n, int fd)
{
	char const *sender, *host, *number, *to;
	size_t pos = 0;

	report_reset(&r->report);
	job_field(s, n, &pos);		/* the message's id */
	sender = job_field(s, n, &pos);
	host = job_field(s, n, &pos);
	while ((number = job_field(s, n, &pos)) &&
	    (to = job_field(s, n, &pos)))
		nomem_if(report_add(&r->report, number, to) == -1);
	if (!sender || !host || pos != n || !r->report.n || fd == -1)
		strerr_dief1x(EXIT_PERM, "rspawn's packet is malformed");
	if (take_message(r, fd) == 1)
		relay_message(r, host, sender);
}

static int
send_answers(stralloc *out)
{
	int r = out->len ? packet_send(0, out->s, out->len, -1) : 1;

	out->len = 0;
	return r;
}

static void
answer(struct report *p)
{
	static char const cut[] = "\nError report too long, sorry.\n";
	static stralloc out = STRALLOC_ZERO, text = STRALLOC_ZERO;
	size_t i;
	int r = 1;

	for (i = 0; i < p->n && r == 1; i++) {
		char letter = report_for(p, i, &text);

		if (text.len > LIMIT_REPORT) {
			text.len = LIMIT_REPORT - sizeof cut;
			nomem_if(!stralloc_cats(&text, cut));
		}
		nomem_if(job_puts(&out, p->rcpt[i].number) == -1 ||
		    !stralloc_append(&out, letter) ||
		    job_put(&out, text.s, text.len) == -1);
		if (out.len > ANSWER)
			r = send_answers(&out);
	}
	if (r == -1 || send_answers(&out) == -1)
		strerr_diefu1sys(EXIT_TEMP, "answer");
}

/* Until there is a job.  A connection waits a little with us, unless the
 * server says something: it can only be good-bye.
 */
static void
wait_for_job(struct relay *r)
{
	struct pollfd p[2] = { { .fd = 0, .events = POLLIN },
	    { .fd = r->fd, .events = POLLIN } };
	int n;

	while (r->fd != -1) {
		n = poll(p, 2, IDLE * 1000);
		if (n == -1 && errno != EINTR)
			strerr_diefu1sys(EXIT_TEMP, "poll");
		if (n > 0 && p[0].revents)
			return;
		if (n != -1)
			relay_end(r);
	}
}

static void
confine(void)
{
	char const *ca = getenv("SSL_CERT_FILE");
	struct sandbox_path const paths[] = {
		{ "control", SANDBOX_READ }, { "bin", SANDBOX_EXEC },
		{ "remote", SANDBOX_READ | SANDBOX_WRITE },
		{ "/etc/resolv.conf", SANDBOX_READ },
		/* for tlsconnect, which is dynamic */
		{ "/lib", SANDBOX_EXEC }, { "/lib64", SANDBOX_EXEC },
		{ "/usr/lib", SANDBOX_EXEC }, { "/etc/ssl", SANDBOX_READ },
		{ "/etc/ld.so.cache", SANDBOX_READ },
		{ "/usr/bin/curl", SANDBOX_EXEC },	/* for stsfetch */
		{ ca ? ca : "/etc/ssl", SANDBOX_READ }
	};

	if (sandbox_no_new_privs() == -1 ||
	    sandbox_paths(paths, sizeof paths / sizeof *paths) == -1 ||
	    sandbox_forbid(SANDBOX_SIGNAL, 0, 0) == -1)
		strerr_diefu1sys(EXIT_TEMP, "confine itself");
}

static void
serve(struct relay *r)
{
	static char packet[LIMIT_PACKET];
	size_t n;
	int fd, got;

	if (ndelay_off(0) == -1 || coe(0) == -1)
		strerr_diefu1sys(EXIT_TEMP, "use descriptor 0");
	confine();
	for (;;) {
		wait_for_job(r);
		got = packet_recv(0, packet, sizeof packet, &n, &fd);
		if (got == 0)
			break;
		if (got == -1)
			strerr_diefu1sys(EXIT_TEMP, "receive a job");
		job(r, packet, n, fd);
		if (fd != -1)
			close(fd);
		answer(&r->report);
	}
	relay_end(r);
}

/* The message on descriptor 0, from its offset on: what is no file, or not to
 * be read from its start, is copied.  The descriptor and its size; -1.
 */
static int
one_message(uint64_t *size)
{
	char buf[8192];
	struct stat st;
	ssize_t n;
	int fd;

	if (fstat(0, &st) == -1)
		return -1;
	*size = st.st_size;
	if (S_ISREG(st.st_mode) && lseek(0, 0, SEEK_CUR) == 0)
		return 0;
	fd = memfd_create("message", MFD_CLOEXEC);
	*size = 0;
	while (fd != -1 && (n = fd_read(0, buf, sizeof buf))) {
		if (n == -1 || allwrite(fd, buf, n) != (size_t)n)
			return -1;
		*size += n;
	}
	return fd;
}

static void
once(struct relay *r, int argc, char const *const *argv)
{
	uint64_t size;
	int fd, i;

	for (i = 3; i < argc; i++)
		nomem_if(report_add(&r->report, 0, argv[i]) == -1);
	fd = one_message(&size);
	if (fd == -1 || content_start(&r->content, fd, size) == -1)
		report_temp(&r->report, "Unable to read message. (#4.3.0)\n");
	else
		relay_message(r, argv[1], argv[2]);
	relay_end(r);
}

int
main(int argc, char const *const *argv)
{
	stralloc out = STRALLOC_ZERO;

	PROG = "remote";
	signal(SIGPIPE, SIG_IGN);
	if (argc == 1) {
		if (home_enter() == -1)
			strerr_diefu2sys(EXIT_TEMP, "chdir to ", home_path());
		serve(&relay);
		return EXIT_DONE;
	}
	if (argc < 4)
		report_perm(&relay.report, "I (remote) was invoked "
		    "improperly. (#5.3.5)\n");
	else if (home_enter() == -1)
		report_temp(&relay.report, "Unable to switch to home "
		    "directory. (#4.3.0)\n");
	else
		once(&relay, argc, argv);
	nomem_if(report_print(&relay.report, &out) == -1);
	if (allwrite(1, out.s, out.len) != out.len)
		strerr_diefu1sys(EXIT_TEMP, "write the report");
	return EXIT_DONE;
}
