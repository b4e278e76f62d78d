#include "users/login.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/control.h"
#include "lib/ipaddr.h"
#include "lib/job.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/mailbox.h"
#include "users/errand.h"
#include "users/guess.h"
#include "users/roaming.h"

/* Nobody's: the work on it makes the time for a name that does not exist. */
static char const DUMMY[] = "$y$j9T$dV2iuA6YeZKRlI9WTlvzn1$"
    "XiMbUhoWM91YjEPBMOQsEMVfBk7QmMjgHNillHFajX6";

int
login_source(char const *remote, stralloc *out)
{
	size_t n = strlen(remote);
	struct ipaddr a;

	if (ipaddr_scan(remote, n, &a) != 1)
		return stralloc_copyb(out, remote, n) ? 1 : -1;
	if (!ipaddr_is4(&a))
		ipaddr_mask(&a, 64);
	return stralloc_copyb(out, (char *)a.b, sizeof a.b) ? 1 : -1;
}

int
login_parse(struct login *l, char const *s, size_t n)
{
	size_t pos = 0;

	if (!stralloc_copyb(&l->request, s, n))
		return -1;
	s = l->request.s;
	l->name = job_field(s, n, &pos);
	l->password = l->name ? job_field(s, n, &pos) : 0;
	l->remote = l->password ? job_field(s, n, &pos) : 0;
	l->service = l->remote ? job_field(s, n, &pos) : 0;
	l->session = l->service ? job_field(s, n, &pos) : 0;
	l->challenge = l->session && pos < n ? job_field(s, n, &pos) : "";
	if (!l->session || !l->challenge || pos != n ||
	    strlen(l->name) + strlen(l->password) > LIMIT_LOGIN)
		return 0;
	return login_source(l->remote, &l->source);
}

/* Whoever may read mail here, and send it, may send it from there too. */
static void
open_smtp(struct login const *l)
{
	unsigned int minutes;

	if (strncmp(l->service, "pop3", 4) != 0 ||
	    (l->who.pw.flags & (MAILBOX_NORELAY | MAILBOX_NOSMTP)))
		return;
	minutes = roaming_minutes();
	if (minutes && roaming_open(l->remote, minutes) == -1)
		strerr_warnwusys("write roaming/");
}

/* This account from this address: a pair that has been good lately is let
 * through where either alone would be blocked, so that nobody is locked out
 * by what somebody else tries.
 */
static int
pair_of(struct login const *l, stralloc *out)
{
	return stralloc_copyb(out, l->who.login.s, l->who.login.len) &&
	    stralloc_0(out) &&
	    stralloc_catb(out, l->source.s, l->source.len);
}

static int
is_known(struct login const *l, uint64_t now)
{
	stralloc pair = STRALLOC_ZERO;
	int r = pair_of(l, &pair) &&
	    guess_count(GUESS_KNOWN, pair.s, pair.len, now) != 0;

	stralloc_free(&pair);
	return r;
}

static int
is_blocked(struct login const *l, uint64_t now)
{
	stralloc const *a = &l->source, *u = &l->who.login;

	if (guess_count(GUESS_ADDRESS, a->s, a->len, now) <
	    GUESS_BLOCK_ADDRESS &&
	    guess_count(GUESS_ACCOUNT, u->s, u->len, now) <
	    GUESS_BLOCK_ACCOUNT)
		return 0;
	return !is_known(l, now);
}

static void
log_common(struct login const *l)
{
	if (*l->session)
		log_string("session", l->session);
	log_value("login", l->who.login.s, l->who.login.len);
	log_string("remote", l->remote);
	log_string("service", l->service);
}

/* vchkpw's line, for fail2ban's filters and their like. */
static void
log_vchkpw(struct login const *l)
{
	stralloc line = STRALLOC_ZERO;
	size_t n = l->who.login.len;

	if (n > LOG_VALUE)
		n = LOG_VALUE;
	if (stralloc_cats(&line, "authd: vchkpw-") &&
	    log_escape(&line, l->service, strnlen(l->service, 32)) == 1 &&
	    stralloc_cats(&line, l->exists ? ": password fail " :
	    ": vpopmail user not found ") &&
	    log_escape(&line, l->who.login.s, n) == 1 &&
	    stralloc_append(&line, ':') &&
	    log_escape(&line, l->remote, strnlen(l->remote, 64)) == 1 &&
	    stralloc_append(&line, '\n')) {
		ssize_t r = write(2, line.s, line.len);

		(void)r;	/* lost, as any line that cannot be written */
	}
	stralloc_free(&line);
}

static void
warn(struct login const *l, char const *what, int e)
{
	log_start("warning", what);
	log_common(l);
	if (e)
		log_errno(e);
	log_end();
}

static void
trouble(struct login *l, char const *what, int e)
{
	l->answer = 'T';
	l->due = l->arrived;
	warn(l, what, e);
}

static void
refuse(struct login *l, char const *reason, uint64_t now)
{
	stralloc const *a = &l->source, *u = &l->who.login;
	unsigned int by_address, by_account, most;

	by_address = guess_add(GUESS_ADDRESS, a->s, a->len, now / 1000);
	by_account = guess_add(GUESS_ACCOUNT, u->s, u->len, now / 1000);
	most = by_address > by_account ? by_address : by_account;
	l->answer = 'N';
	l->due = l->arrived + (uint64_t)l->unit * guess_delay(most);
	log_start("info", "refused");
	log_common(l);
	log_string("reason", reason);
	log_number("failures", most);
	log_end();
	log_vchkpw(l);
}

/* Is the hash of an older kind, and l->password surely what it is of?  (It may
 * be an answer to a challenge, where there is a secret.) */
static int
is_outdated(struct login const *l)
{
	unsigned int wanted = 1;

	if (strncmp(l->comparison.hash, "$y$", 3) == 0 ||
	    (*l->comparison.secret && *l->challenge))
		return 0;
	if (control_uint("control/rehash", &wanted) == -1)
		return 0;
	return wanted;
}

/* bin/rehash gives him one of today's; who is too many does so next time. */
static void
renew_hash(struct login const *l, uint64_t now)
{
	static char const *const argv[] = { "bin/rehash", 0 };
	stralloc request = STRALLOC_ZERO;

	if (job_put(&request, l->who.login.s, l->who.login.len) == 1 &&
	    job_puts(&request, l->comparison.hash) == 1 &&
	    job_puts(&request, l->password) == 1 &&
	    errand_start(argv, request.s, request.len, now / 1000) == -1)
		warn(l, "unable to start bin/rehash", errno);
	if (request.s)
		explicit_bzero(request.s, request.len);
	stralloc_free(&request);
}

static void
admit(struct login *l, uint64_t now)
{
	stralloc pair = STRALLOC_ZERO;

	guess_clear(GUESS_ACCOUNT, l->who.login.s, l->who.login.len);
	if (pair_of(l, &pair))
		guess_add(GUESS_KNOWN, pair.s, pair.len, now / 1000);
	stralloc_free(&pair);
	open_smtp(l);
	l->answer = 'K';
	l->due = l->arrived;
	log_start("info", "accepted");
	log_common(l);
	log_end();
	if (is_outdated(l))
		renew_hash(l, now);
}

int
login_begin(struct login *l)
{
	int r = account_find(l->name, strlen(l->name), &l->who);

	if (r == -1) {
		trouble(l, "unable to look the user up", errno);
		return 0;
	}
	l->exists = r == 1;
	if (is_blocked(l, l->arrived / 1000)) {
		refuse(l, "blocked", l->arrived);
		return 0;
	}
	l->comparison.hash = *l->who.pw.hash ? l->who.pw.hash : DUMMY;
	l->comparison.password = l->password;
	/* an account that is locked by its hash is locked */
	l->comparison.secret = l->exists && !strchr("*!", *l->who.pw.hash) ?
	    l->who.pw.clear : "";
	l->comparison.challenge = l->challenge;
	return 1;
}

/* May this user use this service at all? */
static int
is_served(struct login const *l)
{
	static struct {
		char const *service;
		unsigned long flag;
	} const forbidden[] = {
		{ "pop3", MAILBOX_NOPOP }, { "pop3s", MAILBOX_NOPOP },
		{ "imap", MAILBOX_NOIMAP }, { "imaps", MAILBOX_NOIMAP },
		{ "smtp", MAILBOX_NOSMTP }, { "smtps", MAILBOX_NOSMTP },
		{ "submission", MAILBOX_NOSMTP }
	};
	size_t i;

	for (i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
		if (strcmp(l->service, forbidden[i].service) == 0)
			return !(l->who.pw.flags & forbidden[i].flag);
	return 1;
}

void
login_end(struct login *l, char outcome, uint64_t now)
{
	if (!outcome)
		trouble(l, "unable to compare a password", 0);
	else if (!l->exists)
		refuse(l, "no-such-user", now);
	else if (outcome != 'y' || !*l->who.pw.hash)
		refuse(l, "wrong-password", now);
	else if (!is_served(l))
		refuse(l, "service-not-allowed", now);
	else
		admit(l, now);
}

int
login_answer(struct login const *l, stralloc *out)
{
	char letter = l->answer;

	if (!stralloc_copyb(out, &letter, 1))
		return -1;
	if (letter != 'K' || !l->full)
		return 1;
	if (job_puts(out, l->who.pw.name) == -1 ||
	    job_number(out, l->who.domain.uid) == -1 ||
	    job_number(out, l->who.domain.gid) == -1 ||
	    job_puts(out, l->who.pw.dir) == -1 ||
	    job_puts(out, "/bin/false") == -1 ||
	    job_put(out, l->who.login.s, l->who.login.len) == -1)
		return -1;
	return 1;
}

void
login_free(struct login *l)
{
	if (l->request.s)
		explicit_bzero(l->request.s, l->request.len);
	stralloc_free(&l->request);
	stralloc_free(&l->source);
	account_free(&l->who);
	memset(l, 0, sizeof *l);
}
