#include "smtpd/transaction.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/ipaddr.h"
#include "lib/limits.h"
#include "lib/recipient.h"
#include "lib/sender.h"
#include "lib/smtpaddress.h"
#include "smtpd/auth.h"

#define OK_MAIL "250 2.1.0 ok"
#define OK_RCPT "250 2.1.5 ok"

/* Sender and recipient of most messages: room for them is made at once. */
enum { USUAL_ENVELOPE = 128 };

static struct reply const bad_address = {
	"555 5.5.4 syntax error in mail address (#5.5.4)", "address" };
static struct reply const bad_parameter = {
	"555 5.5.4 syntax error: parameter not recognized (#5.5.4)",
	"parameter" };
static struct reply const bad_value = {
	"501 5.5.4 syntax error in value of parameter (#5.5.4)", "parameter" };
static struct reply const not_yours = {
	"553 5.7.1 sorry, that sender is not yours to use (#5.7.1)",
	"not_owner" };
static struct reply const unchecked_sender = {
	"451 4.3.0 unable to look the sender up, try again later (#4.3.0)",
	"sender_check" };
static struct reply const too_big = {
	"552 5.3.4 sorry, that message size exceeds my databytes limit "
	"(#5.3.4)", "size" };
static struct reply const nested = {
	"503 5.5.1 one MAIL at a time (#5.5.1)", "sequence" };
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
static struct reply const syntax = {
	"555 5.5.4 syntax error (#5.5.4)", "syntax" };
static struct reply const mail_first = {
	"503 5.5.1 MAIL first (#5.5.1)", "sequence" };

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

/* RFC 4954 5, RFC 3461 4: printable, "+" and "=" as two hexadecimal digits
 * behind a "+".  We tell nobody whom a message is from, and need it for
 * nothing. */
static int
is_xtext(char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i] < 33 || s[i] > 126 || s[i] == '=')
			return 0;
		if (s[i] != '+')
			continue;
		if (n - i < 3 || !memchr("0123456789ABCDEF", s[i+1], 16) ||
		    !memchr("0123456789ABCDEF", s[i+2], 16))
			return 0;
		i += 2;
	}
	return n != 0;
}

/* The parameters of MAIL.  0: all are well; else the refusal. */
static struct reply const *
parameters(struct argument *a, int auth, uint64_t *size)
{
	struct argument w;

	while (argument_word(a, &w)) {
		if (w.n >= 5 && strncasecmp(w.s, "SIZE=", 5) == 0) {
			if (!parse_size(w.s + 5, w.n - 5, size))
				return &bad_value;
		} else if (w.n >= 5 && strncasecmp(w.s, "BODY=", 5) == 0) {
			if (!argument_is(&w, "BODY=7BIT") &&
			    !argument_is(&w, "BODY=8BITMIME"))
				return &bad_value;
		} else if (auth && w.n >= 5 &&
		    strncasecmp(w.s, "AUTH=", 5) == 0) {
			if (!is_xtext(w.s + 5, w.n - 5))
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
	if (!argument_begins(a, prefix)) {
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
		*r = dialogue_no_memory(d);
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

/* May whoever is there send at all?  1; 0: *r is what to return. */
static int
may_send(struct dialogue *d, int *r)
{
	struct reply const *why = 0;
	int missing = auth_missing(d, &why);

	if (missing == -1 || policy_size(d->policy) == -1 ||
	    policy_lists(d->policy) == -1 ||
	    (d->user.len && policy_users(d->policy) == -1))
		*r = dialogue_no_controls(d);
	else if (missing)
		*r = dialogue_refuse(d, why);
	else
		return 1;
	return 0;
}

/* What is wrong with this sender and these parameters.  0: nothing. */
static struct reply const *
sender_fault(struct dialogue *d, struct argument *a)
{
	struct policy const *p = d->policy;
	struct reply const *bad;
	uint64_t size = 0;
	int owned = 1;

	bad = parameters(a, d->back->login != 0, &size);
	if (bad)
		return bad;
	if (p->databytes && size > p->databytes)
		return &too_big;
	if (d->user.len)
		owned = sender_owned(&p->usersenders, &d->user, &d->sender);
	return owned == 1 ? 0 : owned == 0 ? &not_yours : &unchecked_sender;
}

int
transaction_mail(struct dialogue *d, struct argument const *arg)
{
	struct argument a = *arg;
	struct reply const *bad;
	int r;

	if (d->mail)
		return dialogue_refuse(d, &nested);
	if (!may_send(d, &r) || !address(d, &a, "FROM:", &d->sender, &r))
		return r;
	bad = sender_fault(d, &a);
	if (bad)
		return refuse_mail(d, bad);
	d->envelope.len = 0;
	if (!stralloc_ready(&d->envelope, USUAL_ENVELOPE) ||
	    !stralloc_append(&d->envelope, 'F') ||
	    !stralloc_catb(&d->envelope, d->sender.s, d->sender.len) ||
	    !stralloc_0(&d->envelope))
		return dialogue_no_memory(d);
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
	char const *relay = d->relay;
	int known;

	if (at <= a->len && is_own_ip(d, a->s + at, a->len - at)) {
		known = policy_localiphost(d->policy);
		if (known == -1) {
			*r = dialogue_no_controls(d);
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
	*r = dialogue_no_memory(d);
	return 0;
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
		if (b->names && !d->relay && b->names(b, q) == 1) {
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

	if (d->relay || at == a->len)
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
	if (policy_listed(&p->badhelo, d->helo, d->helo_len))
		return &bad_helo;
	if (policy_listed(&p->badrcptto, a->s, a->len))
		return &bad_recipient;
	if (!d->relay && smtpaddress_detours(a->s, at))
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
		return dialogue_no_memory(d);
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
		if (!d->relay && !memchr(a->s, '@', a->len))
			return dialogue_refuse(d, &not_ours);
		return accept_recipient(d);
	default:
		return refuse_text(d, &unchecked);
	}
}

int
transaction_rcpt(struct dialogue *d, struct argument const *arg)
{
	struct argument a = *arg, w;
	stralloc const helo = { .s = d->helo, .len = d->helo_len };
	struct question q = { &d->sender, &d->recipient, &helo };
	struct reply const *bad;
	int r;

	if (!d->mail)
		return dialogue_refuse(d, &mail_first);
	if (!address(d, &a, "TO:", &d->recipient, &r))
		return r;
	if (!d->recipient.len)
		return dialogue_refuse(d, &bad_address);
	if (argument_word(&a, &w))
		return dialogue_refuse(d, &bad_parameter);
	if (!complete(d, &r))
		return r;
	if (d->recipients >= d->policy->maxrcpt) {
		/* RFC 5321 4.5.3.1.10: no fault of the client, unless it
		 * goes on and on */
		return ++d->surplus > LIMIT_RECIPIENTS ?
		    dialogue_refuse(d, &too_many) :
		    dialogue_decline(d, &too_many);
	}
	bad = listed(d);
	if (bad)
		return dialogue_refuse(d, bad);
	if (d->client->listed && *d->client->listed && !d->relay)
		return refuse_listed(d, d->client->listed, "listed");
	r = is_accepted_domain(d, &q);
	if (r != 1)
		return dialogue_refuse(d, r == 0 ? &not_ours : &unchecked);
	r = names_listed(d, &q);
	if (r == -1)
		return dialogue_no_memory(d);
	if (r == 1)
		return refuse_listed(d, d->names_text.s, "name_listed");
	return judge(d, &q);
}

