/* dkimd: holds the private keys of DKIM, and signs hashes with them.
 *
 * One process, one loop: a question is one record, so nobody can make it wait.
 * At a SIGHUP the keys are read anew; if something is wrong with them, the old
 * ones stay in force.
 *
 * Runs as: dkim.  Reads: conf-users, control/dkimusers; control/dkim and
 * dkim/, also later.  Writes: socket/dkim.  Trusts: the kernel for who asks.
 * Trusted by: dkimsign, for signatures.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dkim/keys.h"
#include "dkim/protocol.h"
#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/log.h"
#include "lib/packet.h"
#include "lib/sandbox.h"
#include "lib/setting.h"
#include "lib/signalpipe.h"

char const *PROG = "dkimd";

enum {
	CONNS = 256,
	OF_A_USER = CONNS * 3 / 4,	/* that one user may have of them */
	BACKLOG = 128,
	GREET = 64,			/* newcomers in one turn */
	IDLE = 30,			/* seconds between two questions */
	USERS = 64
};

struct conn {
	int fd;				/* -1: none */
	uid_t uid;
	int allowed;
	uint64_t due;
};

struct dkimd {
	int signals;
	int listener;
	struct keys keys;
	uid_t stranger[USERS];		/* roles without mail of their own */
	unsigned int strangers;
	int few;			/* control/dkimusers exists */
	uid_t user[USERS];		/* whom it names, root and smtpd */
	unsigned int users;
	struct conn conn[CONNS];
};

static void
prepare_signals(struct dkimd *d)
{
	static int const those[] = { SIGHUP, SIGTERM, SIGINT };

	d->signals = signalpipe_open(those, sizeof those / sizeof *those);
	if (d->signals == -1)
		log_die(EXIT_TEMP, "unable to make a pipe", 0);
}

/* ---- who may ask */

static void
add_user(uid_t *list, unsigned int *n, char const *name)
{
	struct role r;
	int found = setting_user(name, &r);

	if (found == -1)
		log_die(EXIT_TEMP, "unable to look up a user", name);
	if (!found)
		log_die(EXIT_PERM, "no such user", name);
	if (*n == USERS)
		log_die(EXIT_PERM, "too many users", "control/dkimusers");
	list[(*n)++] = r.uid;
}

static void
add_role(uid_t *list, unsigned int *n, char const *role)
{
	char name[SETTING_LINE];
	int r = setting_role(role, name);

	if (r == -1)
		log_die(EXIT_TEMP, "unable to read a setting", "conf-users");
	if (!r)
		log_die(EXIT_PERM, "no such role in conf-users", role);
	add_user(list, n, name);
}

static void
read_users(struct dkimd *d)
{
	static char const *const roles[] = { "popup", "queue", "send",
		"remote", "tls", "log" };
	char line[SETTING_LINE];
	FILE *f = 0;
	size_t i;

	for (i = 0; i < sizeof roles / sizeof *roles; i++)
		add_role(d->stranger, &d->strangers, roles[i]);
	add_role(d->user, &d->users, "smtpd");
	d->user[d->users++] = 0;
	d->few = setting_open("control/dkimusers", &f);
	if (d->few == -1)
		log_die(EXIT_TEMP, "unable to read a setting",
		    "control/dkimusers");
	while (f && setting_next(f, line))
		add_user(d->user, &d->users, line);
	if (f)
		fclose(f);
}

static int
is_in(uid_t const *list, unsigned int n, uid_t uid)
{
	while (n)
		if (list[--n] == uid)
			return 1;
	return 0;
}

static int
is_allowed(struct dkimd const *d, uid_t uid)
{
	if (d->few)
		return is_in(d->user, d->users, uid);
	return !is_in(d->stranger, d->strangers, uid);
}

/* ---- questions */

/* K domain */
static size_t
tell_keys(struct dkimd *d, char const *s, size_t n, char *answer)
{
	struct key const *k;
	size_t pos = 0, len = 1, m;
	unsigned int most = PROTOCOL_KEYS;

	answer[0] = 'K';
	while (most-- && (k = keys_next(&d->keys, s, n, &pos))) {
		m = strlen(k->selector) + 1;
		answer[len] = k->letter;
		memcpy(answer + len + 1, k->selector, m);
		len += 1 + m;
	}
	return len;
}

/* S letter selector NUL domain NUL digest */
static size_t
sign(struct dkimd *d, char const *s, size_t n, char *answer)
{
	size_t selector = n ? strnlen(s + 1, n - 1) : 0, domain, pos = 0, len;
	char const *name = s + 1 + selector + 1;
	struct key const *k;

	if (selector + 2 > n)
		return 0;
	domain = strnlen(name, n - selector - 2);
	if (1 + selector + 1 + domain + 1 + PROTOCOL_DIGEST != n)
		return 0;
	while ((k = keys_next(&d->keys, name, domain, &pos)))
		if (k->letter == *s && !strcmp(k->selector, s + 1))
			break;
	answer[0] = 'R';
	if (!k)
		return 1;
	answer[0] = 'S';
	if (keys_sign(k, name + domain + 1, answer + 1, &len) == -1)
		return 0;
	return 1 + len;
}

/* The length of the answer; 0: that is no question. */
static size_t
answer_to(struct dkimd *d, struct conn *c, char const *s, size_t n,
    char answer[PROTOCOL_ANSWER])
{
	if (!n || (*s != 'K' && *s != 'S'))
		return 0;
	if (!c->allowed) {
		answer[0] = 'R';
		return 1;
	}
	return (*s == 'K' ? tell_keys : sign)(d, s + 1, n - 1, answer);
}

static void
hang_up(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
}

static void
serve(struct dkimd *d, struct conn *c)
{
	char question[PROTOCOL_QUESTION], answer[PROTOCOL_ANSWER];
	size_t n, len = 0;
	int r = packet_recv(c->fd, question, sizeof question, &n, 0);

	if (r == -1 && errno == EAGAIN)
		return;
	if (r == 1)
		len = answer_to(d, c, question, n, answer);
	/* who takes no answers has to ask again */
	if (!len || packet_send(c->fd, answer, len, -1) == -1) {
		hang_up(c);
		return;
	}
	c->due = clock_seconds() + IDLE;
}

/* ---- connections */

/* 1; 0: nobody is waiting. */
static int
greet(struct dkimd *d)
{
	struct conn *c, *place = 0;
	unsigned int same = 0;
	pid_t pid;
	uid_t uid;
	int fd = accept4(d->listener, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1)
		return 0;
	if (packet_peer(fd, &pid, &uid) == -1) {
		close(fd);
		return 1;
	}
	for (c = d->conn; c < d->conn + CONNS; c++) {
		if (c->fd == -1)
			place = c;
		else
			same += c->uid == uid;
	}
	if (!place || same >= OF_A_USER) {
		close(fd);
		return 1;
	}
	place->fd = fd;
	place->uid = uid;
	place->allowed = is_allowed(d, uid);
	place->due = clock_seconds() + IDLE;
	return 1;
}

static void
reload(struct dkimd *d)
{
	struct keys new;

	if (keys_load(1, &new) == -1) {
		log_start("warning", "the old keys stay in force");
	} else {
		keys_free(&d->keys);
		d->keys = new;
		log_start("info", "keys are in force");
		log_number("keys", d->keys.n);
	}
	log_end();
}

/* What to wait for; its number.  The first two are signals and newcomers. */
static nfds_t
list_events(struct dkimd *d, struct pollfd p[CONNS + 2])
{
	unsigned int i, open = 0;

	for (i = 0; i < CONNS; i++) {
		/* poll passes over -1 */
		p[i + 2] = (struct pollfd){ d->conn[i].fd, POLLIN, 0 };
		open += d->conn[i].fd != -1;
	}
	p[0] = (struct pollfd){ d->signals, POLLIN, 0 };
	p[1] = (struct pollfd){ open < CONNS ? d->listener : -1, POLLIN, 0 };
	return CONNS + 2;
}

static void
run(struct dkimd *d)
{
	struct pollfd p[CONNS + 2];
	unsigned int i;
	uint64_t now;
	int sig;

	for (;;) {
		if (poll(p, list_events(d, p), IDLE * 1000) == -1)
			continue;
		if (p[0].revents && (sig = signalpipe_next()) != 0) {
			if (sig != SIGHUP)
				return;
			reload(d);
		}
		now = clock_seconds();
		for (i = 0; i < CONNS; i++) {
			if (d->conn[i].fd == -1)
				continue;
			if (p[i + 2].revents)
				serve(d, d->conn + i);
			else if (d->conn[i].due <= now)
				hang_up(d->conn + i);
		}
		for (i = 0; p[1].revents && i < GREET && greet(d); i++)
			;
	}
}

/* For good: reads below dkim/ and control/, signs, and nothing else. */
static void
narrow(void)
{
	static struct sandbox_path const paths[] = {
		{ "dkim", SANDBOX_READ }, { "control", SANDBOX_READ }
	};
	static int const calls[] = {
#ifdef SYS_poll
		SYS_poll,
#endif
		SYS_ppoll, SYS_accept4, SYS_recvmsg, SYS_sendmsg,
		SYS_getsockopt, SYS_openat, SYS_newfstatat, SYS_fstat,
		SYS_lseek, SYS_fcntl, SYS_getrandom, SYS_getpid, SYS_gettid,
		SYS_futex, SYS_rt_sigprocmask
	};

	if (sandbox_no_new_privs() == -1 ||
	    sandbox_paths(paths, sizeof paths / sizeof *paths) == -1 ||
	    sandbox_only(calls, sizeof calls / sizeof *calls) == -1)
		log_die(EXIT_TEMP, "unable to restrict ourselves", 0);
}

int
main(void)
{
	static struct dkimd d;
	unsigned int i;

	if (home_enter() == -1)
		log_die(EXIT_TEMP, "unable to enter the home directory", 0);
	for (i = 0; i < CONNS; i++)
		d.conn[i].fd = -1;
	read_users(&d);
	prepare_signals(&d);
	d.listener = packet_listen(PROTOCOL_SOCKET, 0666, BACKLOG);
	if (d.listener == -1 || fcntl(d.listener, F_SETFL, O_NONBLOCK) == -1)
		log_die(EXIT_TEMP, "unable to listen", PROTOCOL_SOCKET);
	if (keys_load(0, &d.keys) == -1)
		_exit(EXIT_TEMP);
	narrow();
	log_start("info", "ready");
	log_number("keys", d.keys.n);
	log_end();
	run(&d);
	return EXIT_DONE;
}
