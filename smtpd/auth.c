#include "smtpd/auth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base64.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/loginname.h"

#define GOOD "235 2.7.0 welcome"
#define FAILURES "421 4.7.0 too many failed logins (#4.7.0)"
#define USERNAME "VXNlcm5hbWU6"
#define PASSWORD "UGFzc3dvcmQ6"

static struct reply const unknown = {
	"502 5.5.1 unimplemented (#5.5.1)", "command" };
static struct reply const hello_first = {
	"503 5.5.1 EHLO first (#5.5.1)", "sequence" };
static struct reply const already = {
	"503 5.5.1 you are logged in already (#5.5.1)", "sequence" };
static struct reply const in_transaction = {
	"503 5.5.1 no AUTH within a transaction (#5.5.1)", "sequence" };
static struct reply const syntax = {
	"501 5.5.4 syntax error (#5.5.4)", "syntax" };
static struct reply const no_mechanism = {
	"504 5.5.4 no such mechanism here (#5.5.4)", "mechanism" };
static struct reply const encrypt = {
	"538 5.7.11 encryption is required for that (#5.7.11)",
	"encryption_needed" };
static struct reply const encrypt_first = {
	"530 5.7.0 STARTTLS first (#5.7.0)", "encryption_needed" };
static struct reply const login_first = {
	"530 5.7.0 AUTH first (#5.7.0)", "auth_needed" };
static struct reply const too_long = {
	"500 5.5.6 line is too long (#5.5.6)", "syntax" };
static struct reply const malformed = {
	"501 5.5.2 malformed base64 (#5.5.2)", "syntax" };
static struct reply const cancelled = {
	"501 5.7.0 cancelled (#5.7.0)", "cancelled" };
static struct reply const wrong = {
	"535 5.7.8 wrong name or password (#5.7.8)", "auth" };
static struct reply const not_now = {
	"454 4.7.0 unable to check passwords now, try again later (#4.7.0)",
	"auth_trouble" };

/* One exchange. */
struct exchange {
	struct argument initial;	/* the initial response */
	int has_initial;
	char const *mechanism;		/* for the log */
	/* what the client says, decoded, and three strings in it */
	char text[LIMIT_COMMAND * 2];
	size_t len;
	struct credentials is;
};

int
auth_offer(struct dialogue *d, char const **line)
{
	unsigned int is;

	if (!d->back->login || d->user.len)
		return 0;
	if (policy_auth(d->policy) == -1)
		return -1;
	is = d->policy->auth;
	if (!d->tls.protocol && !(is & POLICY_CLEAR))
		return 0;
	switch (is & (POLICY_PLAIN | POLICY_CRAM)) {
	case POLICY_PLAIN:
		*line = "AUTH PLAIN LOGIN";
		return 1;
	case POLICY_CRAM:
		*line = "AUTH CRAM-MD5";
		return 1;
	case POLICY_PLAIN | POLICY_CRAM:
		*line = "AUTH PLAIN LOGIN CRAM-MD5";
		return 1;
	}
	return 0;
}

int
auth_missing(struct dialogue *d, struct reply const **why)
{
	int r = d->user.len ? 0 : policy_required(d->policy);

	if (r == 1)
		r = policy_auth(d->policy);
	if (r != 1)
		return r;
	*why = d->tls.protocol || d->policy->auth & POLICY_CLEAR ||
	    !d->back->starttls ? &login_first : &encrypt_first;
	return 1;
}

/* Appends what s[0..n) decodes to, and NUL; *start is where.  0: refused, and
 * *r is what to return. */
static int
decode(struct dialogue *d, struct exchange *x, char const *s, size_t n,
    size_t *start, int *r)
{
	size_t len;

	*start = x->len;
	if (!base64_decode(s, n, x->text + x->len,
	    sizeof x->text - x->len - 1, &len)) {
		*r = dialogue_refuse(d, &malformed);
		return 0;
	}
	x->len += len;
	x->text[x->len++] = 0;
	return 1;
}

/* The client's answer to a challenge, as decode. */
static int
hear(struct dialogue *d, struct exchange *x, char const *challenge,
    size_t *start, int *r)
{
	char const *s;
	size_t n;

	if (io_puts(d->io, "334 ") == -1 || dialogue_say(d, challenge) == -1) {
		*r = -1;
		return 0;
	}
	io_deadline(d->io, d->policy->timeout);
	*r = io_line(d->io, &s, &n, LIMIT_COMMAND);
	if (*r == -1 && errno == EMSGSIZE)
		*r = dialogue_refuse(d, &too_long);
	else if (*r != 1)
		*r = dialogue_lost(d, *r);
	else {
		n -= n && s[n-1] == '\r';
		if (n != 1 || *s != '*')
			return decode(d, x, s, n, start, r);
		*r = dialogue_refuse(d, &cancelled);
	}
	return 0;
}

/* The initial response, or else the answer to that challenge. */
static int
first(struct dialogue *d, struct exchange *x, char const *challenge,
    size_t *start, int *r)
{
	struct argument *i = &x->initial;

	if (!x->has_initial)
		return hear(d, x, challenge, start, r);
	/* RFC 4954 4: "=" is an empty one */
	if (i->n == 1 && *i->s == '=')
		i->n = 0;
	return decode(d, x, i->s, i->n, start, r);
}

static int
bad(struct dialogue *d, int *r)
{
	*r = dialogue_refuse(d, &malformed);
	return 0;
}

/* RFC 4616: authorization identity NUL name NUL password.  The identity may
 * be absent or the name itself. */
static int
plain(struct dialogue *d, struct exchange *x, int *r)
{
	char const *identity = x->text;
	size_t start, n;

	if (!first(d, x, "", &start, r))
		return 0;
	n = strlen(identity) + 1;
	if (n >= x->len)
		return bad(d, r);
	x->is.login = x->text + n;
	n += strlen(x->is.login) + 1;
	if (n >= x->len)
		return bad(d, r);
	x->is.password = x->text + n;
	if (n + strlen(x->is.password) + 1 != x->len)
		return bad(d, r);
	if (*identity && strcmp(identity, x->is.login) != 0)
		x->is.password = "";	/* refused as if wrong */
	return 1;
}

static int
login(struct dialogue *d, struct exchange *x, int *r)
{
	size_t name, password;

	if (!first(d, x, USERNAME, &name, r) ||
	    !hear(d, x, PASSWORD, &password, r))
		return 0;
	x->is.login = x->text + name;
	x->is.password = x->text + password;
	if (strlen(x->is.login) + 1 != password ||
	    password + strlen(x->is.password) + 1 != x->len)
		return bad(d, r);
	return 1;
}

/* RFC 2195: name, blank, and 32 hexadecimal digits, which the one who checks
 * passwords compares. */
static int
cram(struct dialogue *d, struct exchange *x, int *r)
{
	stralloc coded = STRALLOC_ZERO;
	char *blank;
	size_t start;
	int heard = 0;

	if (x->has_initial) {
		*r = dialogue_refuse(d, &syntax);
		return 0;
	}
	x->len = snprintf(x->text, 300, "<%s.%llu@%.200s>",
	    d->back->nonce(d->back),
	    (unsigned long long)d->back->time(d->back),
	    d->client->local_host ? d->client->local_host : "postern") + 1;
	if (base64_encode(&coded, x->text, x->len - 1) == -1 ||
	    !stralloc_0(&coded))
		*r = dialogue_no_memory(d);
	else
		heard = hear(d, x, coded.s, &start, r);
	stralloc_free(&coded);
	if (!heard)
		return 0;
	x->is.challenge = x->text;
	x->is.login = x->text + start;
	blank = strrchr(x->text + start, ' ');
	if (!blank || strlen(x->is.login) + start + 1 != x->len)
		return bad(d, r);
	*blank = 0;
	x->is.password = blank + 1;
	return 1;
}

/* Whom a log line is about that refuses him. */
static int
refuse(struct dialogue *d, struct exchange const *x, struct reply const *why)
{
	dialogue_log(d, "info", "refused");
	log_value("code", why->text, 3);
	log_string("reason", why->reason);
	log_string("login", x->is.login);
	log_string("mechanism", x->mechanism);
	log_end();
	if (why == &wrong && ++d->auth_failures >= AUTH_FAILURES) {
		if (dialogue_say(d, why->text) == -1)
			return -1;
		return dialogue_end(d, FAILURES, "auth");
	}
	return dialogue_say(d, why->text);
}

static int
admit(struct dialogue *d, struct exchange const *x, int relays)
{
	size_t at;

	if (loginname(x->is.login, strlen(x->is.login), &d->user, &at) == -1) {
		d->user.len = 0;
		return refuse(d, x, &not_now);
	}
	if (relays && !d->relay)
		d->relay = "";
	dialogue_log(d, "info", "authenticated");
	log_string("mechanism", x->mechanism);
	log_end();
	return dialogue_say(d, GOOD);
}

/* Is that fit to be asked about?  No: no program need know how to say no to
 * it.  (An empty password is none: LDAP servers take it for a question that
 * needs no answer.)  A challenge takes the third place of the record. */
static int
may_be_asked(struct credentials const *c)
{
	size_t i, n = strlen(c->login);

	for (i = 0; i < n; i++)
		if ((unsigned char)c->login[i] <= 32 || c->login[i] == 127)
			return 0;
	return n && *c->password && n + strlen(c->password) +
	    strlen(c->challenge) + 3 <= LIMIT_LOGIN;
}

static int
decide(struct dialogue *d, struct exchange const *x)
{
	int r = may_be_asked(&x->is) ? d->back->login(d->back, &x->is) :
	    LOGIN_WRONG;

	if (r == LOGIN_GOOD || r == LOGIN_HERE_ONLY)
		return admit(d, x, r == LOGIN_GOOD);
	return refuse(d, x, r == LOGIN_WRONG ? &wrong : &not_now);
}

/* In its own frame: 5 KiB that no other command needs. */
static int
converse(struct dialogue *d, struct argument const *mechanism,
    struct argument const *initial, unsigned int offered)
{
	struct exchange x;
	int r, got;

	x.len = 0;
	x.has_initial = initial->n != 0;
	x.initial = *initial;
	x.is.challenge = "";
	if (offered & POLICY_PLAIN && argument_is(mechanism, "PLAIN")) {
		x.mechanism = "plain";
		got = plain(d, &x, &r);
	} else if (offered & POLICY_PLAIN && argument_is(mechanism, "LOGIN")) {
		x.mechanism = "login";
		got = login(d, &x, &r);
	} else if (offered & POLICY_CRAM &&
	    argument_is(mechanism, "CRAM-MD5")) {
		x.mechanism = "cram-md5";
		got = cram(d, &x, &r);
	} else
		return dialogue_refuse(d, &no_mechanism);
	if (got)
		r = decide(d, &x);
	explicit_bzero(&x, sizeof x);
	/* and what it was decoded from */
	explicit_bzero(d->io->in_buf, d->io->head);
	return r;
}

int
auth_command(struct dialogue *d, struct argument const *arg)
{
	struct argument a = *arg, mechanism, initial, more;
	unsigned int is;

	if (!d->back->login)
		return dialogue_refuse(d, &unknown);
	if (d->hello != HELLO_ESMTP)
		return dialogue_refuse(d, &hello_first);
	if (d->user.len)
		return dialogue_refuse(d, &already);
	if (d->mail)
		return dialogue_refuse(d, &in_transaction);
	if (policy_auth(d->policy) == -1)
		return dialogue_no_controls(d);
	is = d->policy->auth;
	if (!(is & (POLICY_PLAIN | POLICY_CRAM)))
		return dialogue_refuse(d, &unknown);
	if (!d->tls.protocol && !(is & POLICY_CLEAR))
		return dialogue_refuse(d, &encrypt);
	if (!argument_word(&a, &mechanism))
		return dialogue_refuse(d, &syntax);
	argument_word(&a, &initial);
	if (argument_word(&a, &more))
		return dialogue_refuse(d, &syntax);
	return converse(d, &mechanism, &initial, is);
}
