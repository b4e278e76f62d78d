/* tlsd: does the TLS of all connections, and holds the keys.
 *
 * One process reads the keys and looks after the others; it never reads a
 * byte of the network.  Those have the keys in their memory and nothing else:
 * no file, no program, no new connection.  At a SIGHUP the keys are read
 * anew; new processes take the new connections, the old ones end with their
 * last one.
 *
 * Runs as: root until it is in an empty root directory, then tls.  Reads:
 * tls/, conf-users, control/ at its start, and in its other processes the
 * network.  Writes: socket/tls.  Trusts: the kernel
 * for who hands over a connection; nothing of what comes from the network.
 * Trusted by: tlsrun, for what is clear.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/log.h"
#include "lib/packet.h"
#include "lib/role.h"
#include "lib/sandbox.h"
#include "lib/signalpipe.h"
#include "lib/tlshandover.h"
#include "tls/settings.h"
#include "tls/worker.h"

char const *PROG = "tlsd";

enum {
	WORKERS_LEAST = 2,	/* one that dies takes half with it */
	WORKERS_MOST = 8,
	BACKLOG = 1024,
	PAUSE = 1000		/* milliseconds, before another try */
};

struct process {
	pid_t pid;		/* 0: none */
	unsigned int generation;
};

struct tlsd {
	int signals;
	int listener;
	struct settings settings;
	struct keys_source source;
	struct tickets tickets;
	struct keys *keys;		/* those in force */
	struct keys one, other;
	struct conn_room room;
	struct process process[CONN_SLOTS];
	unsigned int generation;
	unsigned int workers;		/* how many there should be */
	int pause;			/* something failed just now */
};

static void
prepare_signals(struct tlsd *d)
{
	static int const those[] = { SIGHUP, SIGCHLD, SIGTERM, SIGINT };

	d->signals = signalpipe_open(those, sizeof those / sizeof *those);
	if (d->signals == -1)
		log_die(EXIT_TEMP, "unable to make a pipe", 0);
	signal(SIGPIPE, SIG_IGN);
}

/* What belongs to the user tls is opened as that user: root has no rights to
 * others' files here.
 */
static void
open_all(struct tlsd *d)
{
	if (geteuid() == 0 && (setegid(d->settings.tls.gid) == -1 ||
	    seteuid(d->settings.tls.uid) == -1))
		log_die(EXIT_TEMP, "unable to become the user of role tls", 0);
	d->source.dir = open("tls", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->source.dir == -1)
		log_die(EXIT_TEMP, "unable to open tls", 0);
	d->listener = packet_listen(TLSHANDOVER_SOCKET, 0666, BACKLOG);
	if (d->listener == -1)
		log_die(EXIT_TEMP, "unable to listen", TLSHANDOVER_SOCKET);
	if (fcntl(d->listener, F_SETFL, O_NONBLOCK) == -1)
		log_die(EXIT_TEMP, "unable to prepare", TLSHANDOVER_SOCKET);
	if (getuid() == 0 && (seteuid(0) == -1 || setegid(0) == -1))
		log_die(EXIT_TEMP, "unable to be root again", 0);
}

/* For good: reads below tls/, and nothing else of any file. */
static void
drop(struct tlsd *d)
{
	struct sandbox_path const path = { "tls", SANDBOX_READ };

	if (sandbox_no_new_privs() == -1 || sandbox_paths(&path, 1) == -1)
		log_die(EXIT_TEMP, "unable to restrict paths", 0);
	if (chroot("empty") == -1 || chdir("/") == -1)
		log_die(EXIT_TEMP, "unable to change the root directory", 0);
	if (role_become(&d->settings.tls) == -1)
		log_die(EXIT_TEMP, "unable to become the user of role tls", 0);
}

static void
prepare_room(struct tlsd *d)
{
	size_t size = sizeof(unsigned int [CONN_SLOTS][CONN_USERS]);
	void *shared = mmap(0, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		log_die(EXIT_TEMP, "unable to allocate memory", 0);
	d->room.used = shared;
	d->room.sessions = d->settings.sessions;
	d->room.handshake = (uint64_t)d->settings.handshake * 1000;
	d->room.idle = (uint64_t)d->settings.idle * 1000;
	d->room.users = d->settings.users;
	memcpy(d->room.uid, d->settings.uid, sizeof d->room.uid);
}

static void
prepare_keys(struct tlsd *d)
{
	if (tickets_init(&d->tickets, clock_seconds()) == -1)
		log_die(EXIT_TEMP, "unable to draw a random number", 0);
	d->source.ciphers = d->settings.ciphers;
	d->keys = &d->one;
}

/* Without a key there is nothing to serve with: whoever connects is refused.
 * Started anew, we look again.
 */
static void
wait_for_keys(struct tlsd *d)
{
	struct pollfd p = { d->signals, POLLIN, 0 };

	log_start("warning", "no certificate in tls/: TLS is not offered; "
	    "SIGHUP when there is one");
	log_end();
	close(d->listener);
	while (poll(&p, 1, -1) != 1)
		;
	_exit(EXIT_DONE);
}

static void
start(struct tlsd *d, unsigned int slot)
{
	struct worker w = {
		d->listener, d->keys, &d->tickets, &d->room
	};
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == -1) {
		log_start("warning", "unable to start a process");
		log_errno(errno);
		log_end();
		d->pause = 1;
		return;
	}
	if (pid == 0) {
		close(d->source.dir);
		d->room.slot = slot;
		worker_run(&w, parent);
	}
	d->process[slot].pid = pid;
	d->process[slot].generation = d->generation;
}

static void
start_missing(struct tlsd *d)
{
	unsigned int alive = 0, i;

	tickets_advance(&d->tickets, clock_seconds());
	for (i = 0; i < CONN_SLOTS; i++)
		alive += d->process[i].pid &&
		    d->process[i].generation == d->generation;
	for (i = 0; i < CONN_SLOTS && alive < d->workers && !d->pause; i++) {
		if (d->process[i].pid)
			continue;
		start(d, i);
		alive++;
	}
}

static unsigned int
find_process(struct tlsd *d, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < CONN_SLOTS; i++)
		if (d->process[i].pid == pid)
			break;
	return i;
}

static void
bury(struct tlsd *d)
{
	unsigned int i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		i = find_process(d, pid);
		if (i == CONN_SLOTS)
			continue;
		d->process[i].pid = 0;
		memset(d->room.used[i], 0, sizeof d->room.used[i]);
		if (status == 0)
			continue;
		log_start("warning", "a process died, and its connections");
		log_number("pid", (uint64_t)pid);
		log_status(status);
		log_end();
		d->pause = 1;
	}
}

static void
signal_all(struct tlsd *d, int sig)
{
	unsigned int i;

	for (i = 0; i < CONN_SLOTS; i++)
		if (d->process[i].pid > 0)
			kill(d->process[i].pid, sig);
}

static unsigned int
free_slots(struct tlsd *d)
{
	unsigned int n = 0, i;

	for (i = 0; i < CONN_SLOTS; i++)
		n += d->process[i].pid == 0;
	return n;
}

static void
say_in_force(struct tlsd *d)
{
	log_start("info", "certificates are in force");
	log_number("files", d->keys->n);
	log_end();
}

static void
reload(struct tlsd *d)
{
	struct keys *new = d->keys == &d->one ? &d->other : &d->one;
	int r = -1;

	if (free_slots(d) < d->workers) {
		log_start("warning", "too many old processes have connections");
		log_end();
	} else {
		r = keys_load(&d->source, 1, new);
	}
	if (r != 1) {
		log_start("warning", r == 0 ? "no certificate in tls/: "
		    "the old ones stay in force" :
		    "the old certificates stay in force");
		log_end();
		return;
	}
	keys_free(d->keys);
	d->keys = new;
	signal_all(d, SIGHUP);
	d->generation++;
	start_missing(d);
	say_in_force(d);
}

static void
run(struct tlsd *d)
{
	struct pollfd p = { d->signals, POLLIN, 0 };
	int sig;

	for (;;) {
		start_missing(d);
		if (poll(&p, 1, d->pause ? PAUSE : TICKETS_PERIOD * 1000) < 1) {
			d->pause = 0;
			continue;
		}
		sig = signalpipe_next();
		if (sig == SIGCHLD)
			bury(d);
		else if (sig == SIGHUP)
			reload(d);
		else if (sig)
			break;
	}
	signal_all(d, SIGTERM);
	_exit(EXIT_DONE);
}

int
main(void)
{
	static struct tlsd d;
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (home_enter() == -1)
		log_die(EXIT_TEMP, "unable to enter the home directory", 0);
	settings_read(&d.settings);
	d.workers = n < WORKERS_LEAST ? WORKERS_LEAST :
	    n > WORKERS_MOST ? WORKERS_MOST : (unsigned int)n;
	if (OPENSSL_init_ssl(0, 0) != 1)
		log_die(EXIT_PERM, "unable to initialise OpenSSL", 0);
	prepare_signals(&d);
	prepare_room(&d);
	prepare_keys(&d);
	open_all(&d);
	drop(&d);
	if (keys_load(&d.source, 0, d.keys) != 1)
		wait_for_keys(&d);
	start_missing(&d);
	say_in_force(&d);
	run(&d);
	return 0;
}
