#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/djbunix.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/control.h"
#include "lib/date822.h"
#include "lib/enqueue.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "tools/figures.h"
#include "tools/logtime.h"
#include "tools/logwalk.h"
#include "tools/report.h"

#define USAGE "mailreport [-1 | -y | -d date] [-l logs] [-o directory] " \
	"[-m address] | mailreport --metrics [-l logs] [-o file] [-s state]"

char const *PROG = "mailreport";

enum { DAY = 86400, RESULT = 16777216 };

/* What the child sends: each behind its length. */
enum { TEXT, PAGE, METRICS, STATE, RESULTS };

static struct {
	char const *logs, *out, *mail, *state;
	int metrics, hour;
	char day[11], before[11], after[11], made[32];
	uint64_t from, to, now;
	stralloc host;
	stralloc old;		/* state of the last time */
	stralloc result[RESULTS];
} o;

static struct figures figures;	/* of the child */

static void
die_memory(void)
{
	strerr_dief1x(EXIT_TEMP, "out of memory");
}

/* ---- days */

static void
date_of(time_t t, char out[11])
{
	struct tm tm;

	if (!localtime_r(&t, &tm) || !strftime(out, 11, "%Y-%m-%d", &tm))
		strerr_dief1x(EXIT_PERM, "no such day");
}

/* Noon of that day: some hours to either side are the same day. */
static time_t
noon(char const *date)
{
	char form[] = "0000-00-00";
	char back[11];
	struct tm tm;
	time_t t;
	size_t i;

	for (i = 0; date[i] && i < 10; i++)
		if (form[i] == '-' ? date[i] != '-' : date[i] < '0' ||
		    date[i] > '9')
			break;
	if (i != 10 || date[10])
		strerr_dief2x(EXIT_USAGE, "not a date: ", date);
	memset(&tm, 0, sizeof tm);
	tm.tm_year = (int)strtol(date, 0, 10) - 1900;
	tm.tm_mon = (int)strtol(date + 5, 0, 10) - 1;
	tm.tm_mday = (int)strtol(date + 8, 0, 10);
	tm.tm_hour = 12;
	tm.tm_isdst = -1;
	t = mktime(&tm);
	date_of(t, back);
	if (strcmp(back, date) != 0)	/* 2026-02-30 */
		strerr_dief2x(EXIT_USAGE, "not a date: ", date);
	return t;
}

static uint64_t
midnight(time_t t)
{
	struct tm tm;

	if (!localtime_r(&t, &tm))
		strerr_dief1x(EXIT_PERM, "no such day");
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return (uint64_t)mktime(&tm) * 1000000;
}

static void
choose_day(time_t t)
{
	date_of(t, o.day);
	t = noon(o.day);
	o.from = midnight(t);
	o.to = midnight(t + DAY);
	date_of(t - DAY, o.before);
	date_of(t + DAY, o.after);
}

/* ---- the child: reads, counts, draws; has no right but to read the logs */

static int
line(void *ctx, char const *log, uint64_t us, char const *s, size_t n)
{
	struct logevent e;

	(void)ctx;
	(void)log;
	if ((us || o.metrics) && logevent_parse(s, n, &e) == 1)
		figures_event(&figures, us, &e);
	return 1;
}

static void
read_day(void)
{
	struct logwalk const w = { line, 0, o.from };

	switch (logwalk_all(&w, o.logs)) {
	case 0: strerr_dief2x(EXIT_TEMP, "no logs in ", o.logs);
	case -1: strerr_diefu2sys(EXIT_TEMP, "read ", o.logs);
	}
	figures_end(&figures, o.now >= o.from && o.now < o.to ? o.now : o.to);
}

/* The last hour, for mailctl status. */
static void
one_line(void)
{
	uint64_t const *n = figures.count;
	char text[256];

	snprintf(text, sizeof text, "%llu in, %llu delivered, %llu put off, "
	    "%llu failed, %llu refused\n",
	    (unsigned long long)n[FIGURE_MESSAGES],
	    (unsigned long long)(n[FIGURE_LOCAL_SUCCESS] +
	    n[FIGURE_REMOTE_SUCCESS]),
	    (unsigned long long)(n[FIGURE_LOCAL_DEFERRAL] +
	    n[FIGURE_REMOTE_DEFERRAL]),
	    (unsigned long long)(n[FIGURE_LOCAL_FAILURE] +
	    n[FIGURE_REMOTE_FAILURE]),
	    (unsigned long long)n[FIGURE_REFUSED]);
	if (!stralloc_copys(o.result + TEXT, text))
		die_memory();
}

static void
draw(void)
{
	struct report const r = {
		&figures, o.host.s, o.day, o.before, o.after, o.made
	};

	if (report_text(&r, o.result + TEXT) == -1 ||
	    report_page(&r, o.result + PAGE) == -1)
		die_memory();
}

static void
read_on(void)
{
	struct logwalk const w = { line, 0, 0 };
	struct logwalk_log *l;
	struct logplace *p;
	size_t i, n;

	if (o.old.len && figures_load(&figures, o.old.s) != 1)
		strerr_warnw2x("damaged, counting begins anew: ", o.state);
	switch (logwalk_list(o.logs, &l, &n)) {
	case 0: strerr_dief2x(EXIT_TEMP, "no logs in ", o.logs);
	case -1: strerr_diefu2sys(EXIT_TEMP, "read ", o.logs);
	}
	for (i = 0; i < n; i++) {
		p = figures_place(&figures, l[i].name);
		if (p && logwalk_one(&w, l[i].path, l[i].name, p) == -1)
			strerr_diefu2sys(EXIT_TEMP, "read ", l[i].path);
	}
	figures_end(&figures, o.now);
	if (report_metrics(&figures, o.result + METRICS) == -1 ||
	    figures_save(&figures, o.result + STATE) == -1)
		die_memory();
}

static void
child(int to)
{
	uint32_t n;
	size_t i;

	if (logwalk_confine(o.logs, !strcmp(o.logs, "log")) == -1)
		strerr_diefu1sys(EXIT_TEMP, "give up rights");
	if (figures_init(&figures) == -1)
		die_memory();
	figures.from = o.from;
	figures.to = o.to;
	if (o.metrics) {
		read_on();
	} else {
		read_day();
		if (o.hour)
			one_line();
		else
			draw();
	}
	for (i = 0; i < RESULTS; i++) {
		n = (uint32_t)o.result[i].len;
		if (allwrite(to, (char const *)&n, sizeof n) < sizeof n ||
		    allwrite(to, o.result[i].s, n) < n)
			_exit(EXIT_TEMP);
	}
	_exit(EXIT_DONE);
}

/* ---- the parent: believes that these are bytes, no more */

static void
take(int from)
{
	uint32_t n;
	size_t i;

	for (i = 0; i < RESULTS; i++) {
		stralloc *r = o.result + i;

		if (allread(from, (char *)&n, sizeof n) < sizeof n)
			return;
		if (n > RESULT || !stralloc_ready(r, n ? n : 1))
			die_memory();
		r->len = allread(from, r->s, n);
	}
}

static void
work(void)
{
	int p[2], status;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		strerr_diefu1sys(EXIT_TEMP, "start a process");
	if (!pid) {
		close(p[0]);
		child(p[1]);
	}
	close(p[1]);
	take(p[0]);
	close(p[0]);
	if (waitpid(pid, &status, 0) == -1)
		strerr_diefu1sys(EXIT_TEMP, "wait");
	if (WIFEXITED(status) && WEXITSTATUS(status))
		exit(WEXITSTATUS(status));
	if (!WIFEXITED(status))
		strerr_dief1x(EXIT_TEMP, "the process that reads logs died");
}

static void
put_file(char const *dir, char const *name, stralloc const *data, mode_t mode)
{
	stralloc path = STRALLOC_ZERO, tmp = STRALLOC_ZERO;
	int fd;

	if ((dir && (!stralloc_cats(&path, dir) ||
	    !stralloc_cats(&path, "/"))) || !stralloc_cats(&path, name) ||
	    !stralloc_copy(&tmp, &path) || !stralloc_cats(&tmp, ".new") ||
	    !stralloc_0(&tmp) || !stralloc_0(&path))
		die_memory();
	(void)unlink(tmp.s);
	fd = open(tmp.s, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	    mode);
	if (fd == -1 || fchmod(fd, mode) == -1 ||
	    allwrite(fd, data->s, data->len) < data->len ||
	    fsync(fd) == -1 || close(fd) == -1 ||
	    rename(tmp.s, path.s) == -1)
		strerr_diefu2sys(EXIT_TEMP, "write ", path.s);
	stralloc_free(&path);
	stralloc_free(&tmp);
}

/* Only pages that are there are linked to. */
static void
keep_if_there(char *day)
{
	stralloc path = STRALLOC_ZERO;

	if (!stralloc_copys(&path, o.out) || !stralloc_cats(&path, "/") ||
	    !stralloc_cats(&path, day) || !stralloc_cats(&path, ".html") ||
	    !stralloc_0(&path))
		die_memory();
	if (access(path.s, F_OK) == -1)
		*day = 0;
	stralloc_free(&path);
}

/* Is there a page of a later day?  Then index.html is that one's. */
static int
later_there(void)
{
	DIR *d = opendir(o.out);
	struct dirent *e;
	int found = 0;

	while (d && !found && (e = readdir(d)))
		found = strlen(e->d_name) == 15 &&
		    !strcmp(e->d_name + 10, ".html") &&
		    *e->d_name >= '0' && *e->d_name <= '9' &&
		    strncmp(e->d_name, o.day, 10) > 0;
	if (d)
		closedir(d);
	return found;
}

static void
write_pages(void)
{
	char name[16];

	snprintf(name, sizeof name, "%s.html", o.day);
	put_file(o.out, name, o.result + PAGE, 0644);
	if (!later_there())
		put_file(o.out, "index.html", o.result + PAGE, 0644);
}

static void
send_mail(void)
{
	static enqueue q;
	stralloc env = STRALLOC_ZERO, head = STRALLOC_ZERO;
	char date[DATE822_LEN + 1];

	date[date822(date, o.now / 1000000)] = 0;
	if (!stralloc_copyb(&env, "F\0T", 3) || !stralloc_cats(&env, o.mail) ||
	    !stralloc_0(&env) || !stralloc_copys(&head, "Date: ") ||
	    !stralloc_cats(&head, date) ||
	    !stralloc_cats(&head, "\nFrom: postmaster@") ||
	    !stralloc_cats(&head, o.host.s) ||
	    !stralloc_cats(&head, "\nTo: ") ||
	    !stralloc_cats(&head, o.mail) ||
	    !stralloc_cats(&head, "\nAuto-Submitted: auto-generated\n"
	    "Content-Type: text/plain; charset=us-ascii\nSubject: mail of ") ||
	    !stralloc_cats(&head, o.host.s) ||
	    !stralloc_cats(&head, " on ") || !stralloc_cats(&head, o.day) ||
	    !stralloc_cats(&head, "\n\n"))
		die_memory();
	if (enqueue_open(&q) == 1) {
		enqueue_put(&q, head.s, head.len);
		enqueue_put(&q, o.result[TEXT].s, o.result[TEXT].len);
		if (enqueue_close(&q, &env) == QUEUE_OK)
			return;
	}
	strerr_dief2x(EXIT_TEMP, "report not sent: ", enqueue_reply(&q));
}

static void
report(void)
{
	if (o.out) {
		keep_if_there(o.before);
		keep_if_there(o.after);
	} else {
		o.before[0] = o.after[0] = 0;
	}
	work();
	if (o.out)
		write_pages();
	if (o.mail)
		send_mail();
	if (!o.out && !o.mail && allwrite(1, o.result[TEXT].s,
	    o.result[TEXT].len) < o.result[TEXT].len)
		strerr_diefu1sys(EXIT_TEMP, "write");
}

/* Counters first, then the place: after a crash between the two they are
 * counted once more from the old place and the old counters.
 */
static void
metrics(void)
{
	int fd = open(o.state, O_RDONLY | O_CLOEXEC);

	if (fd == -1 ? errno != ENOENT : !slurp(&o.old, fd))
		strerr_diefu2sys(EXIT_TEMP, "read ", o.state);
	if (fd != -1)
		close(fd);
	if (o.old.len && !stralloc_0(&o.old))
		die_memory();
	o.from = o.to = 0;
	work();
	if (o.out)
		put_file(0, o.out, o.result + METRICS, 0644);
	put_file(0, o.state, o.result + STATE, 0600);
	if (!o.out && allwrite(1, o.result[METRICS].s,
	    o.result[METRICS].len) < o.result[METRICS].len)
		strerr_diefu1sys(EXIT_TEMP, "write");
}

static char const *
argument(int argc, char const *const *argv, int *i)
{
	if (argv[*i][2])
		return argv[*i] + 2;
	if (++*i == argc)
		strerr_dieusage(EXIT_USAGE, USAGE);
	return argv[*i];
}

static void
options(int argc, char const *const *argv)
{
	time_t now = time(0);
	int i;

	choose_day(now);
	for (i = 1; i < argc; i++) {
		char const *s = argv[i];

		if (!strcmp(s, "--metrics"))
			o.metrics = 1;
		else if (!strcmp(s, "-1"))
			o.hour = 1;
		else if (!strcmp(s, "-y"))
			choose_day(noon(o.day) - DAY);
		else if (!strncmp(s, "-d", 2))
			choose_day(noon(argument(argc, argv, &i)));
		else if (!strncmp(s, "-l", 2))
			o.logs = argument(argc, argv, &i);
		else if (!strncmp(s, "-o", 2))
			o.out = argument(argc, argv, &i);
		else if (!strncmp(s, "-m", 2))
			o.mail = argument(argc, argv, &i);
		else if (!strncmp(s, "-s", 2))
			o.state = argument(argc, argv, &i);
		else
			strerr_dieusage(EXIT_USAGE, USAGE);
	}
	if (o.hour) {
		o.from = (uint64_t)(now - 3600) * 1000000;
		o.to = (uint64_t)(now + 1) * 1000000;
	}
	if (o.hour && (o.out || o.mail || o.metrics))
		strerr_dieusage(EXIT_USAGE, USAGE);
	if (o.mail && (!strchr(o.mail, '@') || strpbrk(o.mail, "\r\n\t ")))
		strerr_dief2x(EXIT_USAGE, "not an address: ", o.mail);
}

/* Figures of a day, from the logs: as text, as a page with pictures, by
 * mail; or counters for Prometheus.
 *
 * Runs as: root from cron.  A child of it, which becomes the user of popup
 *          with the group of log, reads the logs, counts and draws
 * Reads:   control/me; the child: log/
 * Writes:  the directory that -o names, the queue; state/metrics
 * Trusts:  the child for nothing: what it sends is bytes for one file
 * Trusted by: readers of its pages, which hold no byte that is not escaped
 */
int
main(int argc, char const *const *argv)
{
	struct logtime zone;
	struct tm tm;
	time_t now = time(0);
	int r;

	o.logs = "log";
	o.state = "state/metrics";
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
	logtime_init(&zone);
	o.now = zone.now;
	options(argc, argv);
	if (!localtime_r(&now, &tm) ||
	    !strftime(o.made, sizeof o.made, "%Y-%m-%d %H:%M %z", &tm))
		o.made[0] = 0;
	r = control_line("control/me", &o.host);
	if (r == -1)
		strerr_diefu1sys(EXIT_TEMP, "read control/me");
	if ((r == 0 && !stralloc_copys(&o.host, "localhost")) ||
	    !stralloc_0(&o.host))
		die_memory();
	if (o.metrics)
		metrics();
	else
		report();
	return EXIT_DONE;
}
