#include "queue/moving.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/crc32c.h"
#include "lib/enqueue.h"
#include "lib/job.h"
#include "lib/limits.h"

static enqueue q;

int
moving_start(FILE *out)
{
	return fputs("POSTERN1\n", out) == EOF ? -1 : 1;
}

int
moving_end(FILE *out, uint64_t count)
{
	return fprintf(out, "E %llu\n", (unsigned long long)count) < 0 ||
	    fflush(out) == EOF ? -1 : 1;
}

/* Calls f with all of the body, piece by piece.  1, -1. */
static int
each_piece(struct look const *l, int (*f)(void *, char const *, size_t),
    void *ctx)
{
	static char buf[65536];
	uint64_t at = 0;

	while (at < l->file.body) {
		uint64_t left = l->file.body - at;
		ssize_t r = pread(l->fd, buf, left < sizeof buf ? left :
		    sizeof buf, at);

		if (r == -1 && errno == EINTR)
			continue;
		if (r == 0)
			errno = EIO;
		if (r <= 0 || f(ctx, buf, r) == -1)
			return -1;
		at += r;
	}
	return 1;
}

static int
add_crc(void *crc, char const *s, size_t n)
{
	*(uint32_t *)crc = crc32c(*(uint32_t *)crc, s, n);
	return 1;
}

static int
write_piece(void *out, char const *s, size_t n)
{
	return fwrite(s, 1, n, out) == n ? 1 : -1;
}

static int
put_record(stralloc *env, char letter, char const *value)
{
	return stralloc_catb(env, &letter, 1) && job_puts(env, value) == 1 ?
	    1 : -1;
}

static int
left_over(struct look const *l, stralloc *env)
{
	size_t pos = 0, at;
	char const *to;
	int r = put_record(env, 'F', l->sender);

	while (r == 1 && (to = look_recipient(l, &pos, &at)))
		r = put_record(env, 'T', to);
	return r;
}

int
moving_put(FILE *out, struct look const *l)
{
	stralloc env = STRALLOC_ZERO;
	uint32_t crc;
	int r = left_over(l, &env);

	if (r == 1) {
		crc = crc32c(0, env.s, env.len);
		r = each_piece(l, add_crc, &crc);
	}
	if (r == 1 && fprintf(out, "M %llu %llu %d %zu %llu %08x\n",
	    (unsigned long long)l->id, (unsigned long long)l->file.birth,
	    l->held, env.len, (unsigned long long)l->file.body, crc) < 0)
		r = -1;
	if (r == 1)
		r = write_piece(out, env.s, env.len);
	if (r == 1)
		r = each_piece(l, write_piece, out);
	stralloc_free(&env);
	return r;
}

/* ---- in */

struct head {
	uint64_t id, birth, held, envelope, body;
	uint32_t crc;
};

static int
number(char **s, uint64_t *out)
{
	size_t n = uint64_scan(*s, out);

	if (!n || (*s)[n] != ' ')
		return 0;
	*s += n + 1;
	return 1;
}

/* 1; 0 malformed. */
static int
parse(char *s, struct head *h)
{
	size_t n = strlen(s);

	if (!n || s[n - 1] != '\n')
		return 0;
	s[n - 1] = 0;
	s += 2;
	return number(&s, &h->id) && number(&s, &h->birth) &&
	    number(&s, &h->held) && number(&s, &h->envelope) &&
	    number(&s, &h->body) && uint320_xscan(s, &h->crc) &&
	    h->envelope >= 2 && h->envelope <= LIMIT_ENVELOPE && h->held < 2;
}

/* "F" ... NUL, then "T" ... NUL: as much as queued will not check itself. */
static int
sound(stralloc const *env)
{
	return env->s[0] == 'F' && !env->s[env->len - 1];
}

static int
read_body(FILE *in, uint64_t left, uint32_t *crc)
{
	static char buf[65536];

	while (left) {
		size_t n = left < sizeof buf ? left : sizeof buf;

		n = fread(buf, 1, n, in);
		if (!n)
			return 0;
		*crc = crc32c(*crc, buf, n);
		enqueue_put(&q, buf, n);
		left -= n;
	}
	return 1;
}

/* 1; 0 the stream is not sound; -1. */
static int
import_one(FILE *in, struct head const *h, stralloc *env, char const **why)
{
	uint32_t crc;

	env->len = 0;
	if (!stralloc_ready(env, h->envelope)) {
		*why = "out of memory";
		return -1;
	}
	if (fread(env->s, 1, h->envelope, in) != h->envelope)
		return 0;
	env->len = h->envelope;
	if (!sound(env))
		return 0;
	if (enqueue_open(&q) == -1) {
		*why = enqueue_reply(&q);
		return -1;
	}
	crc = crc32c(0, env->s, env->len);
	if (!read_body(in, h->body, &crc) || crc != h->crc) {
		enqueue_abort(&q);
		return 0;
	}
	if (enqueue_close(&q, env) == QUEUE_OK)
		return 1;
	*why = q.text[0] ? q.text : enqueue_reply(&q);
	return -1;
}

int
moving_import(FILE *in, moving_told *told, void *ctx, char const **why)
{
	stralloc env = STRALLOC_ZERO;
	struct head h;
	uint64_t count = 0, all;
	char line[256];
	int r;

	if (!fgets(line, sizeof line, in) || strcmp(line, "POSTERN1\n"))
		return 0;
	for (;;) {
		if (!fgets(line, sizeof line, in))
			return 0;
		if (line[0] == 'E' && line[1] == ' ')
			return uint64_scan(line + 2, &all) && all == count;
		if (line[0] != 'M' || line[1] != ' ' || !parse(line, &h))
			return 0;
		r = import_one(in, &h, &env, why);
		if (r != 1)
			return r;
		count++;
		told(ctx, h.id, q.id, h.held);
	}
}

/* ---- one for another recipient */

static int
give_piece(void *ctx, char const *s, size_t n)
{
	(void)ctx;
	enqueue_put(&q, s, n);
	return 1;
}

int
moving_copy(struct look const *l, char const *to, uint64_t *id,
    char const **why)
{
	stralloc env = STRALLOC_ZERO;
	int r = -1;

	*why = "out of memory";
	if (put_record(&env, 'F', l->sender) == -1 ||
	    put_record(&env, 'T', to) == -1)
		return -1;
	if (enqueue_open(&q) == -1) {
		*why = enqueue_reply(&q);
	} else if (each_piece(l, give_piece, 0) == -1) {
		enqueue_abort(&q);
		*why = "unable to read the message";
	} else if (enqueue_close(&q, &env) == QUEUE_OK) {
		*id = q.id;
		r = 1;
	} else {
		*why = q.text[0] ? q.text : enqueue_reply(&q);
	}
	stralloc_free(&env);
	return r;
}
