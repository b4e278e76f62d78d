/* logtime: the time in front of a log line, whichever logger put it there,
 * and times to show.  All times are microseconds since 1970, UTC.
 *
 *	@400000006b07642d0c98a6de TEXT		s6-log t, multilog t, svlogd -t
 *	1795646472.133785 TEXT			accustamp, multilog of encore
 *	2026-11-25_22:41:12.13378 TEXT		svlogd -tt (UTC), s6-log T
 *	2026-11-25T22:41:12.13+01:00 HOST TEXT	rsyslog
 *	Nov 25 22:41:12 HOST TEXT		syslog, splogger: local time
 *
 * Behind the host name of a syslog line, "qmail: " and splogger's accustamp
 * are skipped too.
 */
#ifndef LOGTIME_H
#define LOGTIME_H

#include <stddef.h>
#include <stdint.h>

/* TAI64N is seconds of TAI: s6 counts leap seconds (37 since 2017), the
 * loggers of daemontools and runit assume what held in 1970 (10).
 */
enum { LOGTIME_LEAP = 37, LOGTIME_LEAP_1970 = 10, LOGTIME_FMT = 40 };

struct logtime {
	unsigned int leap;	/* one of these */
	int zone;		/* seconds that local time is ahead of UTC */
	uint64_t now;		/* gives a syslog line its year */
};

/* LOGTIME_LEAP, the zone of this machine, and its time. */
extern void logtime_init(struct logtime *t);

/* Which of the two: by the last line of the file and the time at which it was
 * written.  Leaves *t alone if that does not tell.
 */
extern void logtime_probe(struct logtime *t, int fd);

/* 1 *us is the time, *skip where the text behind it starts; 0: none there */
extern int logtime_scan(struct logtime const *t, char const *s, size_t n,
    uint64_t *us, size_t *skip);

/* Of the TAI64N label without its '@', 24 digits: 1, or 0. */
extern int logtime_label(struct logtime const *t, char const *s, uint64_t *us);

/* "2026-11-25 22:41:12.133" in local time; with 'T' and "Z": UTC.  Without
 * NUL; the length. */
extern size_t logtime_fmt(char *out, uint64_t us);
extern size_t logtime_fmt_utc(char *out, uint64_t us);

#endif
