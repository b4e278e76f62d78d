#include "remote/transaction.h"

#include <errno.h>
#include <string.h>

#include <skalibs/types.h>

#include "lib/smtpaddress.h"
#include "remote/wire.h"

struct transaction {
	struct server *s;
	struct mail *m;
	struct report *p;
	size_t accepted;	/* recipients */
	int sender_refused;
	int go;			/* the server waits for the message */
};

/* Slower than this, a server is not worth our while: bytes a second. */
enum { SLOWEST = 500 };

/* Sizes and 8-bit bytes are known beforehand: nothing need be asked. */
static int
fits(struct server *s, struct mail *m)
{
	if (s->size && m->content->wire > s->size) {
		char size[UINT64_FMT], most[UINT64_FMT];

		size[uint64_fmt(size, m->content->wire)] = 0;
		most[uint64_fmt(most, s->size)] = 0;
		report_perm(m->report, "Connected to ", s->name, " but the "
		    "message is too large for it: ", size, " bytes of at most ",
		    most, ". (#5.3.4)\n");
		return 0;
	}
	if (m->content->eight && !(s->offers & SERVER_8BITMIME) &&
	    !(m->policy & SMTPROUTES_SEND8)) {
		report_perm(m->report, "Connected to ", s->name, " but it does "
		    "not take messages with 8-bit characters (8BITMIME), and "
		    "this is one. (#5.6.3)\n");
		return 0;
	}
	return 1;
}

/* "MAIL FROM:<...>" in quotes where they are needed, and as a whole only if it
 * can be said in one line.  1; 0: it cannot; -1 out of memory
 */
static int
address_line(stralloc *line, char const *verb, char const *address)
{
	int r;

	line->len = 0;
	if (!stralloc_cats(line, verb) || !stralloc_cats(line, "<"))
		return -1;
	r = *address ? smtpaddress_quote(address, strlen(address), line) : 1;
	if (r == 1 && !stralloc_cats(line, ">"))
		r = -1;
	return r;
}

static int
put_mail(struct transaction *t, stralloc *line)
{
	struct content const *c = t->m->content;
	char size[UINT64_FMT];
	char const *sender = t->m->sender;
	int r = address_line(line, "MAIL FROM:", strcmp(sender, "#@[]") ?
	    sender : "");

	if (r != 1)
		return r;
	if (t->s->offers & SERVER_SIZE && (!stralloc_cats(line, " SIZE=") ||
	    !stralloc_catb(line, size, uint64_fmt(size, c->wire))))
		return -1;
	if (c->eight && t->s->offers & SERVER_8BITMIME &&
	    !stralloc_cats(line, " BODY=8BITMIME"))
		return -1;
	return 1;
}

/* Command i: 0 is MAIL, the last one DATA, between them RCPT.  1, -1. */
static int
put(struct transaction *t, size_t i)
{
	static stralloc line = STRALLOC_ZERO;
	int r = 1;

	line.len = 0;
	if (i == 0)
		r = put_mail(t, &line);
	else if (i <= t->p->n)
		r = address_line(&line, "RCPT TO:", t->p->rcpt[i-1].address);
	else if (!stralloc_cats(&line, "DATA"))
		r = -1;
	server_patience(t->s);
	return r == 1 && stralloc_0(&line) ? server_command(t->s, line.s) : -1;
}

static void
mail_answered(struct transaction *t)
{
	struct reply const *r = &t->s->reply;

	if (r->code < 300)
		return;
	t->sender_refused = 1;
	server_refused(t->s, t->p, r->code >= 500 ? 'D' : 'Z',
	    "sender was rejected");
}

static void
rcpt_answered(struct transaction *t, size_t i)
{
	unsigned int code = t->s->reply.code;
	char letter = code < 300 ? 'r' : code >= 500 ? 'h' : 's';

	if (t->sender_refused)
		return;
	report_rcpt(t->p, i, letter, t->s->name, &t->s->reply);
	t->accepted += letter == 'r';
}

static void
data_answered(struct transaction *t)
{
	unsigned int code = t->s->reply.code;

	t->go = code == 354;
	if (t->sender_refused)
		return;
	if (!t->accepted) {
		report_perm(t->p, "Giving up on ", t->s->name, ".\n");
		return;
	}
	if (t->go)
		return;
	report_set(t->p, code >= 500 ? 'D' : 'Z', (char const *const []){
	    t->s->name, " failed on DATA command.\n", 0 });
	report_said(t->p, &t->s->reply);
}

/* 1; -1 the connection is of no use any more. */
static int
take(struct transaction *t, size_t i)
{
	if (server_reply(t->s) == -1) {
		server_died(t->s, t->p, 0);
		return -1;
	}
	if (i == 0)
		mail_answered(t);
	else if (i <= t->p->n)
		rcpt_answered(t, i - 1);
	else
		data_answered(t);
	if (t->s->reply.code != 421)
		return 1;
	if (!t->p->letter)
		server_refused(t->s, t->p, 'Z', "it is closing down");
	return -1;
}

/* Recipients that were dealt with without asking. */
static int
skipped(struct transaction const *t, size_t i)
{
	return i && i <= t->p->n && t->p->rcpt[i-1].letter;
}

static int
lost(struct transaction *t)
{
	t->s->broke = io_pending(&t->s->io) ? EPROTO : errno;
	server_died(t->s, t->p, 0);
	return -1;
}

/* All at once: what is refused is known at the end. */
static int
pipelined(struct transaction *t)
{
	size_t i, n = t->p->n + 2;

	if (io_pending(&t->s->io))
		return lost(t);
	for (i = 0; i < n; i++)
		if (!skipped(t, i) && put(t, i) == -1)
			return lost(t);
	for (i = 0; i < n; i++)
		if (!skipped(t, i) && take(t, i) == -1)
			return -1;
	return 1;
}

static int
one_by_one(struct transaction *t)
{
	size_t i, n = t->p->n + 2;

	for (i = 0; i < n && !t->sender_refused; i++) {
		if (i == n - 1 && !t->accepted) {
			data_answered(t);
			break;
		}
		if (skipped(t, i))
			continue;
		/* it spoke out of turn: whose answer would the next one be? */
		if (io_pending(&t->s->io) || put(t, i) == -1)
			return lost(t);
		if (take(t, i) == -1)
			return -1;
	}
	return 1;
}

/* RFC 2920 3.1: it waits for a message that has nobody to go to. */
static void
nothing_to_send(struct transaction *t)
{
	server_patience(t->s);
	if (io_puts(&t->s->io, ".\r\n") == 1)
		io_flush(&t->s->io);
}

/* Everything but the last piece, which is left in out.  1; -1 not sent;
 * -2: not read
 */
static int
send_pieces(struct transaction *t, char *out, size_t *len)
{
	struct wire w = WIRE_ZERO;
	uint64_t pos = 0;
	char const *s;
	size_t n, i, k;
	int r;

	*len = 0;
	while ((r = content_bytes(t->m->content, &pos, &s, &n)) == 1)
		for (i = 0; i < n; i += k) {
			if (*len) {
				server_patience(t->s);
				if (io_put(&t->s->io, out, *len) == -1)
					return -1;
			}
			k = n - i < 16384 ? n - i : 16384;
			*len = wire_put(&w, s + i, k, out);
		}
	if (r == -1)
		return -2;
	*len += wire_end(&w, out + *len);
	return 1;
}

/* The verdict over the message itself. */
static int
finished(struct transaction *t)
{
	struct server *s = t->s;
	unsigned int code;

	if (server_reply(s) == -1) {
		server_died(s, t->p, 1);
		return 0;
	}
	code = s->reply.code;
	if (code < 300)
		report_set(t->p, 'K', (char const *const []){
		    s->name, " accepted message.\n", 0 });
	else
		report_set(t->p, code >= 500 ? 'D' : 'Z',
		    (char const *const []){ s->name,
		    " failed after I sent the message.\n", 0 });
	report_said(t->p, &s->reply);
	if (code < 300 && *s->how)
		report_note(t->p, s->how);
	return code != 421 && !io_pending(&s->io);
}

/* What it says before it has the end of the message cannot be its verdict,
 * unless it refuses.  0, -1: as transaction
 */
static int
spoke_early(struct transaction *t)
{
	struct server *s = t->s;

	if (server_reply(s) == -1) {
		server_died(s, t->p, 0);
		return -1;
	}
	if (s->reply.code < 400) {
		report_temp(t->p, "Connected to ", s->name, " but it answered "
		    "before the message was sent. (#4.5.0)\n");
		return 0;
	}
	report_set(t->p, s->reply.code >= 500 ? 'D' : 'Z',
	    (char const *const []){ s->name,
	    " failed while I sent the message.\n", 0 });
	report_said(t->p, &s->reply);
	return s->reply.code == 421 ? -1 : 0;
}

static int
send_message(struct transaction *t)
{
	static char out[2 * 16384 + 1 + WIRE_END];
	struct server *s = t->s;
	size_t len;
	int r = send_pieces(t, out, &len);

	t->m->begun = 1;
	s->broke = errno;
	if (r == -2) {
		report_temp(t->p, "Unable to read message. (#4.3.0)\n");
		return 0;
	}
	/* a refusal may be why it stopped reading */
	if (io_pending(&s->io) || s->early(s))
		return spoke_early(t);
	if (r == -1) {
		server_died(s, t->p, 0);
		return -1;
	}
	server_patience(s);
	if (io_put(&s->io, out, len) == -1 || io_flush(&s->io) == -1) {
		s->broke = errno;
		server_died(s, t->p, 1);
		return 0;
	}
	return finished(t);
}

/* A refused one is still open at the server. */
static int
abandon(struct transaction *t)
{
	server_patience(t->s);
	return !io_pending(&t->s->io) &&
	    server_command(t->s, "RSET") == 1 && server_reply(t->s) == 1 &&
	    t->s->reply.code == 250 && !io_pending(&t->s->io);
}

/* Addresses that no quoting brings into a line are refused here.  How many
 * recipients are left; 0 also if it is the sender's.
 */
static size_t
speakable(struct transaction *t)
{
	static stralloc line = STRALLOC_ZERO;
	size_t i, left = 0;

	if (address_line(&line, "", t->m->sender) == 0) {
		report_perm(t->p, "The sender's address cannot be sent by "
		    "SMTP. (#5.1.7)\n");
		return 0;
	}
	for (i = 0; i < t->p->n; i++)
		if (address_line(&line, "", t->p->rcpt[i].address) == 0)
			report_own(t->p, i, 'h', "The address cannot be sent "
			    "by SMTP. (#5.1.3)\n");
		else
			left++;
	if (!left)
		report_perm(t->p, "");
	return left;
}

int
transaction(struct server *s, struct mail *m)
{
	struct transaction t = { .s = s, .m = m, .p = m->report };
	int r;

	report_clear(t.p);
	m->begun = 0;
	if (!fits(s, m) || !speakable(&t))
		return 1;
	server_limit(s, 3 * (uint64_t)s->patience +
	    m->content->wire / SLOWEST);
	r = s->offers & SERVER_PIPELINING ? pipelined(&t) : one_by_one(&t);
	if (r != 1)
		return r;
	if (t.go && !t.sender_refused && t.accepted)
		return send_message(&t);
	if (t.go) {
		nothing_to_send(&t);
		return 0;
	}
	return abandon(&t);
}
