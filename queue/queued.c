#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/clock.h"
#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/log.h"
#include "lib/msgfile.h"
#include "lib/packet.h"
#include "lib/role.h"
#include "queue/archive.h"
#include "queue/worker.h"

#define SOCKET "socket/queue/queued"

char const *PROG = "queued";

enum {
	BACKLOG = 512,
	WORKERS = 24,		/* by default */
	RESERVE = 20000000,	/* bytes, by default */
	PAUSE = 1000,		/* ms between two workers put in place of dead
				 * ones */
	STOP = 12000		/* ms that workers get after SIGTERM */
};

struct master {
	struct store st;
	int listener, home;
	pid_t worker[WORKERS_MAX];	/* 0: to be started */
	uint64_t next;			/* when one may be started */
	uint64_t stop;			/* 0, or when to kill the rest */
};

static struct master master;

/* A user that could not be looked up is not one that does not exist: then
 * nothing would be marked or removed until the next start.
 */
static int
uid_of(char const *role, uid_t *uid)
{
	struct role r;
	int found = role_find(role, &r);

	*uid = found == 1 ? r.uid : (uid_t)-1;
	return found;
}

int
settings_read(struct settings *s, char const **file)
{
	unsigned int reserve = RESERVE, databytes = 0, strictsync = 0;
	stralloc archive = STRALLOC_ZERO;
	char const *bad;
	uid_t smtpd, sender;

	if (control_uint(*file = "control/queuereserve", &reserve) == -1 ||
	    control_uint(*file = "control/databytes", &databytes) == -1 ||
	    control_uint(*file = "control/strictsync", &strictsync) == -1 ||
	    control_list(*file = "control/archive", &archive) == -1)
		return -1;
	*file = "conf-users";
	if (uid_of("smtpd", &smtpd) == -1 || uid_of("send", &sender) == -1)
		return -1;
	if (!archive_check(&archive, &bad)) {
		strerr_warnw("control/archive: not who:address: ", bad);
		*file = "control/archive";
		stralloc_free(&archive);
		errno = EINVAL;
		return -1;
	}
	stralloc_free(&s->archive);
	s->archive = archive;
	s->reserve = (uint64_t)reserve + databytes;
	s->strictsync = strictsync;
	s->smtpd = smtpd;
	s->send = sender;
	return 1;
}

static void
read_settings(struct settings *s)
{
	char const *file = "control/concurrencyqueue";

	s->workers = WORKERS;
	if (control_uint(file, &s->workers) == -1 ||
	    settings_read(s, &file) == -1)
		strerr_diefu2sys(EXIT_TEMP, "read ", file);
	if (!s->workers || s->workers > WORKERS_MAX)
		strerr_dief1x(EXIT_PERM,
		    "control/concurrencyqueue is not between 1 and 250");
}

static void
become_queue(void)
{
	struct role r;

	if (geteuid())
		return;
	if (role_find("queue", &r) != 1)
		strerr_dief1x(EXIT_PERM, "no user for role queue");
	if (role_become(&r) == -1)
		strerr_diefu1sys(EXIT_TEMP, "become user of role queue");
}

/* ---- the queue directory */

static void
check_directory(char const *path)
{
	if (access(path, W_OK | X_OK) == -1)
		strerr_diefu2sys(EXIT_TEMP, "write to directory queue/", path);
}

static void
check_directories(void)
{
	char path[16];
	unsigned int i;

	check_directory("tmp");
	check_directory("bad");
	for (i = 0; i < MSGFILE_SPLIT; i++) {
		snprintf(path, sizeof path, "mess/%02u", i);
		check_directory(path);
	}
}

/* Workers share the lock: as long as one lives, files in tmp/ may be in use.
 * After the master was killed they are gone within moments.
 */
static void
take_lock(void)
{
	struct timespec t = { 0, 50000000 };
	int tries, fd = open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd == -1)
		strerr_diefu1sys(EXIT_TEMP, "open queue/lock");
	for (tries = 0; tries < 30; tries++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return;
		nanosleep(&t, 0);
	}
	strerr_diefu1sys(EXIT_TEMP, "lock queue/lock (another queued runs?)");
}

/* For reading too: then writing never fails for want of a reader. */
static int
open_trigger(void)
{
	struct stat s;
	int fd = open("trigger", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd != -1 && fstat(fd, &s) == 0 && S_ISFIFO(s.st_mode))
		return fd;
	strerr_warnwu1sys("open fifo queue/trigger");
	if (fd != -1)
		close(fd);
	return -1;
}

/* Somebody died between a message's last step and the word to send about it:
 * send shall look for itself.
 */
static void
send_shall_look(int trigger)
{
	ssize_t r = trigger == -1 ? 0 : write(trigger, "0\n", 2);

	(void)r;
}

static void
raise_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == -1)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static void
prepare(struct master *m)
{
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
	read_settings(&m->st.set);
	become_queue();
	m->home = open(".", O_PATH | O_CLOEXEC);
	if (m->home == -1)
		strerr_diefu1sys(EXIT_TEMP, "open home directory");
	if (chdir("queue") == -1)
		strerr_diefu1sys(EXIT_TEMP, "enter queue");
	check_directories();
	take_lock();
	store_sweep(-1);
	m->st.trigger = open_trigger();
	send_shall_look(m->st.trigger);
	if (fchdir(m->home) == -1)
		strerr_diefu1sys(EXIT_TEMP, "enter home directory");
	m->listener = packet_listen(SOCKET, 0666, BACKLOG);
	if (m->listener == -1)
		strerr_diefu1sys(EXIT_TEMP, "listen on " SOCKET);
	fcntl(m->listener, F_SETFL, O_NONBLOCK);
	if (chdir("queue") == -1)
		strerr_diefu1sys(EXIT_TEMP, "enter queue");
	m->st.shared = mmap(0, sizeof *m->st.shared, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m->st.shared == MAP_FAILED)
		strerr_diefu1sys(EXIT_TEMP, "map memory");
}

/* ---- workers */

/* A worker must not outlive the master, who holds its place. */
static void
start_worker(struct master *m, unsigned int i)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == -1) {
		strerr_warnwu1sys("fork");
		return;
	}
	if (pid) {
		m->worker[i] = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_TEMP);
	m->st.number = i;
	_exit(worker_run(&m->st, m->listener, m->home));
}

static void
start_missing(struct master *m)
{
	unsigned int i;

	if (m->stop || clock_ms() < m->next)
		return;
	for (i = 0; i < m->st.set.workers; i++) {
		if (m->worker[i])
			continue;
		m->next = clock_ms() + PAUSE;
		start_worker(m, i);
		return;
	}
}

/* What a dead worker left: its clients have seen it go, nothing of theirs
 * was acknowledged.
 */
static void
clean_after(struct master *m, unsigned int i)
{
	memset(m->st.shared->uid[i], 0, sizeof m->st.shared->uid[i]);
	store_sweep(i);
	m->worker[i] = 0;
}

static void
reap(struct master *m)
{
	unsigned int i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < m->st.set.workers; i++)
			if (m->worker[i] == pid)
				break;
		if (i == m->st.set.workers)
			continue;
		clean_after(m, i);
		if (m->stop && status == 0)
			continue;
		send_shall_look(m->st.trigger);
		log_start("warning", "worker died");
		log_number("pid", pid);
		log_number("status", status);
		log_end();
	}
}

static unsigned int
tell_workers(struct master *m, int sig)
{
	unsigned int i, n = 0;

	for (i = 0; i < m->st.set.workers; i++) {
		if (m->worker[i] <= 0)
			continue;
		n++;
		if (sig)
			kill(m->worker[i], sig);
	}
	return n;
}

static void
supervise(struct master *m, sigset_t const *mask)
{
	struct timespec t = { 0, 200000000 };
	int sig;

	for (;;) {
		int missing = tell_workers(m, 0) < m->st.set.workers;

		sig = missing || m->stop ? sigtimedwait(mask, 0, &t) :
		    sigwaitinfo(mask, 0);
		if (sig == SIGHUP)
			tell_workers(m, SIGHUP);
		if (sig == SIGTERM && !m->stop) {
			m->stop = clock_ms() + STOP;
			tell_workers(m, SIGTERM);
		}
		reap(m);
		start_missing(m);
		if (m->stop && !tell_workers(m, 0))
			return;
		if (m->stop && clock_ms() > m->stop)
			tell_workers(m, SIGKILL);
	}
}

/* Takes messages from any program of this machine and makes them durable in
 * the queue; changes and removes them for send.
 *
 * Runs as: queue; started as root it becomes queue before anything else
 * Reads:   control/{concurrencyqueue,queuereserve,databytes,strictsync,
 *          archive}, conf-users, requests on socket/queue/queued
 * Writes:  queue/: it alone creates, changes and removes messages
 * Trusts:  the kernel for uid and pid of a client; send and root for changes
 * Trusted by: everybody who was told that a message is queued
 */
int
main(int argc, char *const *argv)
{
	struct master *m = &master;
	sigset_t mask;
	unsigned int i;

	(void)argv;
	if (argc != 1)
		strerr_dieusage(EXIT_USAGE, "queued");
	unsetenv("POSTERN_SESSION");
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, 0);
	raise_files();
	prepare(m);
	for (i = 0; i < m->st.set.workers; i++)
		start_worker(m, i);
	log_start("info", "ready");
	log_number("workers", m->st.set.workers);
	log_end();
	supervise(m, &mask);
	unlink("../" SOCKET);
	return EXIT_DONE;
}
