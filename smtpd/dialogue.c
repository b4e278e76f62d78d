#include "smtpd/dialogue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/ipaddr.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/recipient.h"
#include "lib/smtpaddress.h"
#include "smtpd/receive.h"

/* Texts are qmail's where it has one: people and programs look for them.
 * Behind the code stands the enhanced one (RFC 2034, RFC 3463). */
#define OK "250 2.0.0 ok"
#define OK_MAIL "250 2.1.0 ok"
#define OK_RCPT "250 2.1.5 ok"
#define FLUSHED "250 2.0.0 flushed"
#define HELP "214 2.0.0 this is postern; RFC 5321 says what it understands"
#define VRFY "252 2.0.0 send some mail, i'll try my best"
#define TIMEOUT "421 4.4.2 timeout (#4.4.2)"
#define MEMORY "421 4.3.0 out of memory (#4.3.0)"
#define CONTROLS "421 4.3.0 unable to read controls (#4.3.0)"
#define ERRORS "421 4.7.0 too many errors (#4.7.0)"
#define IDLE "421 4.7.0 too many commands without mail (#4.7.0)"

static struct reply const unknown = {
	"502 5.5.1 unimplemented (#5.5.1)", "command" };
static struct reply const control_byte = {
	"500 5.5.2 control character in command (#5.5.2)", "syntax" };
static struct reply const too_long = {
	"500 5.5.2 command line too long (#5.5.2)", "syntax" };
static struct reply const no_name = {
	"501 5.5.4 give your host name, of at most 255 characters (#5.5.4)",
	"helo" };
static struct reply const no_argument = {
	"501 5.5.4 this command has no argument (#5.5.4)", "syntax" };
static struct reply const syntax = {
	"555 5.5.4 syntax error (#5.5.4)", "syntax" };
static struct reply const bad_address = {
	"555 5.5.4 syntax error in mail address (#5.5.4)", "address" };
static struct reply const bad_parameter = {
	"555 5.5.4 syntax error: parameter not recognized (#5.5.4)",
	"parameter" };
static struct reply const bad_value = {
	"501 5.5.4 syntax error in value of parameter (#5.5.4)", "parameter" };
static struct reply const too_big = {
	"552 5.3.4 sorry, that message size exceeds my databytes limit "
	"(#5.3.4)", "size" };
static struct reply const nested = {
	"503 5.5.1 one MAIL at a time (#5.5.1)", "sequence" };
static struct reply const mail_first = {
	"503 5.5.1 MAIL first (#5.5.1)", "sequence" };
static struct reply const rcpt_first = {
	"503 5.5.1 RCPT first (#5.5.1)", "sequence" };
static struct reply const too_many = {
	"452 4.5.3 too many recipients (#4.5.3)", "recipients" };
static struct reply const bad_sender = {
	"553 5.7.1 sorry, your envelope sender is in my badmailfrom list "
	"(#5.7.1)", "badmailfrom" };
static struct reply const bad_helo = {
	"553 5.7.1 sorry, your host name is in my badhelo list (#5.7.1)",
	"badhelo" };
static struct reply const bad_recipient = {
	"553 5.7.1 sorry, that recipient is in my badrcptto list (#5.7.1)",
	"badrcptto" };
static struct reply const no_relay = {
	"553 5.7.1 we don't relay (#5.7.1)", "relay" };
static struct reply const not_ours = {
	"553 5.7.1 sorry, that domain isn't in my list of allowed rcpthosts "
	"(#5.7.1)", "rcpthosts" };
static struct reply const no_mailbox = {
	"550 5.1.1 sorry, no mailbox here by that name (#5.1.1)",
	"no_mailbox" };
static struct reply const disabled = {
	"550 5.2.1 sorry, that mailbox is disabled (#5.2.1)", "disabled" };
static struct reply const full = {
	"452 4.2.2 sorry, that mailbox is full (#4.2.2)", "full" };
static struct reply const over = {
	"552 5.2.2 sorry, that mailbox is full (#5.2.2)", "full" };
static struct reply const unchecked = {
	"451 4.3.0 unable to verify recipient, try again later (#4.3.0)",
	"recipient_check" };

int
dialogue_say(struct dialogue *d, char const *text)
{
	if (io_puts(d->io, text) == -1)
		return -1;
	return io_put(d->io, "\r\n", 2);
}

/* The last words of a session that we end. */
static int
farewell(struct dialogue *d, char const *text, char const *reason)
{
	dialogue_log(d, "info", "closed");
	log_string("reason", reason);
	log_end();
	return dialogue_say(d, text) == -1 ? -1 : 0;
}

void
dialogue_log(struct dialogue *d, char const *level, char const *event)
{
	struct client const *c = d->client;

	log_start(level, event);
	log_string("ip", c->ip ? c->ip : "unknown");
	if (d->helo.len)
		log_value("helo", d->helo.s, d->helo.len);
	if (d->mail || d->sender.len)
		log_path("from", d->sender.s, d->sender.len);
	if (d->recipient.len)
		log_path("to", d->recipient.s, d->recipient.len);
}

/* Counting is left to the caller. */
static int
decline(struct dialogue *d, struct reply const *r)
{
	dialogue_log(d, "info", "refused");
	log_value("code", r->text, 3);
	log_string("reason", r->reason);
	log_end();
	return dialogue_say(d, r->text);
}

int
dialogue_refuse(struct dialogue *d, struct reply const *r)
{
	if (decline(d, r) == -1)
		return -1;
	if (++d->errors > DIALOGUE_PATIENCE)
		d->back->pause(d->back, d->errors - DIALOGUE_PATIENCE);
	if (d->errors >= DIALOGUE_ERRORS)
		return farewell(d, ERRORS, "errors");
	return 1;
}

int
dialogue_each(struct dialogue *d, size_t *pos)
{
	stralloc const *e = &d->envelope;

	/* behind "F" sender NUL */
	if (!*pos)
		*pos = strlen(e->s) + 1;
	if (*pos >= e->len)
		return 0;
	if (!stralloc_copys(&d->recipient, e->s + *pos + 1))
		return -1;
	*pos += d->recipient.len + 2;
	return 1;
}

void
dialogue_reset(struct dialogue *d)
{
	d->mail = 0;
	d->sender.len = d->envelope.len = d->recipient.len = 0;
	d->recipients = d->surplus = 0;
	d->names = NAMES_UNASKED;
}

static int
no_memory(struct dialogue *d)
{
	errno = ENOMEM;
	return farewell(d, MEMORY, "memory");
}

static int
no_controls(struct dialogue *d)
{
	return farewell(d, CONTROLS, "controls");
}

/* After a command that leads to no mail. */
static int
idle(struct dialogue *d)
{
	return ++d->idle < DIALOGUE_IDLE ? 1 : farewell(d, IDLE, "idle");
}

static int
idle_say(struct dialogue *d, char const *text)
{
	return dialogue_say(d, text) == -1 ? -1 : idle(d);
}

/* What follows the verb of a command. */
struct argument {
	char const *s;
	size_t n;
};

/* HELO and EHLO begin anew.  1; 0: refused, and *r is what to return. */
static int
hello(struct dialogue *d, struct argument const *a, enum hello kind, int *r)
{
	dialogue_reset(d);
	if (!a->n || a->n > 255)
		*r = dialogue_refuse(d, &no_name);
	else if (!stralloc_copyb(&d->helo, a->s, a->n))
		*r = no_memory(d);
	else {
		d->hello = kind;
		return 1;
	}
	return 0;
}

/* "250" and our name, which is the first word of the greeting. */
static int
say_name(struct dialogue *d, char const *code)
{
	if (io_puts(d->io, code) == -1 ||
	    io_put(d->io, d->policy->greeting.s, d->policy->name) == -1)
		return -1;
	return io_put(d->io, "\r\n", 2);
}

static int
do_helo(struct dialogue *d, struct argument const *a)
{
	int r;

	if (!hello(d, a, HELLO_SMTP, &r))
		return r;
	if (say_name(d, "250 ") == -1)
		return -1;
	return idle(d);
}

static int
do_ehlo(struct dialogue *d, struct argument const *a)
{
	char size[64];
	int r;

	if (!hello(d, a, HELLO_ESMTP, &r))
		return r;
	if (policy_size(d->policy) == -1)
		return no_controls(d);
	snprintf(size, sizeof size, "250-SIZE %lu", d->policy->databytes);
	if (say_name(d, "250-") == -1 ||
	    dialogue_say(d, "250-PIPELINING") == -1 ||
	    dialogue_say(d, "250-8BITMIME") == -1 ||
	    dialogue_say(d, size) == -1 ||
	    dialogue_say(d, "250 ENHANCEDSTATUSCODES") == -1)
		return -1;
	return idle(d);
}

/* "FROM:" or "TO:" in front of an address. */
static int
has_prefix(struct argument const *a, char const *s)
{
	size_t n = strlen(s);

	return a->n >= n && strncasecmp(a->s, s, n) == 0;
}

/* Cuts the next word off *a.  0: there is none. */
static int
next_word(struct argument *a, struct argument *word)
{
	while (a->n && *a->s == ' ') {
		a->s++;
		a->n--;
	}
	word->s = a->s;
	while (a->n && *a->s != ' ') {
		a->s++;
		a->n--;
	}
	word->n = a->s - word->s;
	return word->n != 0;
}

static int
is_word(struct argument const *a, char const *s)
{
	return a->n == strlen(s) && strncasecmp(a->s, s, a->n) == 0;
}

/* RFC 1870 6.1: up to 20 digits.  0: not a number. */
static int
parse_size(char const *s, size_t n, uint64_t *out)
{
	uint64_t u = 0;
	size_t i;

	if (!n || n > 20)
		return 0;
	for (i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		u = u > UINT64_MAX / 10 - 1 ? UINT64_MAX :
		    u * 10 + (s[i] - '0');
	}
	*out = u;
	return 1;
}

/* The parameters of MAIL.  0: all are well; else the refusal. */
static struct reply const *
parameters(struct argument *a, uint64_t *size)
{
	struct argument w;

	while (next_word(a, &w)) {
		if (w.n >= 5 && strncasecmp(w.s, "SIZE=", 5) == 0) {
			if (!parse_size(w.s + 5, w.n - 5, size))
				return &bad_value;
		} else if (w.n >= 5 && strncasecmp(w.s, "BODY=", 5) == 0) {
			if (!is_word(&w, "BODY=7BIT") &&
			    !is_word(&w, "BODY=8BITMIME"))
				return &bad_value;
		} else
			return &bad_parameter;
	}
	return 0;
}

/* Parses the address behind a prefix; what follows it stays in *a.  0: it
 * has been refused, and *r is what to return. */
static int
address(struct dialogue *d, struct argument *a, char const *prefix,
    stralloc *out, int *r)
{
	size_t n = strlen(prefix), rest;

	*r = 1;
	if (!has_prefix(a, prefix)) {
		*r = dialogue_refuse(d, &syntax);
		return 0;
	}
	a->s += n;
	a->n -= n;
	*r = smtpaddress_parse(a->s, a->n, out, &rest);
	if (*r == 1) {
		a->s += rest;
		a->n -= rest;
		return 1;
	}
	/* for the log */
	if (*r == -1 || !stralloc_copyb(out, a->s, a->n))
		*r = no_memory(d);
	else
		*r = dialogue_refuse(d, &bad_address);
	out->len = 0;
	return 0;
}

/* Forgets a sender that was only tried, so that no log line shows it. */
static int
refuse_mail(struct dialogue *d, struct reply const *why)
{
	int r = dialogue_refuse(d, why);

	dialogue_reset(d);
	return r;
}

static int
do_mail(struct dialogue *d, struct argument const *arg)
{
	struct argument a = *arg;
	struct reply const *bad;
	uint64_t size = 0;
	int r;

	if (d->mail)
		return dialogue_refuse(d, &nested);
	if (policy_size(d->policy) == -1 || policy_lists(d->policy) == -1)
		return no_controls(d);
	if (!address(d, &a, "FROM:", &d->sender, &r))
		return r;
	bad = parameters(&a, &size);
	if (bad)
		return refuse_mail(d, bad);
	if (d->policy->databytes && size > d->policy->databytes)
		return refuse_mail(d, &too_big);
	d->envelope.len = 0;
	if (!stralloc_append(&d->envelope, 'F') ||
	    !stralloc_catb(&d->envelope, d->sender.s, d->sender.len) ||
	    !stralloc_0(&d->envelope))
		return no_memory(d);
	d->mail = 1;
	return dialogue_say(d, OK_MAIL);
}

/* Is "[...]" an address of this host? */
static int
is_own_ip(struct dialogue const *d, char const *s, size_t n)
{
	static struct ipaddr const any;
	struct ipaddr a, own;
	char const *local = d->client->local_ip;

	if (n < 2 || *s != '[' || s[n-1] != ']')
		return 0;
	s++;
	n -= 2;
	if (n > 5 && strncasecmp(s, "IPv6:", 5) == 0) {
		s += 5;
		n -= 5;
	}
	if (!ipaddr_scan(s, n, &a))
		return 0;
	if (memcmp(&a, &any, sizeof a) == 0 ||
	    (ipaddr_is4(&a) && memcmp(a.b + 12, any.b, 4) == 0))
		return 1;
	return local && ipaddr_scan(local, strlen(local), &own) &&
	    memcmp(&a, &own, sizeof a) == 0;
}

/* Completes the recipient: our IP address becomes localiphost, RELAYCLIENT's
 * value goes behind it.  1, or 0: *r is what to return. */
static int
complete(struct dialogue *d, int *r)
{
	stralloc *a = &d->recipient;
	size_t at = smtpaddress_at(a->s, a->len) + 1;
	char const *relay = d->client->relay;
	int known;

	if (at <= a->len && is_own_ip(d, a->s + at, a->len - at)) {
		known = policy_localiphost(d->policy);
		if (known == -1) {
			*r = no_controls(d);
			return 0;
		}
		if (known == 1) {
			stralloc const *host = &d->policy->localiphost;

			a->len = at;
			if (!stralloc_catb(a, host->s, host->len))
				goto memory;
		}
	}
	if (!relay || stralloc_cats(a, relay))
		return 1;
memory:
	*r = no_memory(d);
	return 0;
}

/* Percent signs, bangs and further at signs ask some other server to relay:
 * not through us. */
static int
is_detour(char const *s, size_t n)
{
	return memchr(s, '%', n) || memchr(s, '!', n) || memchr(s, '@', n);
}

/* As $RBLSMTPD says: temporary, or for good behind a "-". */
static int
refuse_listed(struct dialogue *d, char const *s, char const *reason)
{
	char text[256];
	struct reply r = { text, reason };
	size_t i;

	snprintf(text, sizeof text, "%s %.200s",
	    *s == '-' ? "553 5.7.1" : "451 4.7.1", s + (*s == '-'));
	for (i = 0; text[i]; i++)
		if (text[i] < 32 || text[i] > 126)
			text[i] = '?';
	return dialogue_refuse(d, &r);
}

/* Do lists have the client's name or the sender's domain?  They are asked once
 * for each transaction, when it has a recipient that we might take; trouble
 * with that refuses nobody.  1, 0, -1 out of memory. */
static int
names_listed(struct dialogue *d, struct question const *q)
{
	struct backend *b = d->back;

	if (d->names == NAMES_UNASKED) {
		*b->text = 0;
		d->names = NAMES_GOOD;
		if (b->names && !d->client->relay && b->names(b, q) == 1) {
			if (!stralloc_copys(&d->names_text, b->text) ||
			    !stralloc_0(&d->names_text))
				return -1;
			d->names = NAMES_LISTED;
		}
	}
	return d->names == NAMES_LISTED;
}

/* Is this a domain that we take mail for, from this client?  1, 0, -1. */
static int
is_accepted_domain(struct dialogue *d, struct question const *q)
{
	stralloc const *a = q->recipient;
	size_t at = smtpaddress_at(a->s, a->len);
	int r;

	if (d->client->relay || at == a->len)
		return 1;
	r = policy_has_domain(d->policy, a->s + at + 1, a->len - at - 1);
	if (r || d->policy->rcpthosts.len)
		return r;
	/* no rcpthosts: what the tables know, and nothing else */
	r = d->back->recipient(d->back, q);
	return r == RECIPIENT_TROUBLE ? -1 : r != RECIPIENT_FOREIGN;
}

/* The reasons that lie in lists.  0: none. */
static struct reply const *
listed(struct dialogue const *d)
{
	struct policy const *p = d->policy;
	stralloc const *a = &d->recipient;
	size_t at = smtpaddress_at(a->s, a->len);

	if (policy_listed(&p->badmailfrom, d->sender.s, d->sender.len))
		return &bad_sender;
	if (policy_listed(&p->badhelo, d->helo.s, d->helo.len))
		return &bad_helo;
	if (policy_listed(&p->badrcptto, a->s, a->len))
		return &bad_recipient;
	if (!d->client->relay && at < a->len && is_detour(a->s, at))
		return &no_relay;
	return 0;
}

/* A program's own words. */
static int
refuse_text(struct dialogue *d, struct reply const *r)
{
	char text[BACKEND_TEXT + 16];
	struct reply own = { text, r->reason };

	if (!*d->back->text)
		return dialogue_refuse(d, r);
	snprintf(text, sizeof text, "%.9s %s", r->text, d->back->text);
	return dialogue_refuse(d, &own);
}

static int
accept_recipient(struct dialogue *d)
{
	stralloc *e = &d->envelope;

	if (!stralloc_append(e, 'T') ||
	    !stralloc_catb(e, d->recipient.s, d->recipient.len) ||
	    !stralloc_0(e))
		return no_memory(d);
	d->recipients++;
	return dialogue_say(d, OK_RCPT);
}

/* The last question: is there such a mailbox? */
static int
judge(struct dialogue *d, struct question const *q)
{
	struct backend *b = d->back;
	stralloc const *a = q->recipient;

	*b->text = 0;
	switch (b->ask ? b->ask(b, q) : b->recipient(b, q)) {
	case RECIPIENT_YES:
		return accept_recipient(d);
	case RECIPIENT_NO:
		return refuse_text(d, &no_mailbox);
	case RECIPIENT_DISABLED:
		return dialogue_refuse(d, &disabled);
	case RECIPIENT_FULL:
		return dialogue_refuse(d, &full);
	case RECIPIENT_OVER:
		return dialogue_refuse(d, &over);
	case RECIPIENT_FOREIGN:
		/* an address without a domain has not met rcpthosts */
		if (!d->client->relay && !memchr(a->s, '@', a->len))
			return dialogue_refuse(d, &not_ours);
		return accept_recipient(d);
	default:
		return refuse_text(d, &unchecked);
	}
}

static int
do_rcpt(struct dialogue *d, struct argument const *arg)
{
	struct argument a = *arg, w;
	struct question q = { &d->sender, &d->recipient, &d->helo };
	struct reply const *bad;
	int r;

	if (!d->mail)
		return dialogue_refuse(d, &mail_first);
	if (!address(d, &a, "TO:", &d->recipient, &r))
		return r;
	if (!d->recipient.len)
		return dialogue_refuse(d, &bad_address);
	if (next_word(&a, &w))
		return dialogue_refuse(d, &bad_parameter);
	if (!complete(d, &r))
		return r;
	if (d->recipients >= d->policy->maxrcpt) {
		/* RFC 5321 4.5.3.1.10: no fault of the client, unless it
		 * goes on and on */
		return ++d->surplus > LIMIT_RECIPIENTS ?
		    dialogue_refuse(d, &too_many) : decline(d, &too_many);
	}
	bad = listed(d);
	if (bad)
		return dialogue_refuse(d, bad);
	if (d->client->listed && *d->client->listed && !d->client->relay)
		return refuse_listed(d, d->client->listed, "listed");
	r = is_accepted_domain(d, &q);
	if (r != 1)
		return dialogue_refuse(d, r == 0 ? &not_ours : &unchecked);
	r = names_listed(d, &q);
	if (r == -1)
		return no_memory(d);
	if (r == 1)
		return refuse_listed(d, d->names_text.s, "name_listed");
	return judge(d, &q);
}

static int
do_data(struct dialogue *d, struct argument const *a)
{
	int r;

	if (!d->mail)
		return dialogue_refuse(d, &mail_first);
	if (!d->recipients)
		return dialogue_refuse(d, &rcpt_first);
	if (a->n)
		return dialogue_refuse(d, &no_argument);
	r = receive_message(d);
	dialogue_reset(d);
	return r;
}

static int
do_rset(struct dialogue *d, struct argument const *a)
{
	(void)a;
	dialogue_reset(d);
	return idle_say(d, FLUSHED);
}

static int
do_noop(struct dialogue *d, struct argument const *a)
{
	(void)a;
	return idle_say(d, OK);
}

static int
do_vrfy(struct dialogue *d, struct argument const *a)
{
	(void)a;
	return idle_say(d, VRFY);
}

static int
do_help(struct dialogue *d, struct argument const *a)
{
	(void)a;
	return idle_say(d, HELP);
}

static int
do_quit(struct dialogue *d, struct argument const *a)
{
	(void)a;
	d->left = 1;
	return say_name(d, "221 2.0.0 ") == -1 ? -1 : 0;
}

static struct command {
	char const *verb;
	int (*run)(struct dialogue *, struct argument const *);
} const commands[] = {
	{ "HELO", do_helo },
	{ "EHLO", do_ehlo },
	{ "MAIL", do_mail },
	{ "RCPT", do_rcpt },
	{ "DATA", do_data },
	{ "RSET", do_rset },
	{ "NOOP", do_noop },
	{ "VRFY", do_vrfy },
	{ "HELP", do_help },
	{ "QUIT", do_quit }
};

static int
has_control_byte(char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((unsigned char)s[i] < 32 || s[i] == 127)
			return 1;
	return 0;
}

/* One command line, its CR still there. */
static int
obey(struct dialogue *d, char const *s, size_t n)
{
	struct argument a = { s, n }, verb;
	unsigned int i;

	d->recipient.len = 0;
	if (a.n && a.s[a.n-1] == '\r')
		a.n--;
	if (has_control_byte(a.s, a.n))
		return dialogue_refuse(d, &control_byte);
	while (a.n && a.s[a.n-1] == ' ')
		a.n--;
	if (!next_word(&a, &verb))
		return dialogue_refuse(d, &unknown);
	while (a.n && *a.s == ' ') {
		a.s++;
		a.n--;
	}
	for (i = 0; i < sizeof commands / sizeof *commands; i++)
		if (is_word(&verb, commands[i].verb))
			return commands[i].run(d, &a);
	return dialogue_refuse(d, &unknown);
}

static int
greet(struct dialogue *d)
{
	stralloc const *g = &d->policy->greeting;

	if (d->policy->greeting.len == 0 && policy_start(d->policy) == -1)
		return no_controls(d);
	if (io_puts(d->io, "220 ") == -1 || io_put(d->io, g->s, g->len) == -1)
		return -1;
	return dialogue_say(d, " ESMTP");
}

int
dialogue_lost(struct dialogue *d, int r)
{
	int e = errno;

	if (r == -1 && e == ETIMEDOUT)
		farewell(d, TIMEOUT, "timeout");
	else if (d->mail) {
		dialogue_log(d, "info", "lost");
		log_string("reason", r == -1 ? strerror(e) : "end of input");
		log_end();
	}
	errno = e;
	return r == -1 ? -1 : 1;
}

static int
commands_loop(struct dialogue *d)
{
	char const *s;
	size_t n;
	int r;

	for (;;) {
		io_deadline(d->io, d->policy->timeout);
		r = io_line(d->io, &s, &n, LIMIT_COMMAND);
		if (r == 1)
			r = obey(d, s, n);
		else if (r == -1 && errno == EMSGSIZE)
			r = dialogue_refuse(d, &too_long);
		else
			return dialogue_lost(d, r);
		if (r != 1)
			return d->left ? 1 : r;
	}
}

int
dialogue_run(struct dialogue *d)
{
	int r = greet(d), e;

	if (r == 1)
		r = commands_loop(d);
	e = errno;
	/* a peer that does not read must not hold us for long */
	io_deadline(d->io, 10);
	if (io_flush(d->io) == -1 && r != -1)
		return d->left ? 1 : -1;
	errno = e;
	return r;
}

void
dialogue_init(struct dialogue *d, io *i, struct backend *b, struct policy *p,
    struct client const *c)
{
	static struct dialogue const zero;

	*d = zero;
	d->io = i;
	d->back = b;
	d->policy = p;
	d->client = c;
}

void
dialogue_free(struct dialogue *d)
{
	stralloc_free(&d->helo);
	stralloc_free(&d->sender);
	stralloc_free(&d->envelope);
	stralloc_free(&d->names_text);
	stralloc_free(&d->recipient);
}
