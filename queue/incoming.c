#include "queue/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/crc32c.h"
#include "lib/date822.h"
#include "lib/enqueue.h"
#include "lib/limits.h"
#include "lib/msgfile.h"
#include "queue/archive.h"
#include "queue/envelope.h"

enum {
	TRIES = 100,		/* for an id that nobody has */
	TMP_PATH = 32,		/* "tmp/" and 20 digits */
	HEAD_MAX = 160		/* our Received line */
};

static void
tmp_path(char *out, uint64_t id)
{
	memcpy(out, "tmp/", 4);
	out[4 + uint64_fmt(out + 4, id)] = 0;
}

static int
code_of(int e)
{
	switch (e) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case EIO:
		return QUEUE_WRITE;
	case ENOMEM:
		return QUEUE_MEMORY;
	default:
		return QUEUE_FILE;
	}
}

static int
trouble(char const **why)
{
	*why = strerror(errno);
	return code_of(errno);
}

static size_t
add(char *out, size_t n, char const *s)
{
	size_t len = strlen(s);

	memcpy(out + n, s, len);
	return n + len;
}

/* "Received: (postern 4711 invoked by uid 1000); 26 Sep 1995 ...": the shape
 * of qmail-queue's, which log and trace tools know.
 */
static size_t
received(char *out, struct store const *st, struct sender const *from,
    uint64_t birth)
{
	size_t n = add(out, 0, "Received: (postern ");

	n += uint64_fmt(out + n, from->pid);
	n = add(out, n, " invoked ");
	if (from->uid == st->set.smtpd) {
		n = add(out, n, "from network");
	} else if (from->uid == st->set.send) {
		n = add(out, n, "for bounce");
	} else {
		n = add(out, n, "by uid ");
		n += uint64_fmt(out + n, from->uid);
	}
	n = add(out, n, "); ");
	n += date822(out + n, birth / 1000000);
	out[n++] = '\n';
	return n;
}

static int
create(struct store *st, struct incoming *in)
{
	char path[TMP_PATH];
	int tries, fd = -1;

	for (tries = 0; tries < TRIES; tries++) {
		in->id = store_id(st, &in->birth);
		tmp_path(path, in->id);
		/* musl's open would add a fcntl */
		fd = openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL |
		    O_CLOEXEC | O_NOFOLLOW, 0640);
		if (fd != -1 || errno != EEXIST)
			break;
	}
	return fd;
}

static int
session_ok(char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!memchr("0123456789abcdefghijklmnopqrstuvwxyz.-", s[i], 38))
			return 0;
	return n && n < SESSION_LEN;
}

int
incoming_begin(struct store *st, struct sender const *from,
    char const *session, size_t n, struct incoming *in, char const **why)
{
	char head[HEAD_MAX];
	ssize_t r;

	if (!session_ok(session, n)) {
		*why = "malformed session id";
		return QUEUE_BUG;
	}
	errno = store_full(st);
	if (errno)
		return trouble(why);
	in->fd = create(st, in);
	if (in->fd == -1)
		return trouble(why);
	in->head = received(head, st, from, in->birth);
	in->head_crc = crc32c(0, head, in->head);
	in->envelope.len = 0;
	in->too_large = 0;
	memcpy(in->session, session, n);
	in->session[n] = 0;
	errno = ENOSPC;			/* the reason of a short write */
	r = write(in->fd, head, in->head);
	if (r == (ssize_t)in->head)
		return 0;
	n = trouble(why);
	incoming_drop(in);
	return n;
}

void
incoming_piece(struct incoming *in, char const *s, size_t n)
{
	if (in->envelope.len + n > LIMIT_ENVELOPE ||
	    !stralloc_catb(&in->envelope, s, n))
		in->too_large = 1;
}

void
incoming_drop(struct incoming *in)
{
	char path[TMP_PATH];

	if (in->fd == -1)
		return;
	tmp_path(path, in->id);
	unlink(path);
	close(in->fd);
	in->fd = -1;
	stralloc_free(&in->envelope);
}

/* A message's envelope in one piece: as it came, or put together. */
static int
whole_envelope(struct incoming *in, struct claim const *claim,
    struct envelope *e, char const **why)
{
	if (claim->len && in->envelope.len)
		incoming_piece(in, claim->last, claim->len);
	if (in->too_large || claim->len > LIMIT_ENVELOPE) {
		*why = "envelope too large";
		return QUEUE_REFUSED;
	}
	if (in->envelope.len)
		return envelope_check(in->envelope.s, in->envelope.len, e, why);
	return envelope_check(claim->last, claim->len, e, why);
}

/* Writes envelope and end record behind the body, in one call. */
static int
seal(struct incoming *in, struct sender const *from, struct claim const *claim,
    struct envelope const *e)
{
	static stralloc own = STRALLOC_ZERO;
	char end[MSGFILE_END];
	struct iovec v[3];
	struct msgfile m;
	ssize_t r;

	if (msgfile_envelope(&own, from->uid, from->pid, in->session) == -1)
		return -1;
	m.body = in->head + claim->size;
	m.envelope = own.len + e->len;
	m.birth = in->birth;
	m.body_crc = claim->crc;
	/* nothing is marked yet: a plain sum */
	m.envelope_crc = crc32c(crc32c(0, own.s, own.len), e->s, e->len);
	msgfile_end(end, &m);
	v[0] = (struct iovec){ own.s, own.len };
	v[1] = (struct iovec){ (char *)e->s, e->len };
	v[2] = (struct iovec){ end, sizeof end };
	errno = ENOSPC;			/* the reason of a short write */
	r = pwritev(in->fd, v, 3, m.body);
	return r == (ssize_t)(m.envelope + sizeof end) ? 1 : -1;
}

static int
place(struct store *st, struct incoming *in)
{
	char from[TMP_PATH], to[MSGFILE_PATH];
	uint64_t unused;
	int tries;

	tmp_path(from, in->id);
	for (tries = 0; tries < TRIES; tries++) {
		msgfile_path(to, in->id);
		if (store_move(from, to) == 1)
			return 1;
		if (errno != EEXIST)
			break;
		/* from before the clock went back: take another name */
		in->id = store_id(st, &unused);
	}
	unlink(from);
	return -1;
}

static int
sync_directory(uint64_t id)
{
	char path[MSGFILE_PATH];
	int fd, r;

	msgfile_path(path, id);
	path[7] = 0;			/* "mess/NN" */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	r = fsync(fd);
	close(fd);
	return r;
}

/* The name first, then the sync: on Linux fsync(file) makes the names durable
 * that the file has by then.  After a failed fsync the pages count as clean
 * and a second one says 0: never again on that file.
 */
static int
make_durable(struct store *st, struct incoming *in)
{
	char path[MSGFILE_PATH];
	int e;

	if (place(st, in) == -1)
		return -1;
	if (fsync(in->fd) == 0 &&
	    (!st->set.strictsync || sync_directory(in->id) == 0))
		return 1;
	e = errno;
	msgfile_path(path, in->id);
	unlink(path);
	errno = e;
	return -1;
}

/* Copies for control/archive: more recipients behind the client's. */
static int
archive(struct store const *st, struct incoming *in, struct envelope *e,
    char const **why)
{
	static stralloc extra = STRALLOC_ZERO;
	int n;

	if (!st->set.archive.len)
		return 0;
	extra.len = 0;
	n = archive_extra(&st->set.archive, e->s, e->len, &extra);
	if (n == 0)
		return 0;
	if (n == -1 ||
	    (e->s != in->envelope.s &&
	    !stralloc_copyb(&in->envelope, e->s, e->len)) ||
	    !stralloc_cat(&in->envelope, &extra)) {
		*why = "out of memory";
		return QUEUE_MEMORY;
	}
	/* msgfile_read would not have it */
	if (in->envelope.len > LIMIT_ENVELOPE) {
		*why = "envelope too large, with the archive's copies";
		return QUEUE_REFUSED;
	}
	return envelope_check(in->envelope.s, in->envelope.len, e, why);
}

int
incoming_commit(struct store *st, struct sender const *from,
    struct incoming *in, struct claim const *claim, struct receipt *out,
    char const **why)
{
	struct envelope e;
	struct stat s;
	int code;

	code = whole_envelope(in, claim, &e, why);
	if (!code)
		code = archive(st, in, &e, why);
	if (!code && fstat(in->fd, &s) == -1)
		code = trouble(why);
	if (!code && (uint64_t)s.st_size != in->head + claim->size) {
		*why = "file has not the size that the client wrote";
		code = QUEUE_READ;
	}
	if (!code && seal(in, from, claim, &e) == -1)
		code = trouble(why);
	if (code) {
		incoming_drop(in);
		return code;
	}
	if (make_durable(st, in) == -1) {
		code = trouble(why);
		code = code == QUEUE_FILE ? QUEUE_WRITE : code;
	}
	close(in->fd);
	in->fd = -1;
	out->size = s.st_size;
	out->recipients = e.recipients;
	out->from = e.from;
	out->from_len = e.from_len;
	return code;
}
