#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/home.h"
#include "tools/ask.h"
#include "tools/checks.h"
#include "tools/finding.h"

enum {
	DISK_WARN = 10, DISK_BAD = 3,	/* percent free */
	OLD = 86400,			/* seconds: nobody writes so long */
	QUEUED = 10000,			/* messages that deserve a word */
	FILES = 5			/* of a kind that are named */
};

static stralloc out = STRALLOC_ZERO;

/* What "mailctl stat" says, asked once.  Its exit code, or -1. */
static int
services(stralloc *copy)
{
	static char const *const argv[] = { "bin/mailctl", "stat", 0 };
	static stralloc all = STRALLOC_ZERO;
	static int code, asked;

	if (!asked)
		code = ask(argv, 60, &all);
	asked = 1;
	return code == -1 || (stralloc_copy(copy, &all) && stralloc_0(copy)) ?
	    code : -1;
}

int
checks_runs(char const *service)
{
	size_t pos = 0;
	char *line, name[32], state[32];

	if (services(&out) == -1)
		return -1;
	while ((line = ask_line(&out, &pos)))
		if (sscanf(line, "%31s %31s", name, state) == 2 &&
		    strcmp(name, service) == 0)
			return strcmp(state, "up") == 0 ||
			    strcmp(state, "paused") == 0;
	return -1;
}

/* The lines of "mailctl stat" that say what a service does. */
void
check_services(struct machine const *m)
{
	unsigned int up = 0;
	size_t pos = 0;
	char *line, name[32], state[32];

	(void)m;
	if (services(&out) == -1) {
		finding_bad("nothing can be asked", "mailctl stat",
		    "bin/mailctl does not run: %s", strerror(errno));
		return;
	}
	while ((line = ask_line(&out, &pos))) {
		if (sscanf(line, "%31s %31s", name, state) != 2)
			continue;
		if (strcmp(state, "up") == 0)
			up++;
		else if (strcmp(state, "down") == 0)
			finding_bad("what it does, nobody does now",
			    "mailctl start, and mailctl logs", "%s is down",
			    name);
		else if (strcmp(state, "paused") == 0)
			finding_bad("what it does, nobody does now",
			    "mailctl cont", "%s is paused", name);
		else if (strcmp(state, "no") == 0)
			finding_bad("nothing starts it, nor starts it again",
			    "mailctl start", "%s is not supervised", name);
	}
	if (up)
		finding_ok("%u services are up", up);
}

/* Owners and modes, as conf-files has them. */
void
check_files(struct machine const *m)
{
	char const *argv[] = { "bin/instfiles", "--check", "", home_path(),
	    0 };
	char *line;
	size_t pos = 0;
	int code = ask(argv, 60, &out), n = 0;

	(void)m;
	while ((line = ask_line(&out, &pos)) && n < FILES) {
		if (strncmp(line, "instfiles: ", 11) == 0)
			line += 11;
		n++;
		finding_bad("programs trust one another by owners and modes",
		    "install again, or chown and chmod as it says", "%s",
		    line);
	}
	if (code == 0)
		finding_ok("every file has its owner and mode");
	else if (!n)
		finding_bad("it is not known who may write what",
		    "bin/instfiles --check '' .", "files cannot be checked");
}

static void
check_number(char const *file, unsigned int least, unsigned int most)
{
	char path[64];
	unsigned int u = least;
	int r;

	snprintf(path, sizeof path, "control/%s", file);
	r = control_uint(path, &u);
	if (r == -1)
		finding_bad("the default is used, or mail is put off",
		    "write one number into it", "%s: %s", path,
		    errno == EINVAL ? "not a number" : strerror(errno));
	else if (u < least || u > most)
		finding_warn("that is seldom meant", "look at it again",
		    "%s is %u", path, u);
	else
		return;
}

/* Services run as users of their own.  A file whose group is not root's is
 * meant for that group alone.
 */
static void
check_readable(void)
{
	DIR *d = opendir("control");
	struct dirent *e;
	struct stat st;
	unsigned int found = 0;

	while (d && (e = readdir(d))) {
		if (*e->d_name == '.' || fstatat(dirfd(d), e->d_name, &st,
		    0) == -1 || !S_ISREG(st.st_mode) || st.st_uid ||
		    st.st_mode & S_IROTH || (st.st_mode & S_IRGRP && st.st_gid))
			continue;
		if (++found <= FILES)
			finding_bad("services cannot read it: mail is put off,"
			    " or they do not start", "chmod 644; with a "
			    "password in it chgrp postern-remote and chmod 640",
			    "control/%s (mode %03o) is for root alone",
			    e->d_name, (unsigned int)st.st_mode & 0777);
	}
	if (d)
		closedir(d);
}

void
check_settings(struct machine const *m)
{
	static struct {
		char const *file;
		unsigned int least, most;
	} const numbers[] = {
		{ "concurrencyincoming", 5, 20000 },
		{ "concurrencyperip", 1, 20000 },
		{ "concurrencypop3", 5, 20000 },
		{ "concurrencylocal", 1, 1000 },
		{ "concurrencyremote", 1, 1000 },
		{ "databytes", 0, 2000000000 },
		{ "queuelifetime", 3600, 2592000 },
		{ "timeoutsmtpd", 10, 7200 },
		{ "timeoutremote", 10, 7200 },
		{ "timeoutconnect", 1, 600 }
	};
	static char const *const needed[] = { "control/me", "control/locals",
	    "control/rcpthosts", "rules/smtp.cdb", "rules/pop3.cdb",
	    "users/cdb" };
	size_t i;

	check_readable();
	for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
		check_number(numbers[i].file, numbers[i].least,
		    numbers[i].most);
	for (i = 0; i < sizeof needed / sizeof *needed; i++)
		if (access(needed[i], R_OK) == -1)
			finding_bad("mail is refused, or put off, without it",
			    "run setup again, or mailctl cdb", "%s: %s",
			    needed[i], strerror(errno));
	if (!strchr(m->me.s, '.'))
		finding_warn("other hosts refuse such a name",
		    "put this host's full name into control/me",
		    "control/me is %s, no full name", m->me.s);
	else
		finding_ok("this host is %s", m->me.s);
}

void
check_queue(struct machine const *m)
{
	static char const *const argv[] = { "bin/qstat", 0 };
	static char const *const list[] = { "bin/queuectl", "count", "reason",
	    "older=4h", 0 };
	unsigned long n = 0, bad = 0;
	char *line;
	size_t pos = 0;

	(void)m;
	if (ask(argv, 60, &out) != 0) {
		finding_bad("nobody knows what waits", "qstat",
		    "the queue cannot be read");
		return;
	}
	while ((line = ask_line(&out, &pos))) {
		sscanf(line, "messages in queue: %lu", &n);
		sscanf(line, "messages set aside as damaged: %lu", &bad);
	}
	if (bad)
		finding_bad("they wait for a person", "look into queue/bad/,"
		    " and at the disk", "%lu damaged messages are set aside",
		    bad);
	if (n > QUEUED)
		finding_warn("something does not move", "queuectl count"
		    " domain; queuectl count reason",
		    "%lu messages are queued", n);
	else
		finding_ok("%lu messages are queued", n);
	pos = 0;
	if (ask(list, 60, &out) == 0 && (line = ask_line(&out, &pos)) && *line)
		finding_note("the most frequent reason of waiting for 4 hours:"
		    " %s", line);
}

static unsigned int
percent(unsigned long free, unsigned long all)
{
	return all ? (unsigned int)(free * 100.0 / all) : 100;
}

static void
check_space(char const *dir)
{
	struct statvfs s;
	unsigned int space, inodes, least;

	if (statvfs(dir, &s) == -1) {
		finding_bad("it is needed", "make it, or mount it", "%s: %s",
		    dir, strerror(errno));
		return;
	}
	if (s.f_flag & ST_RDONLY)
		finding_bad("no mail can be written", "mount -o remount,rw",
		    "%s is on a read-only file system", dir);
	space = percent(s.f_bavail, s.f_blocks);
	inodes = percent(s.f_favail, s.f_files);
	least = space < inodes ? space : inodes;
	if (least < DISK_WARN)
		(least < DISK_BAD ? finding_bad : finding_warn)(
		    "mail is refused when it is full",
		    "make room, or a larger disk",
		    "%s: %u %% of the space and %u %% of the inodes are free",
		    dir, space, inodes);
	else
		finding_ok("%s: %u %% of the space and %u %% of the inodes are"
		    " free", dir, space, inodes);
}

void
check_disk(struct machine const *m)
{
	(void)m;
	check_space("queue");
	check_space("domains");
	check_space("log");
}

/* Our own programs are older than now, unless the clock is wrong. */
void
check_clock(struct machine const *m)
{
	struct timex t = { .modes = 0 };
	struct stat st;
	int state = adjtimex(&t);

	(void)m;
	if (stat("bin/smtpd", &st) == 0 && st.st_mtime > time(0) + 60)
		finding_bad("mail gets wrong dates, retries wrong times",
		    "set the clock", "the clock is earlier than this"
		    " installation");
	else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
		finding_warn("dates in mail and logs drift", "install chrony,"
		    " or systemd-timesyncd", "nothing keeps the clock right");
	else
		finding_ok("the clock is kept right");
}

/* Files of that ending, or all, that nobody has touched for a day. */
static void
check_old(char const *dir, char const *ending)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;
	size_t n, len = strlen(ending);
	unsigned int found = 0;

	while (d && (e = readdir(d))) {
		n = strlen(e->d_name);
		if (*e->d_name == '.' || n < len ||
		    strcmp(e->d_name + n - len, ending) != 0 ||
		    fstatat(dirfd(d), e->d_name, &st,
		    AT_SYMLINK_NOFOLLOW) == -1 || st.st_mtime + OLD > time(0))
			continue;
		if (++found <= FILES)
			finding_warn("something stopped in the middle",
			    "look at it, then delete it", "%s/%s is left over",
			    dir, e->d_name);
	}
	if (d)
		closedir(d);
}

static void
check_stale(char const *source, char const *made)
{
	struct stat a, b;

	if (stat(source, &a) == 0 && stat(made, &b) == 0 &&
	    a.st_mtime > b.st_mtime)
		finding_warn("the old one is in force", "mailctl cdb",
		    "%s is newer than %s", source, made);
}

void
check_leftovers(struct machine const *m)
{
	static char const *const dirs[] = { "control", "rules", "users", "bin",
	    "service/smtpd/env" };
	size_t i;

	(void)m;
	for (i = 0; i < sizeof dirs / sizeof *dirs; i++) {
		check_old(dirs[i], ".tmp");
		check_old(dirs[i], ".new");
	}
	check_old("queue/tmp", "");
	check_stale("rules/smtp", "rules/smtp.cdb");
	check_stale("rules/pop3", "rules/pop3.cdb");
	check_stale("users/assign", "users/cdb");
}
