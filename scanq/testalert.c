#include "scanq/testalert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/date822.h"
#include "scanq/ownmail.h"

#define STATE "state/scantest"

enum { HOUR = 3600, DAY = 86400 };

struct last {
	uint64_t when;		/* mail was sent; 0: never */
	int bad;
};

/* What is damaged counts as nothing. */
static int
load(struct last *l)
{
	stralloc s = STRALLOC_ZERO;
	int r = control_line(STATE, &s);
	size_t k;

	l->when = 0;
	l->bad = 0;
	if (r == 1 && stralloc_0(&s)) {
		k = uint64_scan(s.s, &l->when);
		l->bad = k && strcmp(s.s + k, " bad") == 0;
	}
	stralloc_free(&s);
	return r;
}

static int
save(struct last const *l)
{
	char text[40];
	int n = snprintf(text, sizeof text, "%llu %s\n",
	    (unsigned long long)l->when, l->bad ? "bad" : "good");
	int fd = open(STATE ".new", O_WRONLY | O_CREAT | O_TRUNC, 0600), r;

	if (fd == -1)
		return -1;
	r = allwrite(fd, text, (size_t)n) == (size_t)n;
	close(fd);
	return r && rename(STATE ".new", STATE) == 0 ? 1 : -1;
}

int
testalert_good(void)
{
	struct last l;

	if (load(&l) == 1 && l.bad) {
		l.bad = 0;
		return save(&l);
	}
	return 1;
}

static int
put_mail(stralloc *out, char const *to, stralloc const *said, int required,
    uint64_t now)
{
	stralloc me = STRALLOC_ZERO;
	char date[DATE822_LEN + 1], id[80];

	date[date822(date, now)] = 0;
	snprintf(id, sizeof id, "%llu.%lu.scantest",
	    (unsigned long long)now, (unsigned long)getpid());
	return control_line_or_me("control/me", &me) != -1 &&
	    stralloc_0(&me) &&
	    stralloc_cats(out, "From: Mail scanner <postmaster@") &&
	    stralloc_cats(out, me.s) && stralloc_cats(out, ">\nTo: ") &&
	    stralloc_cats(out, to) && stralloc_cats(out, "\nDate: ") &&
	    stralloc_cats(out, date) && stralloc_cats(out, "\nMessage-ID: <") &&
	    stralloc_cats(out, id) && stralloc_cats(out, "@") &&
	    stralloc_cats(out, me.s) &&
	    stralloc_cats(out, ">\nAuto-Submitted: auto-generated\n"
	    "MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n"
	    "Subject: the virus scanner fails its test\n\n"
	    "The test of the virus scanner of ") && stralloc_cats(out, me.s) &&
	    stralloc_cats(out, " fails.\n") &&
	    stralloc_cats(out, required ?
	    "While it gives no answers, mail waits at its senders'; what it "
	    "calls clean passes.\n\n" :
	    "Mail passes, whether it gives answers or not.\n\n") &&
	    stralloc_catb(out, said->s, said->len) &&
	    stralloc_cats(out, "\nLook at clamav-daemon and freshclam; "
	    "\"mailctl scan\" repeats the test.\n"
	    "As long as it fails, this is told again each day.\n") ? 1 : -1;
}

int
testalert_bad(stralloc const *said, int required, uint64_t now)
{
	stralloc to = STRALLOC_ZERO, env = STRALLOC_ZERO;
	stralloc text = STRALLOC_ZERO;
	struct last l;
	char fmt[UINT_FMT];
	int code;

	if (load(&l) == -1 || (l.when && l.when <= now &&
	    now - l.when < (l.bad ? DAY : HOUR)))
		return 0;
	l.when = now;
	l.bad = 1;
	/* first: what cannot be remembered would be told each time */
	if (save(&l) == -1) {
		strerr_warnwu1sys("write " STATE);
		return -1;
	}
	if (ownmail_address(&to, "control/scanadmin", "postmaster") == -1 ||
	    put_mail(&text, to.s, said, required, now) == -1 ||
	    ownmail_envelope(&env, &to) == -1) {
		strerr_warnwu1sys("write to the administrator");
		return -1;
	}
	code = ownmail_send(&text, &env);
	if (!code)
		return 1;
	fmt[uint_fmt(fmt, (unsigned int)code)] = 0;
	strerr_warnw2x("the administrator was not told: the queue's code is ",
	    fmt);
	unlink(STATE);
	return -1;
}
