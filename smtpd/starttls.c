#include "smtpd/starttls.h"

#include <errno.h>
#include <string.h>

#include "lib/log.h"

#define GO_AHEAD "220 2.0.0 go ahead"

/* A handshake is two turns or three. */
#define HANDSHAKE_SECONDS 120

static struct reply const unknown = {
	"502 5.5.1 unimplemented (#5.5.1)", "command" };
static struct reply const no_argument = {
	"501 5.5.4 this command has no argument (#5.5.4)", "syntax" };
static struct reply const already = {
	"503 5.5.1 this connection is encrypted already (#5.5.1)",
	"sequence" };
static struct reply const hello_first = {
	"503 5.5.1 EHLO first (#5.5.1)", "sequence" };
static struct reply const not_now = {
	"454 4.7.0 TLS is not available now (#4.7.0)", "tls" };
#define INJECTED "503 5.5.1 nothing may follow STARTTLS before the reply " \
	"(#5.5.1)"

int
starttls_offered(struct dialogue const *d)
{
	return !d->tls.protocol && d->back->starttls;
}

/* RFC 3207 4.2: what was learned before is forgotten. */
static void
begin_anew(struct dialogue *d)
{
	dialogue_reset(d);
	d->hello = HELLO_NONE;
	d->helo_len = 0;
	dialogue_forget_user(d);
}

static int
failed(struct dialogue *d, int r)
{
	int e = errno;

	dialogue_log(d, "info", "closed");
	log_string("reason", "tls");
	if (r == -1)
		log_string("error", strerror(e));
	log_end();
	d->left = 1;		/* nobody is there who would hear a reply */
	return 0;
}

int
starttls_command(struct dialogue *d, struct argument const *a)
{
	int r;

	if (d->tls.protocol)
		return dialogue_refuse(d, &already);
	if (!d->back->starttls)
		return dialogue_refuse(d, &unknown);
	if (a->n)
		return dialogue_refuse(d, &no_argument);
	if (d->hello != HELLO_ESMTP)
		return dialogue_refuse(d, &hello_first);
	/* Somebody on the way may have put it there, to have it obeyed in the
	 * client's name: nothing of it is, and the session is over. */
	if (io_pending(d->io))
		return dialogue_end(d, INJECTED, "starttls_injection");
	if (d->back->tlsready && d->back->tlsready(d->back) != 1)
		return dialogue_refuse(d, &not_now);
	if (dialogue_say(d, GO_AHEAD) == -1 || io_flush(d->io) == -1)
		return -1;
	r = d->back->starttls(d->back, HANDSHAKE_SECONDS, &d->tls);
	if (r != 1)
		return failed(d, r);
	/* more may have come meanwhile: not through TLS */
	io_discard(d->io);
	begin_anew(d);
	return 1;
}
