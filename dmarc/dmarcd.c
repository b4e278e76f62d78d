/* dmarcd: checks SPF, DKIM and DMARC of messages, for dmarcq.
 *
 * The first process waits for a connection, gives it a process of its own, and
 * that one a process of dnsq.  Only there are foreign bytes looked at, by the
 * libraries; it ends with its message, and what goes wrong in it costs that
 * message its check.
 *
 * Runs as: dmarc.  Reads: conf-users; the list of public suffixes; the message
 * and the facts that come with a question.  Writes: socket/dmarc; answers.
 * Trusts: the kernel for who asks, dnsq for the form of its lines.  Trusted
 * by: dmarcq, for what it says about that one message.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dmarc/check.h"
#include "dmarc/dkim.h"
#include "dmarc/policy.h"
#include "dmarc/protocol.h"
#include "dmarc/spf.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/log.h"
#include "lib/packet.h"
#include "lib/sandbox.h"
#include "lib/setting.h"
#include "lib/signalpipe.h"
#include "lib/spawn.h"

char const *PROG = "dmarcd";

enum {
	CHECKS = 40,		/* at a time; others wait in the socket */
	BACKLOG = 128
};

struct dmarcd {
	int signals;
	int listener;
	uid_t smtpd;
	unsigned int running;
	struct pair { pid_t check, dns; } pair[CHECKS];
};

extern char **environ;

static void
prepare_signals(struct dmarcd *d)
{
	static int const those[] = { SIGCHLD, SIGTERM, SIGINT };

	signal(SIGPIPE, SIG_IGN);
	d->signals = signalpipe_open(those, sizeof those / sizeof *those);
	if (d->signals == -1)
		log_die(EXIT_TEMP, "unable to make a pipe", 0);
}

static void
find_smtpd(struct dmarcd *d)
{
	char name[SETTING_LINE];
	struct role role;
	int r = setting_role("smtpd", name);

	if (r == 1)
		r = setting_user(name, &role);
	if (r == -1)
		log_die(EXIT_TEMP, "unable to look up a role", "smtpd");
	if (r == 0)
		log_die(EXIT_PERM, "no user for a role in conf-users", "smtpd");
	d->smtpd = role.uid;
}

/* ---- processes */

static void
tell_end(pid_t pid, int status)
{
	log_start("warning", "a check has failed");
	log_number("pid", (uint64_t)pid);
	log_status(status);
	log_end();
}

/* A check and its dnsq are gone when both are: dnsq follows. */
static void
reap(struct dmarcd *d)
{
	struct pair *p;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (p = d->pair; p < d->pair + CHECKS; p++) {
			if (p->check == pid) {
				if (status)
					tell_end(pid, status);
				p->check = 0;
				if (p->dns)
					kill(p->dns, SIGKILL);
			} else if (p->dns == pid) {
				p->dns = 0;
			} else {
				continue;
			}
			if (!p->check && !p->dns)
				d->running--;
			break;
		}
	}
}

static pid_t
start_dns(int fd)
{
	static char const *const argv[] = { "bin/dnsq", "-t", "4", 0 };
	struct spawn_fd fds[] = { { fd, 0 }, { fd, 1 } };

	return spawn(argv, (char const *const *)environ, fds, 2);
}

static void
start_check(struct dmarcd *d, struct pair *p, int connection, int dns)
{
	p->check = fork();
	if (p->check == 0) {
		signal(SIGCHLD, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		close(d->listener);
		_exit(check(connection, dns));
	}
}

/* 1, 0 trouble, which is told. */
static int
start(struct dmarcd *d, int connection)
{
	struct pair *p = d->pair;
	int s[2];

	while (p->check || p->dns)
		p++;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == -1)
		return 0;
	p->dns = start_dns(s[1]);
	close(s[1]);
	if (p->dns == -1)
		p->dns = 0;
	else
		start_check(d, p, connection, s[0]);
	close(s[0]);
	if (p->check == -1) {
		p->check = 0;
		kill(p->dns, SIGKILL);
	}
	d->running += p->check || p->dns;
	return p->check != 0;
}

static void
greet(struct dmarcd *d)
{
	int fd = accept4(d->listener, 0, 0, SOCK_CLOEXEC);
	pid_t pid;
	uid_t uid;

	if (fd == -1)
		return;
	if (packet_peer(fd, &pid, &uid) == -1 ||
	    (uid != 0 && uid != d->smtpd)) {
		close(fd);
		return;
	}
	if (!start(d, fd)) {
		log_start("warning", "unable to start a check");
		log_errno(errno);
		log_end();
	}
	close(fd);
}

static void
run(struct dmarcd *d)
{
	struct pollfd p[2];
	int sig;

	for (;;) {
		p[0] = (struct pollfd){ d->signals, POLLIN, 0 };
		p[1] = (struct pollfd){ d->running < CHECKS ? d->listener : -1,
			POLLIN, 0 };
		if (poll(p, 2, -1) == -1)
			continue;
		while ((sig = signalpipe_next()) != 0)
			if (sig != SIGCHLD)
				return;
		reap(d);
		if (p[1].revents && d->running < CHECKS)
			greet(d);
	}
}

int
main(void)
{
	static struct dmarcd d;

	if (home_enter() == -1)
		log_die(EXIT_TEMP, "unable to enter the home directory", 0);
	find_smtpd(&d);
	prepare_signals(&d);
	if (dkim_start() == -1)
		log_die(EXIT_PERM, "unable to start libopendkim", 0);
	if (spf_start() == -1)
		log_die(EXIT_PERM, "unable to start libspf2", 0);
	if (policy_start() == -1)
		log_die(EXIT_PERM, "there is no list of public suffixes", 0);
	d.listener = packet_listen(PROTOCOL_SOCKET, 0666, BACKLOG);
	if (d.listener == -1 || fcntl(d.listener, F_SETFL, O_NONBLOCK) == -1)
		log_die(EXIT_TEMP, "unable to listen", PROTOCOL_SOCKET);
	log_start("info", "ready");
	log_end();
	run(&d);
	return EXIT_DONE;
}
