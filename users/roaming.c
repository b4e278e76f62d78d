#include "users/roaming.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/cdbfile.h"
#include "lib/control.h"
#include "lib/ipaddr.h"
#include "users/textfile.h"

#define TEXT "roaming/open-smtp"
#define CDB "roaming/smtp.cdb"

enum {
	MOST = 20000,		/* addresses */
	INDEX = 23,		/* RULE_INDEX of rules/rule.h */
	MOST_MINUTES = 1440
};

static char const RULE[] = ":allow,RELAYCLIENT=\"\",RBLSMTPD=\"\"\t";
static char const VARIABLES[] = "+RELAYCLIENT=\0+RBLSMTPD=";

/* Both files, while they are made. */
struct writer {
	stralloc text;
	struct cdbmaker cdb;
	uint64_t seconds, now;
	unsigned int count;
};

unsigned int
roaming_minutes(void)
{
	unsigned int minutes = 0;

	if (control_uint("control/roaming", &minutes) == -1) {
		strerr_warnwusys("read control/roaming");
		return 0;
	}
	return minutes > MOST_MINUTES ? MOST_MINUTES : minutes;
}

static int
lock(void)
{
	int fd = open("roaming/lock", O_RDWR | O_CREAT | O_NOFOLLOW |
	    O_CLOEXEC, 0600);

	if (fd != -1 && flock(fd, LOCK_EX) == -1) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The record of a timed rule is its address with the NUL. */
static int
add_rule(struct writer *w, char const *ip, uint64_t until)
{
	char data[64];
	size_t n;

	data[0] = 'T';
	n = 1 + uint64_fmt(data + 1, until);
	data[n++] = 0;
	memcpy(data + n, VARIABLES, sizeof VARIABLES);
	return cdbmaker_add(&w->cdb, ip, strlen(ip) + 1, data,
	    n + sizeof VARIABLES);
}

static int
add(struct writer *w, char const *ip, uint64_t login)
{
	char time[UINT64_FMT];

	if (login + w->seconds <= w->now || login > w->now || w->count == MOST)
		return 1;
	w->count++;
	time[uint64_fmt(time, login)] = 0;
	return add_rule(w, ip, login + w->seconds) == 1 &&
	    stralloc_cats(&w->text, ip) && stralloc_cats(&w->text, RULE) &&
	    stralloc_cats(&w->text, time) && stralloc_append(&w->text, '\n') ?
	    1 : -1;
}

/* "ADDRESS:allow,...<TAB>TIME"; anything else is left out. */
static int
add_line(struct writer *w, char const *line, size_t n, char const *but)
{
	char const *tab = memchr(line, '\t', n);
	char ip[IPADDR_FMT], time[UINT64_FMT];
	size_t len = 0, digits;
	struct ipaddr a;
	uint64_t login;

	if (!tab)
		return 1;
	while (line + len < tab && memcmp(line + len, ":allow", 6) != 0)
		len++;
	digits = line + n - tab - 1;
	if (ipaddr_scan(line, len, &a) != 1 || digits >= sizeof time)
		return 1;
	ipaddr_fmt(ip, &a);
	memcpy(time, tab + 1, digits);
	time[digits] = 0;
	if (!uint640_scan(time, &login) || (but && strcmp(ip, but) == 0))
		return 1;
	return add(w, ip, login);
}

static int
add_lines(struct writer *w, char const *but)
{
	stralloc old = STRALLOC_ZERO;
	size_t pos = 0, n;
	int r = 1;

	if (!openslurpclose(&old, TEXT) && errno != ENOENT)
		return -1;
	for (; r == 1 && pos < old.len; pos += n + 1) {
		char const *lf = memchr(old.s + pos, '\n', old.len - pos);

		n = (lf ? lf : old.s + old.len) - (old.s + pos);
		r = add_line(w, old.s + pos, n, but);
	}
	stralloc_free(&old);
	return r;
}

/* The old lines, but for those of ip, and then ip itself.  Under the lock. */
static int
rewrite(struct writer *w, char const *ip)
{
	static char const timed[INDEX] = { 1 };
	struct textfile_owner own = { geteuid(), getegid(), 0600 };
	int r;

	if (cdbmaker_open(&w->cdb, CDB, 0644) == -1)
		return -1;
	r = cdbmaker_add(&w->cdb, "", 1, timed, sizeof timed);
	if (r == 1 && ip)
		r = add(w, ip, w->now);
	if (r == 1)
		r = add_lines(w, ip);
	if (r == 1)
		r = textfile_write(TEXT, w->text.s, w->text.len, &own);
	if (r == 1)
		return cdbmaker_commit(&w->cdb);
	cdbmaker_abort(&w->cdb);
	return -1;
}

static int
rewrite_locked(unsigned int minutes, char const *ip, unsigned int *count)
{
	struct writer w = { STRALLOC_ZERO, CDBMAKER_ZERO, 0, 0, 0 };
	int r, fd = lock();

	if (fd == -1)
		return -1;
	/* not before: what others wrote meanwhile would be of the future */
	w.now = time(0);
	w.seconds = (uint64_t)minutes * 60;
	r = rewrite(&w, ip);
	*count = w.count;
	stralloc_free(&w.text);
	close(fd);
	return r;
}

/* Until when its rule stands; 0: it has none. */
static uint64_t
ends_at(char const *ip)
{
	struct cdbfile c = CDBFILE_ZERO;
	char const *data;
	uint64_t until = 0;
	size_t n;

	if (cdbfile_open(&c, CDB) == 1 &&
	    cdbfile_get(&c, ip, strlen(ip) + 1, &data, &n) == 1 &&
	    n > 2 && *data == 'T' && memchr(data, 0, n))
		uint64_scan(data + 1, &until);
	cdbfile_close(&c);
	return until;
}

int
roaming_open(char const *ip, unsigned int minutes)
{
	char name[IPADDR_FMT];
	struct ipaddr a;
	unsigned int count;

	if (ipaddr_scan(ip, strlen(ip), &a) != 1)
		return 0;
	ipaddr_fmt(name, &a);
	if (ends_at(name) > time(0) + (uint64_t)minutes * 30)
		return 1;
	return rewrite_locked(minutes, name, &count);
}

int
roaming_clear(unsigned int minutes, unsigned int *left)
{
	return rewrite_locked(minutes, 0, left);
}
