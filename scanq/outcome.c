#include "scanq/outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/control.h"
#include "lib/date822.h"
#include "lib/enqueue.h"
#include "lib/errortext.h"
#include "lib/filter.h"
#include "lib/log.h"
#include "scanq/alertlimit.h"
#include "scanq/handover.h"
#include "scanq/ownmail.h"
#include "lib/quarantined.h"
#include "lib/spool.h"

enum { ALERTS = 20 };		/* control/scanalerts: an hour */

static int
trouble(char const *what, int e, int code)
{
	log_start("warning", what);
	if (e)
		log_errno(e);
	log_number("code", (uint64_t)code);
	log_end();
	return code;
}

static int
accept_it(struct report *r, struct intake *i)
{
	stralloc lines = STRALLOC_ZERO, program = STRALLOC_ZERO;
	int fd, code;

	r->action = "accepted";
	if (report_received(&lines, r->now) == -1 ||
	    report_header(&lines, r) == -1)
		return QUEUE_MEMORY;
	report_log(r);
	fd = intake_finish(i, lines.s, lines.len);
	if (fd == -1)
		return trouble("unable to write header lines", errno,
		    QUEUE_WRITE);
	code = handover_next(&program);
	if (!code)
		code = filter_exec(program.s, fd, r->envelope);
	return trouble("unable to run the next program", errno, code);
}

/* Mail does not wait for an alert: what cannot be told is in the log.  1; 0:
 * enough has been told in this hour.
 */
static int
alert(struct report *r, char const *kept)
{
	stralloc to = STRALLOC_ZERO, me = STRALLOC_ZERO, text = STRALLOC_ZERO;
	stralloc digest = STRALLOC_ZERO, line = STRALLOC_ZERO;
	stralloc env = STRALLOC_ZERO;
	unsigned int most = ALERTS;
	int may = -1, code = 0;

	errno = 0;
	if (control_uint("control/scanalerts", &most) != -1 &&
	    report_reason(&line, r->scan) == 1)
		may = alertlimit(most, r->now, line.s, line.len, &digest);
	if (may == 1) {
		code = QUEUE_CONFIG;
		if (ownmail_address(&to, "control/scanadmin", "postmaster") ==
		    1 && control_line_or_me("control/me", &me) != -1 &&
		    stralloc_0(&me) && report_alert(&text, r, to.s, me.s, kept,
		    &digest) == 1 && ownmail_envelope(&env, &to) == 1)
			code = ownmail_send(&text, &env);
	}
	if (may == -1 || code)
		trouble("no alert was sent", errno, code);
	return may == 1;
}

/* Is the address s[0..n) delivered here? */
static int
is_local(stralloc const *locals, stralloc const *virtuals, char const *s,
    size_t n)
{
	char const *at = memrchr(s, '@', n);
	size_t i, k;

	if (!at)
		return 1;
	n -= (size_t)(at + 1 - s);
	s = at + 1;
	if (control_has(locals, s, n))
		return 1;
	for (i = 0; i < virtuals->len; i += k + 1) {
		k = strlen(virtuals->s + i);
		if (k > n && virtuals->s[i + n] == ':' &&
		    !strncasecmp(virtuals->s + i, s, n))
			return 1;
	}
	return 0;
}

/* Those of the envelope that are delivered here, as an envelope of our own.
 * 1; 0: none; -1.
 */
static int
local_envelope(stralloc *out, stralloc const *env)
{
	stralloc locals = STRALLOC_ZERO, virtuals = STRALLOC_ZERO;
	size_t i = strlen(env->s) + 1, n;
	int r = -1;

	if (control_list("control/locals", &locals) == -1 ||
	    control_list("control/virtualdomains", &virtuals) == -1 ||
	    !stralloc_copyb(out, "F", 2))
		goto end;
	for (; i < env->len; i += n + 1) {
		n = strlen(env->s + i);
		if (is_local(&locals, &virtuals, env->s + i + 1, n - 1) &&
		    !stralloc_catb(out, env->s + i, n + 1))
			goto end;
	}
	r = out->len > 2;
end:
	stralloc_free(&locals);
	stralloc_free(&virtuals);
	return r;
}

/* control/scannotify: tells recipients, too. */
static void
notify(struct report *r)
{
	stralloc env = STRALLOC_ZERO, text = STRALLOC_ZERO;
	stralloc me = STRALLOC_ZERO;
	unsigned int wanted = 0;
	int code = QUEUE_CONFIG, k;

	errno = 0;
	if (control_uint("control/scannotify", &wanted) != -1 && !wanted)
		return;
	k = local_envelope(&env, r->envelope);
	if (k == 0)
		return;
	if (k == 1 && control_line_or_me("control/me", &me) != -1 &&
	    stralloc_0(&me) && report_notice(&text, r, me.s) == 1)
		code = ownmail_send(&text, &env);
	if (code)
		trouble("no recipient was told", errno, code);
}

static int
block(struct report *r, struct intake *i, stralloc *out, stralloc *id)
{
	struct quarantined q = QUARANTINED_ZERO;
	char date[DATE822_LEN], text[60];
	int k = -1;

	snprintf(text, sizeof text, "%llu.%lu", (unsigned long long)r->now,
	    (unsigned long)getpid());
	q.envelope = *r->envelope;
	q.size = i->size;
	if (stralloc_copys(&q.id, text) && stralloc_copys(id, text) &&
	    stralloc_catb(&q.date, date, date822(date, r->now)) &&
	    report_reason(&q.reason, r->scan) == 1 &&
	    report_received(out, r->now) == 1)
		k = quarantined_write(out, &q);
	stralloc_free(&q.id);
	stralloc_free(&q.date);
	stralloc_free(&q.reason);
	return k;
}

static int
quarantine(struct report *r, struct intake *i)
{
	stralloc to = STRALLOC_ZERO, lines = STRALLOC_ZERO;
	stralloc env = STRALLOC_ZERO, program = STRALLOC_ZERO;
	stralloc id = STRALLOC_ZERO;
	int fd, code = handover_next(&program);

	r->action = "quarantined";
	if (code)
		return trouble("unable to find the next program", errno, code);
	if (ownmail_address(&to, "control/quarantine", "quarantine") == -1)
		return trouble("unable to read control/quarantine", errno,
		    QUEUE_CONFIG);
	if (block(r, i, &lines, &id) == -1 || ownmail_envelope(&env, &to) == -1)
		return QUEUE_MEMORY;
	fd = spool_bytes(lines.s, lines.len, i->message, i->size);
	if (fd == -1)
		return trouble("unable to copy the message", errno,
		    QUEUE_MEMORY);
	code = handover_run(program.s, fd, &env, 0);
	close(fd);
	if (code)
		return trouble("unable to queue for the quarantine", 0, code);
	report_log(r);
	to.len--;
	if (stralloc_cats(&to, ", ") && stralloc_cat(&to, &id) &&
	    stralloc_0(&to) && alert(r, to.s))
		notify(r);
	return QUEUE_OK;
}

static int
refuse(struct report *r)
{
	stralloc text = STRALLOC_ZERO;
	char const *how;
	int code;

	r->action = "refused";
	report_log(r);
	if (!stralloc_copys(&text, "Dsorry, this message is refused: ") ||
	    report_reason(&text, r->scan) == -1 ||
	    !stralloc_cats(&text, " (#5.7.1)"))
		return QUEUE_MEMORY;
	code = errortext_say(text.s, text.len, QUEUE_REFUSED, &how);
	if (code != QUEUE_TEXT) {
		log_start("info", "caller takes no text");
		log_string("reason", how);
		log_end();
	}
	return code;
}

int
outcome(struct report *r, struct intake *i)
{
	switch (r->scan->judge.worst) {
	case ACTION_QUARANTINE:
		return quarantine(r, i);
	case ACTION_REFUSE:
		return refuse(r);
	case ACTION_DISCARD:
		r->action = "discarded";
		report_log(r);
		alert(r, "");
		return QUEUE_OK;
	default:
		return accept_it(r, i);
	}
}
