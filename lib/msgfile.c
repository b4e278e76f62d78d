#include "lib/msgfile.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/crc32c.h"
#include "lib/limits.h"

/* "END1 body envelope birth crc crc " stands before the record's own CRC */
enum { SUMMED = 5 + 3 * 17 + 2 * 9 };

/* what one pread of the end of a file gets: most envelopes whole */
enum { TAIL = 2048 };

/* Our own records before F: four letters, two numbers, a session id. */
enum { PREFIX = 160 };

size_t
msgfile_path(char *out, uint64_t id)
{
	unsigned int dir = id / 1000 % MSGFILE_SPLIT;
	size_t n;

	memcpy(out, "mess/", 5);
	out[5] = '0' + dir / 10;
	out[6] = '0' + dir % 10;
	out[7] = '/';
	n = 8 + uint64_fmt(out + 8, id);
	out[n] = 0;
	return n;
}

/* Numbers that we write ourselves: no sign, no leading zero, nothing behind. */
int
msgfile_id(char const *name, size_t n, uint64_t *id)
{
	uint64_t u = 0;
	size_t i;

	if (!n || n > 19 || *name == '0')
		return 0;
	for (i = 0; i < n; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		u = u * 10 + (name[i] - '0');
	}
	*id = u;
	return 1;
}

static int
record(stralloc *env, char letter, char const *s, size_t n)
{
	return stralloc_append(env, letter) && stralloc_catb(env, s, n) &&
	    stralloc_0(env);
}

int
msgfile_envelope(stralloc *env, uint64_t uid, uint64_t pid,
    char const *session)
{
	char u[UINT64_FMT], p[UINT64_FMT];

	env->len = 0;
	return record(env, 'u', u, uint64_fmt(u, uid)) &&
	    record(env, 'p', p, uint64_fmt(p, pid)) &&
	    record(env, 's', session, strlen(session)) &&
	    record(env, 'h', "-", 1) ? 1 : -1;
}

/* The byte at s as it was when the envelope was new: marks undone.  Only the
 * letter of a record and the value of h ever change.
 */
static char
unmarked(char letter, char c, size_t at)
{
	if (at == 0)
		return c == 'D' ? 'T' : c;
	return at == 1 && letter == 'h' && c == 'H' ? '-' : c;
}

uint32_t
msgfile_envelope_crc(char const *env, size_t n)
{
	uint32_t crc = 0;
	size_t done = 0, start = 0, i;
	char c;

	for (i = 0; i < n; i++) {
		c = unmarked(env[start], env[i], i - start);
		if (c != env[i]) {
			crc = crc32c(crc, env + done, i - done);
			crc = crc32c(crc, &c, 1);
			done = i + 1;
		}
		if (!env[i])
			start = i + 1;
	}
	return crc32c(crc, env + done, n - done);
}

static char *
hex(char *out, uint64_t u, unsigned int digits, char behind)
{
	unsigned int i;

	for (i = digits; i--; u >>= 4)
		out[i] = "0123456789abcdef"[u & 15];
	out[digits] = behind;
	return out + digits + 1;
}

void
msgfile_end(char *out, struct msgfile const *m)
{
	char *s = out + 5;

	memcpy(out, "END1 ", 5);
	s = hex(s, m->body, 16, ' ');
	s = hex(s, m->envelope, 16, ' ');
	s = hex(s, m->birth, 16, ' ');
	s = hex(s, m->body_crc, 8, ' ');
	s = hex(s, m->envelope_crc, 8, ' ');
	hex(s, crc32c(0, out, SUMMED), 8, '\n');
}

static uint64_t
unhex(char const *s, unsigned int digits)
{
	uint64_t u = 0;

	while (digits--) {
		u = u << 4 | (*s <= '9' ? *s - '0' : *s - 'a' + 10);
		s++;
	}
	return u;
}

/* Whoever reads a record that msgfile_end did not write gets what does not
 * print the same again.
 */
static int
parse_end(char const *s, struct msgfile *m)
{
	char again[MSGFILE_END];

	m->body = unhex(s + 5, 16);
	m->envelope = unhex(s + 22, 16);
	m->birth = unhex(s + 39, 16);
	m->body_crc = unhex(s + 56, 8);
	m->envelope_crc = unhex(s + 65, 8);
	msgfile_end(again, m);
	return memcmp(again, s, MSGFILE_END) == 0;
}

int
msgfile_next(stralloc const *env, size_t *pos, char *letter,
    char const **value, size_t *n)
{
	char const *s = env->s + *pos, *end;

	if (*pos >= env->len)
		return 0;
	end = memchr(s, 0, env->len - *pos);
	if (!end || end == s)
		return 0;
	*letter = *s;
	*value = s + 1;
	*n = end - s - 1;
	*pos += end - s + 1;
	return 1;
}

static char const *
check_records(stralloc const *env)
{
	static char const first[] = "upshF";
	size_t pos = 0, n, count = 0;
	char const *value;
	char letter;

	for (; msgfile_next(env, &pos, &letter, &value, &n); count++) {
		if (count < 5 ? letter != first[count] :
		    letter != 'T' && letter != 'D')
			return "envelope with a record out of place";
		if (n > LIMIT_ADDRESS)
			return "envelope with an overlong record";
		if (letter == 'h' && n != 1)
			return "envelope without a hold mark";
	}
	if (pos != env->len)
		return "envelope with an unfinished record";
	return count < 6 ? "envelope without a recipient" : 0;
}

/* All n bytes at that offset.  1; 0 the file is shorter; -1. */
static int
read_at(int fd, char *s, size_t n, off_t at)
{
	ssize_t r;

	while (n) {
		r = pread(fd, s, n, at);
		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0)
			return r;
		s += r;
		n -= r;
		at += r;
	}
	return 1;
}

static int
damaged(char const **why, char const *text)
{
	*why = text;
	return 0;
}

/* tail: the last n bytes of the file. */
static int
read_envelope(int fd, struct msgfile const *m, stralloc *env,
    char const *tail, size_t n)
{
	env->len = 0;
	if (!stralloc_ready(env, m->envelope ? m->envelope : 1))
		return -1;
	env->len = m->envelope;
	if (m->envelope + MSGFILE_END > n)
		return read_at(fd, env->s, env->len, m->body);
	memcpy(env->s, tail + n - MSGFILE_END - env->len, env->len);
	return 1;
}

int
msgfile_read(int fd, struct msgfile *m, stralloc *env, char const **why)
{
	char tail[TAIL];
	struct msgfile got;
	struct stat st;
	uint64_t size;
	size_t n;
	int r;

	if (fstat(fd, &st) == -1)
		return -1;
	if (!S_ISREG(st.st_mode))
		return damaged(why, "not a regular file");
	size = st.st_size;
	if (size < MSGFILE_END)
		return damaged(why, "no end record");
	n = size < sizeof tail ? size : sizeof tail;
	r = read_at(fd, tail, n, size - n);
	if (r != 1)
		return r ? r : damaged(why, "file became shorter");
	if (memcmp(tail + n - MSGFILE_END, "END1 ", 5))
		return damaged(why, "no end record");
	if (!parse_end(tail + n - MSGFILE_END, &got))
		return damaged(why, "end record damaged");
	if (got.envelope > LIMIT_ENVELOPE + PREFIX ||
	    got.envelope > size - MSGFILE_END ||
	    got.body != size - MSGFILE_END - got.envelope)
		return damaged(why, "lengths do not fit the file");
	r = read_envelope(fd, &got, env, tail, n);
	if (r != 1)
		return r ? r : damaged(why, "file became shorter");
	if (msgfile_envelope_crc(env->s, env->len) != got.envelope_crc)
		return damaged(why, "envelope damaged");
	*why = check_records(env);
	if (*why)
		return 0;
	*m = got;
	return 1;
}

int
msgfile_check(int fd, struct msgfile const *m)
{
	char buf[16384];
	uint64_t at = 0;
	uint32_t crc = 0;
	size_t n;
	int r;

	while (at < m->body) {
		n = m->body - at < sizeof buf ? m->body - at : sizeof buf;
		r = read_at(fd, buf, n, at);
		if (r != 1)
			return r;
		crc = crc32c(crc, buf, n);
		at += n;
	}
	return crc == m->body_crc;
}
