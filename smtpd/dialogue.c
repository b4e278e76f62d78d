#include "smtpd/dialogue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/limits.h"
#include "lib/log.h"
#include "smtpd/argument.h"
#include "smtpd/auth.h"
#include "smtpd/receive.h"
#include "smtpd/starttls.h"
#include "smtpd/transaction.h"

/* Texts are qmail's where it has one: people and programs look for them.
 * Behind the code stands the enhanced one (RFC 2034, RFC 3463). */
#define OK "250 2.0.0 ok"
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
static struct reply const mail_first = {
	"503 5.5.1 MAIL first (#5.5.1)", "sequence" };
static struct reply const uncounted = {
	"451 4.3.0 unable to look up what you have sent, try again later "
	"(#4.3.0)", "user_limit" };
static struct reply const rcpt_first = {
	"503 5.5.1 RCPT first (#5.5.1)", "sequence" };

int
dialogue_say(struct dialogue *d, char const *text)
{
	if (io_puts(d->io, text) == -1)
		return -1;
	return io_put(d->io, "\r\n", 2);
}

int
dialogue_end(struct dialogue *d, char const *text, char const *reason)
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
	if (d->helo_len)
		log_value("helo", d->helo, d->helo_len);
	if (d->tls.protocol)
		log_string("tls", d->tls.protocol);
	if (d->user.len)
		log_value("user", d->user.s, d->user.len);
	if (d->mail || d->sender.len)
		log_path("from", d->sender.s, d->sender.len);
	if (d->recipient.len)
		log_path("to", d->recipient.s, d->recipient.len);
}

int
dialogue_decline(struct dialogue *d, struct reply const *r)
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
	if (dialogue_decline(d, r) == -1)
		return -1;
	if (++d->errors > DIALOGUE_PATIENCE)
		d->back->pause(d->back, d->errors - DIALOGUE_PATIENCE);
	if (d->errors >= DIALOGUE_ERRORS)
		return dialogue_end(d, ERRORS, "errors");
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

void
dialogue_forget_user(struct dialogue *d)
{
	d->user.len = 0;
	d->relay = d->client->relay;
}

int
dialogue_no_memory(struct dialogue *d)
{
	errno = ENOMEM;
	return dialogue_end(d, MEMORY, "memory");
}

int
dialogue_no_controls(struct dialogue *d)
{
	return dialogue_end(d, CONTROLS, "controls");
}

/* After a command that leads to no mail. */
static int
idle(struct dialogue *d)
{
	return ++d->idle < DIALOGUE_IDLE ? 1 : dialogue_end(d, IDLE, "idle");
}

static int
idle_say(struct dialogue *d, char const *text)
{
	return dialogue_say(d, text) == -1 ? -1 : idle(d);
}

/* HELO and EHLO begin anew.  1; 0: refused, and *r is what to return. */
static int
hello(struct dialogue *d, struct argument const *a, enum hello kind, int *r)
{
	/* RFC 5321 4.1.4: refused, it changes nothing */
	if (!a->n || a->n > sizeof d->helo) {
		*r = dialogue_refuse(d, &no_name);
		return 0;
	}
	dialogue_reset(d);
	memcpy(d->helo, a->s, a->n);
	d->helo_len = a->n;
	d->back->helo = d->helo;
	d->back->helo_len = a->n;
	d->hello = kind;
	return 1;
}

/* "250" and our name, which is the first word of the greeting. */
static int
say_name(struct dialogue *d, char const *code)
{
	if (io_puts(d->io, code) == -1 ||
	    io_put(d->io, d->policy->greeting, d->policy->name) == -1)
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

/* "250-" and a line of what we know beyond RFC 5321. */
static int
say_extension(struct dialogue *d, char const *text)
{
	return io_puts(d->io, "250-") == -1 ? -1 : dialogue_say(d, text);
}

static int
do_ehlo(struct dialogue *d, struct argument const *a)
{
	char const *auth;
	char size[64];
	int r, offer;

	if (!hello(d, a, HELLO_ESMTP, &r))
		return r;
	offer = auth_offer(d, &auth);
	if (offer == -1 || policy_size(d->policy) == -1)
		return dialogue_no_controls(d);
	snprintf(size, sizeof size, "SIZE %lu", d->policy->databytes);
	if (say_name(d, "250-") == -1 ||
	    say_extension(d, "PIPELINING") == -1 ||
	    say_extension(d, "8BITMIME") == -1 ||
	    say_extension(d, size) == -1 ||
	    (starttls_offered(d) && say_extension(d, "STARTTLS") == -1) ||
	    (offer && say_extension(d, auth) == -1) ||
	    dialogue_say(d, "250 ENHANCEDSTATUSCODES") == -1)
		return -1;
	return idle(d);
}

/* May this user send one more message?  1; 0: *r is what to return. */
static int
is_allowed(struct dialogue *d, int *r)
{
	struct reply why = { d->back->text, "user_limit" };
	int allowed = 1;

	if (d->user.len && d->back->allow)
		allowed = d->back->allow(d->back, &d->user, d->recipients);
	if (allowed == 1)
		return 1;
	*r = dialogue_refuse(d, allowed == 0 ? &why : &uncounted);
	dialogue_reset(d);
	return 0;
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
	if (!is_allowed(d, &r))
		return r;
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
	{ "MAIL", transaction_mail },
	{ "RCPT", transaction_rcpt },
	{ "DATA", do_data },
	{ "RSET", do_rset },
	{ "NOOP", do_noop },
	{ "VRFY", do_vrfy },
	{ "HELP", do_help },
	{ "AUTH", auth_command },
	{ "STARTTLS", starttls_command },
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
	if (!argument_word(&a, &verb))
		return dialogue_refuse(d, &unknown);
	while (a.n && *a.s == ' ') {
		a.s++;
		a.n--;
	}
	for (i = 0; i < sizeof commands / sizeof *commands; i++)
		if (argument_is(&verb, commands[i].verb))
			return commands[i].run(d, &a);
	return dialogue_refuse(d, &unknown);
}

static int
greet(struct dialogue *d)
{
	struct policy *p = d->policy;

	if (!p->greeted && policy_start(p) == -1)
		return dialogue_no_controls(d);
	if (io_puts(d->io, "220 ") == -1 ||
	    io_put(d->io, p->greeting, p->greeted) == -1)
		return -1;
	return dialogue_say(d, " ESMTP");
}

int
dialogue_lost(struct dialogue *d, int r)
{
	int e = errno;

	if (r == -1 && e == ETIMEDOUT)
		dialogue_end(d, TIMEOUT, "timeout");
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
	d->tls = c->tls;
	d->relay = c->relay;
}

void
dialogue_free(struct dialogue *d)
{
	stralloc_free(&d->user);
	stralloc_free(&d->sender);
	stralloc_free(&d->envelope);
	stralloc_free(&d->names_text);
	stralloc_free(&d->recipient);
}
