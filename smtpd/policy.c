#include "smtpd/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <skalibs/bytestr.h>
#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/smtpaddress.h"

/* RFC 5321 4.5.3.2.7 asks for 5 minutes; this is qmail's */
#define TIMEOUT 1200

static int
trouble(char const *file)
{
	int e = errno;

	log_start("warning", "unable to read");
	log_string("file", file);
	log_errno(e);
	log_end();
	errno = e;
	return -1;
}

/* 1 or 0; out untouched where there is no value. */
static int
number(char const *file, unsigned int *out)
{
	int r = control_uint(file, out);

	return r == -1 ? trouble(file) : r;
}

static int
list(char const *file, stralloc *out)
{
	int r = control_list(file, out);

	return r == -1 ? trouble(file) : r;
}

int
policy_start(struct policy *p)
{
	char const *file = "control/smtpgreeting";
	int r = control_text(file, p->greeting, POLICY_GREETING, &p->greeted);

	if (r == 0) {
		file = "control/me";
		r = control_text(file, p->greeting, POLICY_GREETING,
		    &p->greeted);
	}
	if (r == 0)
		errno = ENOENT;
	if (r != 1)
		return trouble(file);
	p->name = byte_chr(p->greeting, p->greeted, ' ');
	p->timeout = TIMEOUT;
	r = number("control/timeoutsmtpd", &p->timeout);
	if (!p->timeout)
		p->timeout = 1;
	return r == -1 ? -1 : 1;
}

int
policy_size(struct policy *p)
{
	char const *s = getenv("DATABYTES");
	unsigned int u = 0;

	if (p->knows_size)
		return 1;
	if (s) {
		if (!ulong0_scan(s, &p->databytes)) {
			errno = EINVAL;
			return trouble("$DATABYTES");
		}
	} else {
		if (number("control/databytes", &u) == -1)
			return -1;
		p->databytes = u;
	}
	p->knows_size = 1;
	return 1;
}

int
policy_lists(struct policy *p)
{
	if (p->knows_lists)
		return 1;
	p->maxrcpt = LIMIT_RECIPIENTS;
	if (number("control/maxrcpt", &p->maxrcpt) == -1 ||
	    list("control/badmailfrom", &p->badmailfrom) == -1 ||
	    list("control/badhelo", &p->badhelo) == -1 ||
	    list("control/badrcptto", &p->badrcptto) == -1 ||
	    list("control/rcpthosts", &p->rcpthosts) == -1)
		return -1;
	/* LIMIT_ENVELOPE rests on it */
	if (!p->maxrcpt || p->maxrcpt > LIMIT_RECIPIENTS)
		p->maxrcpt = LIMIT_RECIPIENTS;
	p->knows_lists = 1;
	return 1;
}

/* The switch of the patches that brought AUTH to qmail: "" both, "+cram" all
 * three, "cram" that alone, "-" none; "!" in front: required.  0: none of
 * these. */
static int
mechanisms(char const *s, unsigned int *out)
{
	*out = *s == '!' ? POLICY_REQUIRED : 0;
	s += *s == '!';
	if (!*s)
		*out |= POLICY_PLAIN;
	else if (strcmp(s, "+cram") == 0)
		*out |= POLICY_PLAIN | POLICY_CRAM;
	else if (strcmp(s, "cram") == 0)
		*out |= POLICY_CRAM;
	else if (strcmp(s, "-") != 0)
		return 0;
	return 1;
}

static int
auth_switch(unsigned int *out)
{
	char const *s = getenv("SMTPAUTH");

	if (mechanisms(s ? s : "", out))
		return 1;
	errno = EINVAL;
	return trouble("$SMTPAUTH");
}

int
policy_auth(struct policy *p)
{
	char const *clear = getenv("PLAINTEXTAUTH");
	unsigned int is, allowed = 0;

	if (p->knows_auth)
		return 1;
	if (auth_switch(&is) == -1)
		return -1;
	if (clear)
		allowed = strcmp(clear, "0") != 0;
	else if (number("control/plaintextauth", &allowed) == -1)
		return -1;
	p->auth = is | (allowed ? POLICY_CLEAR : 0);
	p->knows_auth = 1;
	return 1;
}

int
policy_required(struct policy *p)
{
	unsigned int is = p->auth;

	if (!p->knows_auth && auth_switch(&is) == -1)
		return -1;
	return (is & POLICY_REQUIRED) != 0;
}

int
policy_users(struct policy *p)
{
	if (p->knows_users)
		return 1;
	if (list("control/usersenders", &p->usersenders) == -1 ||
	    number("control/hideuser", &p->hide_user) == -1)
		return -1;
	p->knows_users = 1;
	return 1;
}

/* The domain as itself, or a suffix of it that begins with a dot.  Keys are
 * in lower case; a domain is shorter than a cdb could not bear. */
static int
in_more(struct policy *p, char const *s, size_t n)
{
	char key[LIMIT_ADDRESS];
	char const *value;
	size_t i, len;
	int r = 0;

	if (n > sizeof key)
		return 0;
	for (i = 0; i < n; i++)
		key[i] = s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i];
	for (i = 0; i < n && r == 0; i++)
		if (!i || key[i] == '.')
			r = cdbfile_get(&p->more, key + i, n - i, &value, &len);
	return r;
}

int
policy_has_domain(struct policy *p, char const *s, size_t n)
{
	static char const file[] = "control/morercpthosts.cdb";
	int r;

	if (control_has_domain(&p->rcpthosts, s, n))
		return 1;
	if (!p->rcpthosts.len)
		return 0;
	if (!p->knows_more) {
		if (cdbfile_open(&p->more, file) == -1)
			return trouble(file);
		p->knows_more = 1;
	}
	r = in_more(p, s, n);
	return r == -1 ? trouble(file) : r;
}

int
policy_listed(stralloc const *l, char const *s, size_t n)
{
	size_t at = smtpaddress_at(s, n);

	if (!l->len || !n)
		return 0;
	return control_has(l, s, n) ||
	    (at < n && control_has(l, s + at, n - at));
}

int
policy_localiphost(struct policy *p)
{
	static char const file[] = "control/localiphost";
	int r;

	if (p->localiphost.len)
		return 1;
	r = control_line_or_me(file, &p->localiphost);
	return r == -1 ? trouble(file) : r;
}
