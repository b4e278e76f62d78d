#include "tools/guardread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/sandbox.h"
#include "tools/logevent.h"
#include "tools/loglines.h"
#include "tools/logtime.h"

enum { SEEN = 256, MEMORY = 16777216 };

enum { MESSAGE = 0x6d657373, END = 0x656e6421 };

struct record {
	uint32_t kind;
	struct guardread_message m;
	uint64_t offset;	/* END: behind the last line */
	uint64_t last;		/* and its time */
};

/* ---- the child */

static struct {
	struct guardread const *g;
	struct logtime time;
	int to;
} child;

static void
copy(char *out, size_t room, struct logtext const *t)
{
	size_t i;

	if (t->n >= room)
		return;
	for (i = 0; i < t->n; i++)
		if (t->s[i] < 33 || t->s[i] > 126)
			return;
	memcpy(out, t->s, t->n);
}

static int
wanted(struct logevent const *e)
{
	if (!child.g->qmail)
		return e->kind == LOGEVENT_ACCEPTED;
	return e->kind == LOGEVENT_INFO ||
	    (e->kind == LOGEVENT_SCANNED && logevent_is(&e->program,
	    "simscan"));
}

static int
send_record(struct record const *r)
{
	return allwrite(child.to, (char const *)r, sizeof *r) == sizeof *r ?
	    1 : -1;
}

static int
do_line(char const *s, size_t n, uint64_t us)
{
	struct record r;
	struct logevent e;

	if (logevent_parse(s, n, &e) != 1 || !wanted(&e))
		return 1;
	memset(&r, 0, sizeof r);
	r.kind = MESSAGE;
	r.m.us = us;
	/* qmail's names are inodes, used again at once; simscan and qmtpd
	 * tell none, in one line a message */
	r.m.id = (e.id || (e.pid && e.kind == LOGEVENT_ACCEPTED) ? e.id :
	    us) ^ e.pid << 40;
	r.m.has_ip = ipaddr_scan(e.ip.s, e.ip.n, &r.m.ip) == 1;
	copy(r.m.user, sizeof r.m.user, &e.user);
	/* simscan's messages are counted by client: send tells their sender */
	if (e.kind != LOGEVENT_SCANNED)
		copy(r.m.from, sizeof r.m.from, &e.from);
	copy(r.m.to, sizeof r.m.to, &e.to);
	copy(r.m.session, sizeof r.m.session, &e.session);
	return send_record(&r);
}

static void __attribute__((noreturn))
run_child(struct logfiles const *f)
{
	static struct loglines l;
	struct record r;
	uint64_t us, last = 0, after = f->lost ? f->place.time : 0;
	char const *s;
	size_t n, skip;
	int k;

	loglines_init(&l, f->fd, f->place.offset);
	while ((k = loglines_next(&l, f->finished, &s, &n)) == 1) {
		us = skip = 0;
		if (logtime_scan(&child.time, s, n, &us, &skip) == 1)
			last = us;
		if (us <= after && after)
			continue;
		if (do_line(s + skip, n - skip, us) == -1)
			_exit(EXIT_TEMP);
	}
	memset(&r, 0, sizeof r);
	r.kind = END;
	r.offset = l.offset;
	r.last = last;
	_exit(k == -1 || send_record(&r) == -1 ? EXIT_TEMP : EXIT_DONE);
}

/* From here on: read, write, memory. */
static void
narrow(struct guardread const *g)
{
	struct rlimit none = { 0, 0 }, memory = { MEMORY, MEMORY };

	prctl(PR_SET_NAME, "spamguard-read", 0, 0, 0);
	if (setrlimit(RLIMIT_FSIZE, &none) == -1 ||
	    setrlimit(RLIMIT_CORE, &none) == -1 ||
	    setrlimit(RLIMIT_DATA, &memory) == -1 ||
	    (geteuid() == 0 && role_become(g->as) == -1) ||
	    setrlimit(RLIMIT_NPROC, &none) == -1 ||
	    sandbox_no_new_privs() == -1 || sandbox_pure() == -1)
		strerr_diefu1sys(EXIT_TEMP, "give up rights");
}

/* ---- the parent */

static int
text_ok(char const *s, size_t room)
{
	size_t i;

	for (i = 0; i < room && s[i]; i++)
		if (s[i] < 33 || s[i] > 126)
			return 0;
	return i < room;
}

static int
message_ok(struct guardread_message const *m)
{
	return (m->has_ip == 0 || m->has_ip == 1) &&
	    text_ok(m->user, sizeof m->user) &&
	    text_ok(m->from, sizeof m->from) &&
	    text_ok(m->to, sizeof m->to) &&
	    text_ok(m->session, sizeof m->session);
}

/* A message has a line for each recipient; its file may end between two. */
static int
seen(struct guardread_message const *m)
{
	static uint64_t ring[SEEN];
	static size_t next;
	uint64_t h = 14695981039346656037u;
	size_t i;

	for (i = 0; m->session[i]; i++)
		h = (h ^ (unsigned char)m->session[i]) * 1099511628211u;
	h = (h ^ m->id) * 1099511628211u;
	for (i = 0; i < SEEN; i++)
		if (ring[i] == h)
			return 1;
	ring[next++ % SEEN] = h;
	return 0;
}

/* Records up to the last one.  1 *end is that; 0 it did not come */
static int
take(struct guardread const *g, int from, struct record *end)
{
	struct record r;

	while (allread(from, (char *)&r, sizeof r) == sizeof r) {
		if (r.kind == END) {
			*end = r;
			return 1;
		}
		if (r.kind != MESSAGE || !message_ok(&r.m))
			return 0;
		if (!seen(&r.m))
			g->message(g->ctx, &r.m);
	}
	return 0;
}

/* What there is of the file that is open.  1; 0 the child failed; -1 */
static int
read_file(struct guardread const *g, struct logfiles *f, struct record *end)
{
	int p[2], status, r;
	pid_t pid;

	if (lseek(f->fd, (off_t)f->place.offset, SEEK_SET) == -1 ||
	    pipe2(p, O_CLOEXEC) == -1)
		return -1;
	logtime_init(&child.time);
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		child.g = g;
		child.to = p[1];
		narrow(g);
		run_child(f);
	}
	close(p[1]);
	r = pid == -1 ? -1 : take(g, p[0], end);
	close(p[0]);
	if (pid != -1 && waitpid(pid, &status, 0) == -1)
		r = -1;
	return r;
}

static uint64_t
size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

int
guardread_log(struct guardread const *g, char const *path,
    struct logplace *place)
{
	static struct logfiles f;
	struct record end;
	uint64_t size;
	int r = logfiles_open(&f, path, place);

	if (r != 1)
		return r;
	do {
		size = size_of(f.fd);
		end.offset = f.place.offset;
		end.last = 0;
		r = size == f.place.offset ? 1 : read_file(g, &f, &end);
		if (r == -1)
			break;
		/* or the same bytes would stop us for ever */
		if (r == 0 || end.offset < f.place.offset) {
			strerr_warnw3x("reading failed, passed over: ", path,
			    ", to the end of the file");
			end.offset = size;
		}
		r = logfiles_next(&f, end.offset, end.last);
	} while (r == 1);
	if (r != -1)
		*place = f.place;
	logfiles_close(&f);
	return r == -1 ? -1 : 1;
}
