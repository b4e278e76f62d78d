#include "users/orders.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include <skalibs/djbunix.h>

#include "lib/control.h"
#include "lib/ipaddr.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/loginname.h"
#include "lib/message.h"
#include "lib/packet.h"
#include "users/account.h"
#include "users/errand.h"
#include "users/guess.h"
#include "users/login.h"
#include "users/usage.h"

#define FILE_NAME "auth/usage"

enum { ROOM = LIMIT_PACKET - 1024 };	/* for one more entry of a list */

static int changed;

static void
warn(char const *event, char const *user, size_t n, int e)
{
	log_start("warning", event);
	if (n)
		log_value("user", user, n);
	if (e)
		log_errno(e);
	log_end();
}

/* The letter to the postmaster.  Its only foreign part is a name, with what
 * has no place in a header turned to '?'. */
static int
letter(stralloc *out, char const *me, char const *user, size_t n,
    char const *why)
{
	if (!stralloc_cats(out, "From: authd <postmaster@") ||
	    !stralloc_cats(out, me) ||
	    !stralloc_cats(out, ">\nTo: postmaster@") ||
	    !stralloc_cats(out, me) || !stralloc_cats(out, "\nSubject: ") ||
	    message_safe(out, user, n) == -1 ||
	    !stralloc_cats(out, " has sent ") || !stralloc_cats(out, why) ||
	    !stralloc_cats(out, "\nAuto-Submitted: auto-generated\n\nThe user ")
	    || message_safe(out, user, n) == -1 ||
	    !stralloc_cats(out, " has sent ") || !stralloc_cats(out, why) ||
	    !stralloc_cats(out, ".\n\nFurther mail is put off until that time "
	    "has passed.  If the user did not\nsend it, somebody else knows "
	    "the password: set a new one with vpasswd, and\nlook through the "
	    "queue (queuectl).  If all is well, raise the limit in\n"
	    "control/userlimits.  There will be no other letter about this "
	    "user for a day.\n"))
		return -1;
	return 1;
}

static int
post(char const *me, char const *user, size_t n, char const *why,
    uint64_t seconds)
{
	stralloc text = STRALLOC_ZERO, to = STRALLOC_ZERO;
	int r = letter(&text, me, user, n, why);

	if (r == 1 && (!stralloc_cats(&to, "postmaster@") ||
	    !stralloc_cats(&to, me) || !stralloc_0(&to)))
		r = -1;
	if (r == 1) {
		char const *const argv[] = { "bin/inject", "-a", "-f", "",
		    to.s, 0 };

		r = errand_start(argv, text.s, text.len, seconds);
	}
	stralloc_free(&text);
	stralloc_free(&to);
	return r;
}

static void
tell_postmaster(char const *user, size_t n, char const *why, uint64_t seconds)
{
	stralloc me = STRALLOC_ZERO;
	int r = control_line("control/me", &me);

	if (r == 1)
		r = stralloc_0(&me) ? post(me.s, user, n, why, seconds) : -1;
	if (r != 1)
		warn("unable to tell the postmaster", user, n,
		    r == -1 ? errno : 0);
	stralloc_free(&me);
}

static void
refused(char const *user, size_t n, char const *why, uint64_t seconds)
{
	log_start("info", "limited");
	log_value("user", user, n);
	log_string("reason", why);
	log_end();
	if (usage_first_time(user, n, time(0)))
		tell_postmaster(user, n, why, seconds);
}

static int
count_one(char const *user, size_t len, uint32_t count, uint64_t seconds,
    stralloc *out)
{
	struct usage most;
	char const *why;
	int r, recipients;

	if (!usage_name_ok(user, len))
		return stralloc_append(out, 'T') ? 1 : -1;
	r = usage_limits(user, len, &most);
	if (r == -1) {
		warn("unable to read control/userlimits", user, len, errno);
		return stralloc_append(out, 'T') ? 1 : -1;
	}
	if (r == 0)
		warn("malformed line in control/userlimits", "", 0, 0);
	changed = 1;
	if (usage_add(user, len, count, &most, time(0), &why, &recipients))
		return stralloc_append(out, 'K') ? 1 : -1;
	refused(user, len, why, seconds);
	return stralloc_append(out, recipients ? 'R' : 'M') &&
	    stralloc_cats(out, why) ? 1 : -1;
}

/* S: the answer is in out.  Users of other programs than checkpw are none of
 * ours: they are counted by the name that they have. */
static int
sent(char const *s, size_t n, uint64_t seconds, stralloc *out)
{
	struct account who = ACCOUNT_ZERO;
	size_t pos = 1, len;
	char const *user = job_field(s, n, &pos);
	uint64_t count;
	int r;

	if (!user || !job_field_number(s, n, &pos, &count) || pos != n ||
	    !count || count > LIMIT_RECIPIENTS)
		return -1;
	len = strlen(user);
	r = account_find(user, len, &who);
	if (r == -1)
		warn("unable to look the user up", user, len, errno);
	if (r == 1)
		r = count_one(who.login.s, who.login.len, count, seconds, out);
	else if (r == 0)
		r = count_one(user, len, count, seconds, out);
	account_free(&who);
	return r;
}

static int
put_guess(stralloc *out, struct guess const *g)
{
	char fmt[IPADDR_FMT + 4];
	char const *s = g->name;
	size_t n = g->n;
	struct ipaddr a;

	if (g->kind == GUESS_ADDRESS && n == sizeof a.b) {
		memcpy(a.b, s, n);
		n = ipaddr_fmt(fmt, &a);
		if (!ipaddr_is4(&a)) {
			memcpy(fmt + n, "/64", 4);
			n += 3;
		}
		s = fmt;
	}
	return job_put(out, &g->kind, 1) == 1 && job_put(out, s, n) == 1 &&
	    job_number(out, g->count) == 1 &&
	    job_number(out, g->seconds) == 1 ? 1 : -1;
}

static int
put_usage(stralloc *out, char const *name, struct usage const *u)
{
	return job_puts(out, "s") == 1 && job_puts(out, name) == 1 &&
	    job_number(out, u->messages_hour) == 1 &&
	    job_number(out, u->messages_day) == 1 &&
	    job_number(out, u->recipients_hour) == 1 &&
	    job_number(out, u->recipients_day) == 1 ? 1 : -1;
}

/* Sends what there is if it fills a record. */
static int
flush(int fd, stralloc *out)
{
	if (out->len < ROOM)
		return 1;
	if (packet_send(fd, out->s, out->len, -1) == -1)
		return -1;
	out->len = 0;
	return 1;
}

static int
list(int fd, uint64_t seconds, stralloc *out)
{
	/* root asks; but not even root may hold us up */
	struct timeval patience = { 1, 0 };
	unsigned int pos = 0;
	struct guess g;
	struct usage u;
	char const *name;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	while (guess_each(&pos, seconds, &g))
		if (put_guess(out, &g) == -1 || flush(fd, out) == -1)
			return -1;
	pos = 0;
	while (usage_each(&pos, time(0), &name, &u))
		if (put_usage(out, name, &u) == -1 || flush(fd, out) == -1)
			return -1;
	if (out->len && packet_send(fd, out->s, out->len, -1) == -1)
		return -1;
	out->len = 0;
	return stralloc_append(out, 'E') ? 1 : -1;
}

static int
clear(char const *s, size_t n, stralloc *out)
{
	stralloc key = STRALLOC_ZERO;
	size_t pos = 1, at;
	char const *name = job_field(s, n, &pos);
	int known = 0, r = -1;

	if (!name || pos != n)
		return -1;
	if (login_source(name, &key) == 1) {
		known |= guess_clear(GUESS_ADDRESS, key.s, key.len);
		r = loginname(name, strlen(name), &key, &at);
	}
	if (r == 1) {
		known |= guess_clear(GUESS_ACCOUNT, key.s, key.len);
		known |= usage_clear(key.s, key.len);
		changed |= known;
		r = stralloc_append(out, known ? 'K' : 'N') ? 1 : -1;
	}
	stralloc_free(&key);
	return r;
}

void
orders_answer(int fd, int is_root, char const *s, size_t n, uint64_t seconds)
{
	stralloc out = STRALLOC_ZERO;
	int r = -1;

	if (n && *s == 'S')
		r = sent(s, n, seconds, &out);
	else if (n == 1 && *s == 'L' && is_root)
		r = list(fd, seconds, &out);
	else if (n && *s == 'C' && is_root)
		r = clear(s, n, &out);
	if (r == 1)
		packet_send(fd, out.s, out.len, -1);
	stralloc_free(&out);
}

void
orders_load(void)
{
	stralloc s = STRALLOC_ZERO;
	int r = openslurpclose(&s, FILE_NAME);

	if (!r && errno != ENOENT)
		warn("unable to read " FILE_NAME, "", 0, errno);
	if (r && !usage_load(s.s, s.len, time(0)))
		warn(FILE_NAME " is malformed", "", 0, 0);
	stralloc_free(&s);
}

void
orders_save(void)
{
	stralloc s = STRALLOC_ZERO;

	if (changed && (usage_save(&s, time(0)) == -1 ||
	    !openwritenclose_unsafe(FILE_NAME ".new", s.s ? s.s : "", s.len) ||
	    rename(FILE_NAME ".new", FILE_NAME) == -1))
		warn("unable to write " FILE_NAME, "", 0, errno);
	changed = 0;
	stralloc_free(&s);
}

int
orders_changed(void)
{
	return changed;
}
