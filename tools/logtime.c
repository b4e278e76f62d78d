#include "tools/logtime.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DAY = 86400, TAI64N = 24 };

static char const months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void
logtime_init(struct logtime *t)
{
	time_t now = time(0);
	struct tm tm;

	tzset();
	localtime_r(&now, &tm);
	t->leap = LOGTIME_LEAP;
	t->zone = (int)tm.tm_gmtoff;
	t->now = (uint64_t)now * 1000000;
}

static int
hex(char const *s, size_t n, uint64_t *out)
{
	uint64_t u = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		char const *p = s[i] ? strchr("0123456789abcdef", s[i]) : 0;

		if (!p)
			return 0;
		u = u << 4 | (unsigned int)(*p - '0' < 10 ? *p - '0' :
		    *p - 'a' + 10);
	}
	*out = u;
	return 1;
}

/* Digits up to most of them; how many there were. */
static size_t
digits(char const *s, size_t n, size_t most, uint64_t *out)
{
	size_t i;

	*out = 0;
	for (i = 0; i < n && i < most && s[i] >= '0' && s[i] <= '9'; i++)
		*out = *out * 10 + (uint64_t)(s[i] - '0');
	return i;
}

/* ".133785": how many bytes, and the microseconds. */
static size_t
fraction(char const *s, size_t n, uint64_t *us)
{
	uint64_t unit = 100000;
	size_t i;

	*us = 0;
	if (!n || *s != '.')
		return 0;
	for (i = 1; i < n && s[i] >= '0' && s[i] <= '9'; i++) {
		*us += unit * (uint64_t)(s[i] - '0');
		unit /= 10;
	}
	return i;
}

int
logtime_label(struct logtime const *t, char const *s, uint64_t *us)
{
	uint64_t sec, nano;

	if (!hex(s, 16, &sec) || !hex(s + 16, 8, &nano) ||
	    nano > 999999999 || sec < (UINT64_C(1) << 62) + t->leap ||
	    sec >> 34 != UINT64_C(1) << 28)
		return 0;
	*us = (sec - (UINT64_C(1) << 62) - t->leap) * 1000000 + nano / 1000;
	return 1;
}

/* Seconds since 1970 of a date of the Gregorian calendar. */
static uint64_t
seconds(uint64_t year, uint64_t month, uint64_t day)
{
	uint64_t y = year - (month < 3), era;

	month = month < 3 ? month + 9 : month - 3;
	era = y * 365 + y / 4 - y / 100 + y / 400;
	return (era + (153 * month + 2) / 5 + day - 1 - 719468) * DAY;
}

/* "22:41:12" and a fraction; its length, or 0. */
static size_t
clock_of(char const *s, size_t n, uint64_t *us)
{
	uint64_t h, m, sec, part;

	if (n < 8 || digits(s, 2, 2, &h) != 2 || s[2] != ':' ||
	    digits(s + 3, 2, 2, &m) != 2 || s[5] != ':' ||
	    digits(s + 6, 2, 2, &sec) != 2 || h > 23 || m > 59 || sec > 60)
		return 0;
	n = 8 + fraction(s + 8, n - 8, &part);
	*us = ((h * 60 + m) * 60 + sec) * 1000000 + part;
	return n;
}

/* "+01:00", "-0500", "Z": its length, or 0. */
static size_t
zone_of(char const *s, size_t n, int *ahead)
{
	uint64_t h, m;
	size_t colon;

	*ahead = 0;
	if (n && *s == 'Z')
		return 1;
	if (n < 6 || (*s != '+' && *s != '-') || digits(s + 1, 2, 2, &h) != 2)
		return 0;
	colon = s[3] == ':';
	if (n < 5 + colon || digits(s + 3 + colon, 2, 2, &m) != 2)
		return 0;
	*ahead = (int)(h * 3600 + m * 60) * (*s == '-' ? -1 : 1);
	return 5 + colon;
}

static size_t
word(char const *s, size_t n, size_t from)
{
	while (from < n && s[from] == ' ')
		from++;
	while (from < n && s[from] != ' ')
		from++;
	return from < n ? from + 1 : n;
}

/* Host, then perhaps "qmail: " or "name[pid]: ", then an accustamp. */
static size_t
skip_syslog(char const *s, size_t n, size_t at)
{
	uint64_t u;
	size_t next, len;

	at = word(s, n, at);
	next = word(s, n, at);
	if (next >= at + 2 && s[next - 2] == ':' && (s[next - 3] == ']' ||
	    (next - at == 7 && !memcmp(s + at, "qmail:", 6))))
		at = next;
	len = digits(s + at, n - at, 19, &u);
	if (len >= 9 && at + len < n && s[at + len] == '.') {
		len += fraction(s + at + len, n - at - len, &u);
		if (at + len < n && s[at + len] == ' ')
			at += len + 1;
	}
	return at;
}

/* 2026-11-25_22:41:12.13378, 2026-11-25T22:41:12.13+01:00 */
static int
scan_date(char const *s, size_t n, uint64_t *us, size_t *skip)
{
	uint64_t y, m, d, at;
	size_t len, more;
	int ahead;

	if (n < 20 || digits(s, 4, 4, &y) != 4 || s[4] != '-' ||
	    digits(s + 5, 2, 2, &m) != 2 || s[7] != '-' ||
	    digits(s + 8, 2, 2, &d) != 2 || y < 1970 || !m || m > 12 || !d ||
	    d > 31 || !strchr("_T ", s[10]))
		return 0;
	len = clock_of(s + 11, n - 11, &at);
	if (!len)
		return 0;
	len += 11;
	*us = seconds(y, m, d) * 1000000 + at;
	more = zone_of(s + len, n - len, &ahead);
	len += more;
	*us -= (uint64_t)((int64_t)ahead * 1000000);
	if (len >= n || s[len] != ' ')
		return 0;
	*skip = more ? skip_syslog(s, n, len + 1) : len + 1;
	return 1;
}

/* Nov 25 22:41:12 */
static int
scan_syslog(struct logtime const *t, char const *s, size_t n, uint64_t *us,
    size_t *skip)
{
	char name[4] = "";
	char const *month;
	uint64_t day, at, year = 1970;
	time_t now = (time_t)(t->now / 1000000);
	struct tm tm;

	if (n < 16 || s[3] != ' ' || s[6] != ' ' || s[15] != ' ')
		return 0;
	memcpy(name, s, 3);
	month = strstr(months, name);
	if (!month || (month - months) % 3 || strlen(name) != 3 ||
	    !digits(s + 4 + (s[4] == ' '), 2, 2, &day) || !day || day > 31 ||
	    !clock_of(s + 7, 8, &at))
		return 0;
	if (gmtime_r(&now, &tm))
		year = (uint64_t)tm.tm_year + 1900;
	*us = 0;
	do
		*us = seconds(year, (uint64_t)(month - months) / 3 + 1, day) *
		    1000000 + at - (uint64_t)((int64_t)t->zone * 1000000);
	while (*us > t->now + DAY * UINT64_C(1000000) && --year > 1970);
	*skip = skip_syslog(s, n, 16);
	return 1;
}

int
logtime_scan(struct logtime const *t, char const *s, size_t n, uint64_t *us,
    size_t *skip)
{
	uint64_t sec, part;
	size_t len;

	if (n > TAI64N + 1 && *s == '@' && s[TAI64N + 1] == ' ' &&
	    logtime_label(t, s + 1, us)) {
		*skip = TAI64N + 2;
		return 1;
	}
	len = digits(s, n, 11, &sec);
	if (len >= 9 && len < n && s[len] == '.') {
		len += fraction(s + len, n - len, &part);
		if (len < n && s[len] == ' ') {
			*us = sec * 1000000 + part;
			*skip = len + 1;
			return 1;
		}
	}
	return scan_date(s, n, us, skip) || scan_syslog(t, s, n, us, skip);
}

void
logtime_probe(struct logtime *t, int fd)
{
	struct logtime one = { LOGTIME_LEAP_1970, 0, 0 };
	char tail[4200], *s = 0, *p = tail;
	struct stat st;
	uint64_t us;
	int64_t d;
	ssize_t n;

	if (fstat(fd, &st) == -1)
		return;
	n = pread(fd, tail, sizeof tail, st.st_size > (off_t)sizeof tail ?
	    st.st_size - (off_t)sizeof tail : 0);
	while (n > 0 && (p = memchr(p, '@', (size_t)(tail + n - p)))) {
		if ((p == tail || p[-1] == '\n') &&
		    tail + n - p > TAI64N + 1)
			s = p;
		p++;
	}
	if (!s || !logtime_label(&one, s + 1, &us))
		return;
	d = (int64_t)(us / 1000000) - (int64_t)st.st_mtime;
	if (d >= -2 && d <= 2)
		t->leap = LOGTIME_LEAP_1970;
	else if (d >= 25 && d <= 29)
		t->leap = LOGTIME_LEAP;
}

static size_t
put(char *out, uint64_t us, struct tm const *tm, char const *form)
{
	int n = snprintf(out, LOGTIME_FMT, form, tm->tm_year + 1900,
	    tm->tm_mon + 1, tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec,
	    (unsigned int)(us / 1000 % 1000));

	return n > 0 && n < LOGTIME_FMT ? (size_t)n : 0;
}

size_t
logtime_fmt(char *out, uint64_t us)
{
	time_t t = (time_t)(us / 1000000);
	struct tm tm;

	return localtime_r(&t, &tm) ? put(out, us, &tm,
	    "%04d-%02d-%02d %02d:%02d:%02d.%03u") : 0;
}

size_t
logtime_fmt_utc(char *out, uint64_t us)
{
	time_t t = (time_t)(us / 1000000);
	struct tm tm;

	return gmtime_r(&t, &tm) ? put(out, us, &tm,
	    "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ") : 0;
}
