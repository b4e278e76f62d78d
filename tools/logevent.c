#include "tools/logevent.h"

#include <string.h>

char const *const logevent_checks[LOGEVENT_CHECKS] = { "spf", "dkim", "dmarc" };
char const *const logevent_results[LOGEVENT_RESULTS] = {
	"pass", "fail", "softfail", "neutral", "policy", "none", "temperror",
	"permerror"
};

int
logevent_is(struct logtext const *t, char const *word)
{
	return t->n == strlen(word) && !memcmp(t->s, word, t->n);
}

enum logevent_result
logevent_result(struct logtext const *t)
{
	unsigned int i;

	for (i = 0; i < LOGEVENT_RESULTS; i++)
		if (logevent_is(t, logevent_results[i]))
			break;
	return (enum logevent_result)i;
}

/* Takes prefix off *t. */
static int
starts(struct logtext *t, char const *prefix)
{
	size_t n = strlen(prefix);

	if (t->n < n || memcmp(t->s, prefix, n) != 0)
		return 0;
	t->s += n;
	t->n -= n;
	return 1;
}

/* Cuts *t at the first c, which is passed over: what stands before. */
static struct logtext
cut(struct logtext *t, char c)
{
	char const *p = t->n ? memchr(t->s, c, t->n) : 0;
	struct logtext w = *t;

	if (p)
		w.n = (size_t)(p - t->s);
	t->s += w.n + (p != 0);
	t->n -= w.n + (p != 0);
	return w;
}

static int
number(struct logtext const *t, uint64_t *out)
{
	uint64_t u = 0;
	size_t i;

	if (!t->n || t->n > 19)
		return 0;
	for (i = 0; i < t->n; i++) {
		if (t->s[i] < '0' || t->s[i] > '9')
			return 0;
		u = u * 10 + (uint64_t)(t->s[i] - '0');
	}
	*out = u;
	return 1;
}

/* The number that *t begins with, up to c. */
static int
cut_number(struct logtext *t, char c, uint64_t *out)
{
	struct logtext w = cut(t, c);

	return number(&w, out);
}

static void
angle(struct logtext *t)
{
	if (t->n >= 2 && t->s[0] == '<' && t->s[t->n - 1] == '>') {
		t->s++;
		t->n -= 2;
	}
}

/* One "name=value" of our lines. */
static void
field(struct logevent *e, struct logtext name, struct logtext value)
{
	static char const *const actions[] = {
		"refuse", "quarantine", "discard"
	};
	size_t i;

	if (logevent_is(&name, "session"))
		e->session = value;
	else if (logevent_is(&name, "ip") || logevent_is(&name, "remote"))
		e->ip = value;
	else if (logevent_is(&name, "user") || logevent_is(&name, "login"))
		e->user = value;
	else if (logevent_is(&name, "reason") || logevent_is(&name, "list"))
		e->reason = value;
	else if (logevent_is(&name, "virus"))
		e->virus = value;
	else if (logevent_is(&name, "author"))
		e->author = value;
	else if (logevent_is(&name, "action"))
		e->outcome = value;
	else if (logevent_is(&name, "id"))
		(void)number(&value, &e->id);
	else if (logevent_is(&name, "size"))
		(void)number(&value, &e->size);
	else if (logevent_is(&name, "recipients"))
		(void)number(&value, &e->number);
	else if (logevent_is(&name, "qp") || logevent_is(&name, "pid"))
		(void)number(&value, &e->pid);
	else if (logevent_is(&name, "from")) {
		angle(&value);
		e->from = value;
		e->has_from = 1;
	} else if (logevent_is(&name, "to") || logevent_is(&name, "rcpt")) {
		angle(&value);
		e->to = value;
	}
	for (i = 0; i < sizeof actions / sizeof *actions; i++)
		if (!e->reason.n && logevent_is(&name, actions[i]))
			e->reason = value;
	for (i = 0; i < LOGEVENT_CHECKS; i++)
		if (logevent_is(&name, logevent_checks[i]))
			e->said[i] = value;
}

/* level: event name=value ... */
static int
ours(struct logevent *e, struct logtext t)
{
	struct logtext word;

	e->level = cut(&t, ':');
	if (!logevent_is(&e->level, "info") &&
	    !logevent_is(&e->level, "warning") &&
	    !logevent_is(&e->level, "fatal"))
		return 0;
	(void)starts(&t, " ");
	e->action.s = t.s;
	e->text = t;
	while (t.n) {
		word = cut(&t, ' ');
		if (memchr(word.s, '=', word.n)) {
			struct logtext name = cut(&word, '=');

			field(e, name, word);
		} else if (e->action.s + e->action.n + (e->action.n != 0) ==
		    word.s) {
			e->action.n = (size_t)(word.s + word.n - e->action.s);
		}
	}
	return 1;
}

static int
of_smtpd(struct logevent *e)
{
	if (logevent_is(&e->action, "accepted"))
		e->kind = LOGEVENT_ACCEPTED;
	else if (logevent_is(&e->action, "refused"))
		e->kind = LOGEVENT_REFUSED;
	return e->kind != LOGEVENT_OTHER;
}

static int
of_ours(struct logevent *e)
{
	if (logevent_is(&e->action, "checked") &&
	    (logevent_is(&e->program, "rblcheck") ||
	    logevent_is(&e->program, "namecheck"))) {
		e->kind = LOGEVENT_CHECKED;
		return 1;
	}
	if (logevent_is(&e->program, "smtpd") ||
	    logevent_is(&e->program, "qmtpd") ||
	    logevent_is(&e->program, "qmqpd") ||
	    logevent_is(&e->program, "rblcheck"))
		return of_smtpd(e);
	if (logevent_is(&e->program, "queued")) {
		if (logevent_is(&e->action, "queued") && e->id)
			e->kind = LOGEVENT_QUEUED;
	} else if (logevent_is(&e->program, "dmarcq")) {
		if (logevent_is(&e->action, "checked"))
			e->kind = LOGEVENT_SENDER;
	} else if (logevent_is(&e->program, "scanq")) {
		if (e->virus.n)
			e->kind = LOGEVENT_SCANNED;
	} else if (logevent_is(&e->program, "authd")) {
		if (e->user.n && (logevent_is(&e->action, "accepted") ||
		    logevent_is(&e->action, "refused")))
			e->kind = LOGEVENT_LOGIN;
	}
	return e->kind != LOGEVENT_OTHER;
}

/* LHOST:LIP:LPORT RHOST:RIP:RINFO:RPORT, and ours: session=... reason.  An
 * IPv6 address stands in brackets.
 */
static int
of_server(struct logevent *e, struct logtext t)
{
	struct logtext rest, w;

	(void)cut(&t, ' ');
	rest = cut(&t, ' ');
	w = cut(&rest, ':');
	if (rest.n && *rest.s == '[') {
		(void)starts(&rest, "[");
		e->ip = cut(&rest, ']');
	} else {
		e->ip = cut(&rest, ':');
	}
	while (t.n) {
		struct logtext from = t;

		w = cut(&t, ' ');
		if (starts(&w, "session="))
			e->session = w;
		else {
			e->reason = from;
			break;
		}
	}
	return e->ip.n != 0;
}

static int
listening(struct logevent *e, struct logtext t)
{
	struct logtext rest;

	if (starts(&t, "status: ")) {
		e->kind = LOGEVENT_STATUS;
		return 1;
	}
	if (starts(&t, "end ")) {
		e->kind = LOGEVENT_CLOSE;
		return cut_number(&t, ' ', &e->pid) && starts(&t, "status ") &&
		    number(&t, &e->number);
	}
	e->kind = starts(&t, "ok ") ? LOGEVENT_CONNECT :
	    starts(&t, "deny ") ? LOGEVENT_DENY : LOGEVENT_OTHER;
	if (e->kind == LOGEVENT_OTHER)
		return 0;
	rest = t;
	return cut_number(&t, ' ', &e->pid) && of_server(e, t) && rest.n;
}

/* rblsmtpd: IP pid P: 451 TEXT */
static int
rblsmtpd(struct logevent *e, struct logtext t)
{
	e->ip = cut(&t, ' ');
	if (!starts(&t, "pid ") || !cut_number(&t, ':', &e->pid))
		return 0;
	(void)starts(&t, " ");
	(void)cut(&t, ' ');
	e->reason = t;
	e->kind = LOGEVENT_REFUSED;
	return 1;
}

/* [PID]:STATE (hits):SECSs:SUBJECT_or_VIRUS:IP:FROM:TO */
static int
simscan(struct logevent *e, struct logtext t)
{
	struct logtext subject;

	if (!starts(&t, "["))
		return 0;
	(void)cut_number(&t, ']', &e->pid);
	(void)starts(&t, ":");
	e->action = cut(&t, ':');
	(void)cut(&t, ':');
	subject = cut(&t, ':');
	e->ip = cut(&t, ':');
	e->from = cut(&t, ':');
	e->has_from = 1;
	e->to = cut(&t, ':');
	if (e->action.n >= 5 && !memcmp(e->action.s, "VIRUS", 5))
		e->virus = subject;
	e->kind = LOGEVENT_SCANNED;
	return e->ip.n != 0;
}

static int
delivery(struct logevent *e, struct logtext t)
{
	if (!cut_number(&t, ':', &e->number) || !starts(&t, " "))
		return 0;
	e->kind = LOGEVENT_DONE;
	e->verdict = starts(&t, "success: ") ? 'K' :
	    starts(&t, "failure: ") ? 'D' : starts(&t, "deferral: ") ||
	    logevent_is(&t, "report mangled, will defer") ? 'Z' : 0;
	e->text = t;
	return e->verdict != 0;
}

/* info msg ID: bytes B from <SENDER> qp PID uid UID */
static int
info(struct logevent *e, struct logtext t)
{
	struct logtext sender;
	size_t n;

	if (!cut_number(&t, ':', &e->id) || !starts(&t, " bytes ") ||
	    !cut_number(&t, ' ', &e->size) || !starts(&t, "from <"))
		return 0;
	/* a sender may hold ">", but no blank */
	sender = cut(&t, ' ');
	n = sender.n;
	if (!n || sender.s[n - 1] != '>' || !starts(&t, "qp "))
		return 0;
	e->from.s = sender.s;
	e->from.n = n - 1;
	e->has_from = 1;
	e->kind = LOGEVENT_INFO;
	return cut_number(&t, ' ', &e->pid);
}

/* starting delivery N: msg ID to local|remote RECIP */
static int
starting(struct logevent *e, struct logtext t)
{
	struct logtext channel;

	if (!cut_number(&t, ':', &e->number) || !starts(&t, " msg ") ||
	    !cut_number(&t, ' ', &e->id) || !starts(&t, "to "))
		return 0;
	channel = cut(&t, ' ');
	e->remote = logevent_is(&channel, "remote");
	e->to = t;
	e->kind = LOGEVENT_START;
	return e->remote || logevent_is(&channel, "local");
}

/* ID qp PID, and ours: id NEW */
static int
bounced(struct logevent *e, struct logtext t, enum logevent_kind kind)
{
	e->kind = kind;
	if (!cut_number(&t, ' ', &e->id) || !starts(&t, "qp ") ||
	    !cut_number(&t, ' ', &e->pid))
		return 0;
	return !starts(&t, "id ") || number(&t, &e->number);
}

static int
of_send(struct logevent *e, struct logtext t)
{
	if (starts(&t, "new msg ")) {
		e->kind = LOGEVENT_NEW;
		return number(&t, &e->id);
	}
	if (starts(&t, "info msg "))
		return info(e, t);
	if (starts(&t, "starting delivery "))
		return starting(e, t);
	if (starts(&t, "delivery "))
		return delivery(e, t);
	if (starts(&t, "end msg ")) {
		e->kind = LOGEVENT_END;
		return number(&t, &e->id);
	}
	if (starts(&t, "bounce msg "))
		return bounced(e, t, LOGEVENT_BOUNCE);
	if (starts(&t, "delay notice msg "))
		return bounced(e, t, LOGEVENT_DELAYED);
	if (starts(&t, "status: ")) {
		e->kind = LOGEVENT_STATUS;
		return 1;
	}
	return 0;
}

static int
parse(struct logevent *e, struct logtext all)
{
	struct logtext t = all;

	if (of_send(e, t))
		return 1;
	memset(e, 0, sizeof *e);
	e->program = cut(&t, ':');
	if (!e->program.n || e->program.n > 32 ||
	    memchr(e->program.s, ' ', e->program.n))
		return 0;
	if (logevent_is(&e->program, "simscan"))
		return simscan(e, t);
	if (!starts(&t, " "))
		return 0;
	if (logevent_is(&e->program, "listen") ||
	    logevent_is(&e->program, "tcpserver"))
		return listening(e, t);
	if (logevent_is(&e->program, "rblsmtpd"))
		return rblsmtpd(e, t);
	return ours(e, t) && of_ours(e);
}

int
logevent_parse(char const *s, size_t n, struct logevent *out)
{
	struct logtext t;

	t.s = s;
	t.n = n;
	memset(out, 0, sizeof *out);
	if (parse(out, t))
		return 1;
	out->kind = LOGEVENT_OTHER;
	return 0;
}

/* word=list[:detail][/123ms]: see rblcheck(8) */
int
logevent_answer(struct logtext *text, struct logevent_answer *out)
{
	static char const *const said[LOGEVENT_SAID] = {
		"listed", "not", "failed", "error", "skipped"
	};
	struct logtext word, name, value;
	unsigned int i;

	while (text->n) {
		word = cut(text, ' ');
		name = cut(&word, '=');
		for (i = 0; i < LOGEVENT_SAID; i++)
			if (logevent_is(&name, said[i]))
				break;
		value = cut(&word, '/');
		out->list = cut(&value, ':');
		if (i == LOGEVENT_SAID || !out->list.n)
			continue;
		out->said = (enum logevent_said)i;
		out->has_ms = cut_number(&word, 'm', &out->ms);
		return 1;
	}
	return 0;
}

static int
digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ?
	    c - 'a' + 10 : -1;
}

size_t
logevent_plain(char *out, size_t max, struct logtext const *t)
{
	size_t i, n = 0;

	for (i = 0; i < t->n && n < max; i++) {
		char const *s = t->s + i;

		if (*s == '\\' && t->n - i >= 4 && s[1] == 'x' &&
		    digit(s[2]) != -1 && digit(s[3]) != -1) {
			out[n++] = (char)(digit(s[2]) << 4 | digit(s[3]));
			i += 3;
		} else {
			out[n++] = *s;
		}
	}
	return n;
}
