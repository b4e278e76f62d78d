/* smtpfake: an SMTP session held in memory, for unit tests and the fuzzer.
 * The client's bytes come in pieces of any size; replies, queued messages and
 * their envelopes are kept.
 */
#ifndef SMTPFAKE_H
#define SMTPFAKE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/recipient.h"
#include "smtpd/dialogue.h"

struct fake {
	char const *in;		/* what the client sends */
	size_t n, pos;
	size_t piece;		/* bytes a read; 0: all there is */
	size_t cut;		/* where the first read ends; 0: nowhere */
	int then;		/* errno at the end of input; 0: EOF */
	uint64_t clock;
	stralloc out;		/* what the client got */
	stralloc body;		/* of the message in progress */
	stralloc queued;	/* body, envelope, "\n--\n" of each */
	int open, opened, aborted, messages;
	char const *refusal;	/* what the queue says at close */
	char const *no_open;	/* what it says at open */
	unsigned int paused;
	int logins;		/* passwords that were asked about */
	int switched;		/* to TLS */
	unsigned int allowed;	/* recipients that a user may send to */
	io io;
	struct backend back;
	struct client client;
	struct dialogue d;
};

static struct fake fake;
static struct policy fake_policy;

static ssize_t
fake_recv(io *i, char *s, size_t max)
{
	size_t n = fake.n - fake.pos;

	(void)i;
	if (!n && fake.then) {
		errno = fake.then;
		return -1;
	}
	if (n > max)
		n = max;
	if (fake.piece && n > fake.piece)
		n = fake.piece;
	if (fake.pos < fake.cut && n > fake.cut - fake.pos)
		n = fake.cut - fake.pos;
	memcpy(s, fake.in + fake.pos, n);
	fake.pos += n;
	return n;
}

static int
fake_send(io *i, char const *s, size_t n)
{
	(void)i;
	return stralloc_catb(&fake.out, s, n) ? 1 : -1;
}

static uint64_t
fake_now(io *i)
{
	(void)i;
	return fake.clock;
}

static int
fake_open(struct backend *b)
{
	(void)b;
	if (fake.open)
		abort();
	if (fake.no_open)
		return 0;
	fake.open = 1;
	fake.opened++;
	fake.body.len = 0;
	return 1;
}

static void
fake_put(struct backend *b, char const *s, size_t n)
{
	(void)b;
	if (!fake.open || !stralloc_catb(&fake.body, s, n))
		abort();
}

static int
fake_close(struct backend *b, stralloc const *envelope)
{
	(void)b;
	if (!fake.open)
		abort();
	fake.open = 0;
	if (fake.refusal)
		return 0;
	fake.messages++;
	b->pid = 4711;
	return stralloc_catb(&fake.queued, fake.body.s, fake.body.len) &&
	    stralloc_catb(&fake.queued, envelope->s, envelope->len) &&
	    stralloc_cats(&fake.queued, "\n--\n");
}

static void
fake_abort(struct backend *b)
{
	(void)b;
	if (!fake.open)
		abort();
	fake.open = 0;
	fake.aborted++;
}

static char const *
fake_reply(struct backend *b)
{
	(void)b;
	return fake.no_open ? fake.no_open : fake.refusal;
}

/* Everybody@here.example exists but a few. */
static int
fake_recipient(struct backend *b, struct question const *q)
{
	char s[64];
	stralloc const *a = q->recipient;

	(void)b;
	if (a->len >= sizeof s)
		return RECIPIENT_NO;
	memcpy(s, a->s, a->len);
	s[a->len] = 0;
	if (!strcmp(s, "nobody@here.example"))
		return RECIPIENT_NO;
	if (!strcmp(s, "off@here.example"))
		return RECIPIENT_DISABLED;
	if (!strcmp(s, "full@here.example"))
		return RECIPIENT_FULL;
	if (!strcmp(s, "over@here.example"))
		return RECIPIENT_OVER;
	if (!strcmp(s, "trouble@here.example"))
		return RECIPIENT_TROUBLE;
	if (!strchr(s, '@') || strstr(s, "@here.example"))
		return RECIPIENT_YES;
	return RECIPIENT_FOREIGN;
}

/* joe@here.example's password is "secret"; kim's too, who may not relay; who
 * answers a challenge says "0123456789abcdef0123456789abcdef". */
static int
fake_login(struct backend *b, struct credentials const *c)
{
	(void)b;
	fake.logins++;
	if (!*c->login || !*c->password || strlen(c->login) +
	    strlen(c->password) + strlen(c->challenge) > 509)
		abort();
	if (!strcmp(c->login, "trouble"))
		return LOGIN_TROUBLE;
	if (strcmp(c->password, *c->challenge ?
	    "0123456789abcdef0123456789abcdef" : "secret"))
		return LOGIN_WRONG;
	return !strcasecmp(c->login, "joe@here.example") ? LOGIN_GOOD :
	    !strcmp(c->login, "kim@here.example") ? LOGIN_HERE_ONLY :
	    LOGIN_WRONG;
}

static int
fake_allow(struct backend *b, stralloc const *user, unsigned int n)
{
	if (!user->len)
		abort();
	strcpy(b->text, "452 4.5.3 sorry, that is too much (#4.5.3)");
	return n <= fake.allowed;
}

static char const *
fake_nonce(struct backend *b)
{
	(void)b;
	return "once";
}

static int __attribute__((unused))
fake_starttls(struct backend *b, unsigned int seconds, struct tls *t)
{
	(void)b;
	(void)seconds;
	/* nothing that came in clear may be left to be obeyed */
	if (io_pending(&fake.io) || fake.io.used)
		abort();
	fake.switched++;
	t->protocol = "TLSv1.3";
	t->cipher = "TLS_AES_256_GCM_SHA384";
	return 1;
}

static uint64_t
fake_time(struct backend *b)
{
	(void)b;
	return 1795355521;
}

static void
fake_pause(struct backend *b, unsigned int seconds)
{
	(void)b;
	fake.paused += seconds;
}

/* A client at 192.0.2.9 that may not relay, and a fresh session. */
static void
fake_reset(void)
{
	stralloc_free(&fake.out);
	stralloc_free(&fake.body);
	stralloc_free(&fake.queued);
	memset(&fake, 0, sizeof fake);
	io_init(&fake.io, -1, -1);
	fake.io.recv = fake_recv;
	fake.io.send = fake_send;
	fake.io.now = fake_now;
	fake.back.open = fake_open;
	fake.back.put = fake_put;
	fake.back.close = fake_close;
	fake.back.abort = fake_abort;
	fake.back.reply = fake_reply;
	fake.back.recipient = fake_recipient;
	fake.back.time = fake_time;
	fake.back.pause = fake_pause;
	fake.client.ip = "192.0.2.9";
	fake.client.host = "client.example";
	fake.client.local_ip = "192.0.2.1";
	fake.client.local_host = "mx.here.example";
}

/* The same, where passwords are taken. */
static void __attribute__((unused))
fake_users(void)
{
	fake.back.login = fake_login;
	fake.back.allow = fake_allow;
	fake.back.nonce = fake_nonce;
	fake.allowed = 100;
}

/* What dialogue_run said. */
static int
fake_run(char const *in, size_t n)
{
	int r;

	fake.in = in;
	fake.n = n;
	dialogue_init(&fake.d, &fake.io, &fake.back, &fake_policy,
	    &fake.client);
	r = dialogue_run(&fake.d);
	dialogue_free(&fake.d);
	return r;
}

#endif
