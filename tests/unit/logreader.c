/* logtime, loglines, logfiles: a reader that loses no line and sees none
 * twice, whatever happens to the files meanwhile.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/tap.h"
#include "tools/logfiles.h"
#include "tools/loglines.h"
#include "tools/logtime.h"

static char dir[] = "/tmp/logreader.XXXXXX";
static char got[65536];		/* what was read, a line each */
static struct logplace place;

static char const *
at(char const *name)
{
	static char path[2][256];
	static int which;

	which = !which;
	snprintf(path[which], sizeof path[which], "%s/%s", dir, name);
	return path[which];
}

static void
append(char const *name, char const *s, size_t n)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (fd == -1 || write(fd, s, n) != (ssize_t)n)
		printf("# no %s\n", name);
	close(fd);
}

static void
add(char const *name, char const *s)
{
	append(name, s, strlen(s));
}

static void
remember(char const *s, size_t n)
{
	size_t used = strlen(got);

	snprintf(got + used, sizeof got - used, "%.*s|", n > 40 ? 40 : (int)n,
	    s);
}

/* Everything new; "hook" is called once, at the first end of a file. */
static int
read_on(char const *path, void (*hook)(void))
{
	static struct logfiles f;
	static struct loglines l;
	uint64_t inode = 0;
	char const *s;
	size_t n;
	int r;

	got[0] = 0;
	r = logfiles_open(&f, path, place.inode ? &place : 0);
	if (r != 1)
		return r;
	do {
		if (inode != f.place.inode || l.offset > f.place.offset)
			loglines_init(&l, f.fd, f.place.offset);
		inode = f.place.inode;
		while (loglines_next(&l, f.finished, &s, &n) == 1)
			if (!f.lost)
				remember(s, n);
		if (hook)
			hook();
		hook = 0;
		r = logfiles_next(&f, l.offset, 7);
	} while (r == 1);
	place = f.place;
	logfiles_close(&f);
	return r == 0 ? 1 : -1;
}

static int
is(char const *want)
{
	if (!strcmp(got, want))
		return 1;
	printf("# got %s\n", got);
	return 0;
}

static void
rotate(char const *name)
{
	rename(at("current"), at(name));
}

#define OLD1 "@400000006b00000000000000.s"
#define OLD2 "@400000006b00000100000000.s"
#define OLD3 "@400000006b00000200000000.s"

static void
rotate_now(void)
{
	add("current", "five\nsix");
	rotate(OLD2);
	add("current", "seven\n");
}

static void
rotate_twice(void)
{
	add("current", "nine\n");
	rotate(OLD3);
	add("current", "ten\n");
	rotate("@400000006b00000300000000.s");
	add("current", "eleven\n");
}

/* As multilog does it: link, then unlink. */
static void
two_names(void)
{
	add("current", "sixteen\n");
	unlink(at("previous"));
	rename(at("current"), at("previous"));
	link(at("previous"), at("@400000006b00000500000000.s"));
	add("current", "seventeen\n");
}

static void
test_rotation(void)
{
	ok(read_on(dir, 0) == 0, "an empty directory is no log yet");
	add(OLD1, "one\ntwo\n");
	add("current", "three\nfo");
	ok(read_on(dir, 0) == 1 && is("one|two|three|"),
	    "old files first, a line that is not finished waits");
	add("current", "ur\n");
	ok(read_on(dir, 0) == 1 && is("four|"),
	    "it is read when the rest has come");
	ok(read_on(dir, rotate_now) == 1 && is("five|six|seven|"),
	    "rotated while reading: neither gap nor repeat, last words whole");
	add("current", "eight\n");
	ok(read_on(dir, rotate_twice) == 1 &&
	    is("eight|nine|ten|eleven|"), "rotated twice while reading");
	add("current", "twelve\n");
	rotate("previous");
	add("current", "thirteen\n");
	ok(read_on(dir, 0) == 1 && is("twelve|thirteen|"),
	    "rotation half done");
	link(at("previous"), at("@400000006b00000400000000.s"));
	add("current", "fourteen\n");
	ok(read_on(dir, 0) == 1 && is("fourteen|"), "a rotated file that has "
	    "two names for a moment");
	add("current", "fifteen\n");
	ok(read_on(dir, two_names) == 1 && is("fifteen|sixteen|seventeen|"),
	    "the same, while it is being read");
	unlink(at("previous"));
	ok(read_on(dir, 0) == 1 && is(""), "nothing new");
}

static void
test_lost(void)
{
	struct logplace old = place;

	/* another file, by chance under the same inode */
	truncate(at("current"), 0);
	add("current", "other beginning\nmore of it\n");
	ok(read_on(dir, 0) == 1 && place.offset &&
	    strstr(got, "more") == 0, "another file under the inode of the "
	    "last one is not taken for it: what is older is passed over");
	place = old;
	place.inode = 1;
	read_on(dir, 0);
	ok(is(""), "a file that is gone: only what is newer counts");
	memset(&place, 0, sizeof place);
}

static void
test_plain(void)
{
	add("mail.log.2.gz", "junk");
	add("mail.log.10", "a\n");
	add("mail.log.9", "b\n");
	add("mail.log", "c\n");
	add("mail.logger", "no\n");
	ok(read_on(at("mail.log"), 0) == 1 && is("a|b|c|"),
	    "a plain file, and its older ones in the right order");
	rename(at("mail.log"), at("mail.log.1"));
	add("mail.log.1", "d\n");
	add("mail.log", "e\n");
	ok(read_on(at("mail.log"), 0) == 1 && is("d|e|"), "renamed");
	add("mail.log", "ff\n");
	read_on(at("mail.log"), 0);
	truncate(at("mail.log"), 0);
	add("mail.log", "g\n");
	place.time = 0;
	ok(read_on(at("mail.log"), 0) == 1, "emptied in place");
}

static void
test_lines(void)
{
	static char big[1000000], line[64];
	static struct loglines l;
	char const *s;
	size_t n, i, lines = 0;
	int fd;

	memset(big, 'x', sizeof big);
	add("long", "first\n");
	append("long", big, sizeof big);
	add("long", "\n");
	append("long", "a\0b\xff\n", 5);
	append("long", big, LOGLINES_MAX);
	add("long", "\n\nlast");
	fd = open(at("long"), O_RDONLY);
	loglines_init(&l, fd, 0);
	ok(loglines_next(&l, 0, &s, &n) == 1 && n == 5, "a line");
	ok(loglines_next(&l, 0, &s, &n) == 1 && n == LOGLINES_MAX,
	    "a line of a million bytes is cut");
	ok(loglines_next(&l, 0, &s, &n) == 1 && n == 4 &&
	    !memcmp(s, "a\0b\xff", 4), "and the next one is whole");
	ok(loglines_next(&l, 0, &s, &n) == 1 && n == LOGLINES_MAX &&
	    loglines_next(&l, 0, &s, &n) == 1 && n == 0,
	    "the longest that is not cut; an empty one");
	ok(loglines_next(&l, 0, &s, &n) == 0 &&
	    loglines_next(&l, 1, &s, &n) == 1 && n == 4 &&
	    loglines_next(&l, 1, &s, &n) == 0,
	    "the last one without LF, once the file is finished");
	close(fd);
	for (i = 0; i < 20000; i++) {
		int len = snprintf(line, sizeof line, "%zu\n", i);

		append("many", line, (size_t)len);
	}
	fd = open(at("many"), O_RDONLY);
	loglines_init(&l, fd, 0);
	while (loglines_next(&l, 0, &s, &n) == 1 &&
	    strtoul(s, 0, 10) == lines)
		lines++;
	ok(lines == 20000, "lines across the buffer's end");
	close(fd);
}

static int
time_of(char const *s, uint64_t want, char const *rest)
{
	struct logtime t = { LOGTIME_LEAP, 3600,
	    UINT64_C(1795646472) * 1000000 };
	uint64_t us = 0;
	size_t skip = 0;
	int r = logtime_scan(&t, s, strlen(s), &us, &skip);

	if (r == 1 && us == want && !strcmp(s + skip, rest))
		return 1;
	printf("# %d %llu %s\n", r, (unsigned long long)us, s + skip);
	return 0;
}

static int
no_time(char const *s)
{
	struct logtime t = { LOGTIME_LEAP, 0, 0 };
	uint64_t us;
	size_t skip;

	return logtime_scan(&t, s, strlen(s), &us, &skip) == 0;
}

static void
test_time(void)
{
	uint64_t const t = UINT64_C(1795646472);
	struct logtime probe;
	struct timespec times[2] = { { 1795646472, 0 }, { 1795646472, 0 } };
	int fd;

	ok(time_of("@400000006b07642d0c98a6de x: y", t * 1000000 + 211330,
	    "x: y"), "TAI64N with leap seconds");
	ok(time_of("1795646472.133785 new msg 5", t * 1000000 + 133785,
	    "new msg 5"), "accustamp");
	ok(time_of("2026-11-25_22:41:12.13378 x", t * 1000000 + 133780, "x"),
	    "the time of svlogd -tt");
	ok(time_of("2026-11-25T23:41:12.5+01:00 mx smtpd[77]: x",
	    t * 1000000 + 500000, "x"), "rsyslog's, with its zone");
	ok(time_of("Nov 25 23:41:12 mx qmail: 1795646472.133785 end msg 9",
	    t * 1000000, "end msg 9"), "syslog's, local, with splogger's");
	ok(time_of("Dec 31 23:41:12 mx smtpd: x", UINT64_C(1767220872) *
	    1000000, "smtpd: x"), "of December: last year's");
	ok(no_time("") && no_time("@4000") && no_time("new msg 5") &&
	    no_time("@400000006b07642d0c98a6dz x") && no_time("12.5") &&
	    no_time("@ffffffffffffffffffffffff x") &&
	    no_time("2026-13-25_22:41:12 xx") && no_time("Xxx 25 23:41:12 m"),
	    "no times");
	logtime_init(&probe);
	add("probe", "@400000006b0764120c98a6de x\n");
	fd = open(at("probe"), O_RDONLY);
	futimens(fd, times);
	logtime_probe(&probe, fd);
	ok(probe.leap == LOGTIME_LEAP_1970, "loggers without leap seconds "
	    "are known by when they wrote");
	close(fd);
}

int
main(void)
{
	int bad;

	if (!mkdtemp(dir))
		return 1;
	test_rotation();
	test_lost();
	test_plain();
	test_lines();
	test_time();
	bad = tap_done();
	fflush(stdout);
	execlp("sh", "sh", "-c", "rm -r \"$0\"; exit \"$1\"", dir,
	    bad ? "1" : "0", (char *)0);
	return 1;
}
