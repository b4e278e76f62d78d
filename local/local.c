/* local: deliver a message for one of this host's users, as his .qmail files
 * say.
 *
 * With arguments, one delivery: the message on descriptor 0, the result as
 * exit code and text.  Without, descriptor 0 is lspawn's socket: job after job
 * for the same user (lib/job.h), until that ends.
 *
 * Runs as: the recipient, never root.  Reads: the message, the user's .qmail
 * files, users/mailbox.  Writes: his Maildirs and mbox files; the queue, for
 * forwards.  Trusts: its job, the .qmail files; not the message, nor the
 * extension of the address.  Trusted by: lspawn, for the outcome.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/sgetopt.h>
#include <skalibs/strerr.h>

#include "lib/control.h"
#include "lib/crc32c.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "lib/maildir.h"
#include "lib/msgfile.h"
#include "lib/packet.h"
#include "local/delivery.h"

#define USAGE "local [ -nN ] user homedir local dash ext domain sender " \
	"defaultdelivery"

static struct body body;

static int
fields(struct delivery *d, char const *const *v)
{
	d->user = v[0];
	d->home = v[1];
	d->local = v[2];
	d->dash = v[3];
	d->ext = v[4];
	d->host = v[5];
	d->sender = v[6];
	d->fallback = v[7];
	return 1;
}

/* The session id that came with the message goes on with its forwards. */
static void
take_session(stralloc const *env)
{
	char const *value;
	size_t n, pos = 0;
	char letter;

	unsetenv("POSTERN_SESSION");
	while (msgfile_next(env, &pos, &letter, &value, &n) && letter != 'F')
		if (letter == 's' && n)
			setenv("POSTERN_SESSION", value, 1);
}

static int
whole(struct body *b, uint32_t expected)
{
	uint64_t pos = 0;
	uint32_t crc = 0;
	char const *s;
	size_t n;
	int r;

	while ((r = body_bytes(b, &pos, &s, &n)) == 1)
		crc = crc32c(crc, s, n);
	return r == -1 ? -1 : crc == expected;
}

/* No message leaves the queue for a mailbox before it has been found whole. */
static int
take_message(struct delivery *d, int fd)
{
	static stralloc env = STRALLOC_ZERO;
	struct msgfile m;
	char const *why = "";
	int r = msgfile_read(fd, &m, &env, &why);

	if (r == 1) {
		take_session(&env);
		body_start(&body, fd, m.body);
		r = whole(&body, m.body_crc);
		why = "the body's checksum does not fit";
	}
	if (r == 0) {
		outcome_set(&d->outcome, 'C', (char const *const [])
		    { why, 0 });
		return -1;
	}
	return r == 1 ? 1 : outcome_errno(&d->outcome, "read message", "");
}

static void
job(struct delivery *d, char const *s, size_t n, int fd)
{
	char const *v[8];
	size_t pos = 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		if (!(v[i] = job_field(s, n, &pos)))
			break;
	if (i < 8 || fd == -1) {
		outcome_temp(&d->outcome, "Malformed job. (#4.3.0)\n");
		return;
	}
	fields(d, v);
	d->body = &body;
	d->capture = 1;
	if (take_message(d, fd) == 1)
		delivery_run(d);
}

static int
answer(struct delivery const *d)
{
	static char const cut[] = "\nError report too long, sorry.\n";
	static char packet[1 + LIMIT_REPORT + sizeof cut]; /* with a NUL */
	size_t n = d->outcome.text.len, len = 1;

	packet[0] = d->outcome.letter;
	if (n > LIMIT_REPORT)
		n = LIMIT_REPORT;
	if (n)
		memcpy(packet + len, d->outcome.text.s, n);
	len += n;
	if (d->outcome.text.len > n) {
		memcpy(packet + len, cut, sizeof cut - 1);
		len += sizeof cut - 1;
	}
	packet[len++] = 0;
	return packet_send(0, packet, len, -1);
}

static void
serve(void)
{
	static char packet[LIMIT_PACKET];
	static struct delivery d = DELIVERY_ZERO;
	size_t n;
	int fd, r;

	if (ndelay_off(0) == -1 || coe(0) == -1)
		strerr_diefusys(EXIT_TEMP, "use descriptor 0");
	for (;;) {
		r = packet_recv(0, packet, sizeof packet, &n, &fd);
		if (r == 0)
			return;
		if (r == -1)
			strerr_diefusys(EXIT_TEMP, "receive a job");
		umask(077);
		job(&d, packet, n, fd);
		if (fd != -1)
			close(fd);
		if (answer(&d) == -1)
			strerr_diefusys(EXIT_TEMP, "answer");
		delivery_reset(&d);
	}
}

static int
once(char const *const *v, int dry)
{
	static struct delivery d = DELIVERY_ZERO;
	struct stat st;

	fields(&d, v);
	d.body = &body;
	d.dry = dry;
	d.whole_file = 1;
	st.st_size = 0;
	if (!dry && (fstat(0, &st) == -1 || !S_ISREG(st.st_mode)))
		outcome_temp(&d.outcome,
		    "Unable to rewind message. (#4.3.0)\n");
	else {
		body_start(&body, 0, st.st_size);
		delivery_run(&d);
	}
	/* too late to change the verdict: who reads this is no part of it */
	if (allwrite(1, d.outcome.text.s, d.outcome.text.len) <
	    d.outcome.text.len)
		strerr_warnwusys("write the result");
	return d.outcome.letter == 'K' ? EXIT_DONE :
	    d.outcome.letter == 'D' ? EXIT_PERM : EXIT_TEMP;
}

/* In doubt, as POSIX has it. */
static void
choose_syncs(void)
{
	char file[PATH_MAX];
	unsigned int strict = 0;

	if (snprintf(file, sizeof file, "%s/control/strictsync",
	    home_path()) >= (int)sizeof file ||
	    control_uint(file, &strict) == -1)
		strict = 1;
	maildir_strict(strict != 0);
}

int
main(int argc, char const *const *argv)
{
	int dry = 0, opt;

	PROG = "local";
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	choose_syncs();
	if (argc == 1) {
		serve();
		return EXIT_DONE;
	}
	while ((opt = sgetopt(argc, argv, "nN")) != -1) {
		if (opt != 'n' && opt != 'N')
			strerr_dieusage(EXIT_USAGE, USAGE);
		dry = opt == 'n';
	}
	if (argc - subgetopt_here.ind != 8)
		strerr_dieusage(EXIT_USAGE, USAGE);
	return once(argv + subgetopt_here.ind, dry);
}
