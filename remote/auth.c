#include "remote/auth.h"

#include <string.h>

#include "lib/base64.h"

/* Sends "verb base64"; the reply's code, or 0. */
static unsigned int
step(struct server *s, char const *verb, char const *secret, size_t n)
{
	stralloc line = STRALLOC_ZERO;
	int r = -1;

	if (!io_pending(&s->io) && stralloc_cats(&line, verb) &&
	    base64_encode(&line, secret, n) == 1 && stralloc_0(&line)) {
		server_patience(s);
		if (server_command(s, line.s) == 1)
			r = server_reply(s);
	}
	stralloc_free(&line);
	return r == 1 ? s->reply.code : 0;
}

static unsigned int
plain(struct server *s, struct smtproute const *route)
{
	stralloc t = STRALLOC_ZERO;
	unsigned int code = 0;

	if (stralloc_0(&t) && stralloc_catb(&t, route->user, route->user_len)
	    && stralloc_0(&t) &&
	    stralloc_catb(&t, route->password, route->password_len))
		code = step(s, "AUTH PLAIN ", t.s, t.len);
	stralloc_free(&t);
	return code;
}

static unsigned int
login(struct server *s, struct smtproute const *route)
{
	unsigned int code = step(s, "AUTH LOGIN", "", 0);

	if (code == 334)
		code = step(s, "", route->user, route->user_len);
	if (code == 334)
		code = step(s, "", route->password, route->password_len);
	return code;
}

/* Trouble with our own password is no fault of the message's. */
int
auth(struct server *s, struct smtproute const *route, struct report *p)
{
	unsigned int code;

	if (!s->secure && !(route->policy & SMTPROUTES_PLAINTEXT)) {
		report_temp(p, "Connected to ", s->name, " but did not send "
		    "the password without encryption: the policy plaintext "
		    "would allow it. (#4.7.0)\n");
		return -1;
	}
	if (!(s->offers & (SERVER_PLAIN | SERVER_LOGIN))) {
		report_temp(p, "Connected to ", s->name, " but it offers no "
		    "AUTH PLAIN or LOGIN. (#4.7.0)\n");
		return -1;
	}
	code = s->offers & SERVER_PLAIN ? plain(s, route) : login(s, route);
	if (code == 235)
		return 1;
	if (!code || code == 421) {
		server_died(s, p, 0);
		return 0;
	}
	server_refused(s, p, 'Z', "authentication was rejected");
	return -1;
}
