#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/sha256.h>
#include <skalibs/strerr.h>

#include "dkim/canon.h"
#include "dkim/fields.h"
#include "dkim/signature.h"
#include "dkim/signer.h"
#include "lib/control.h"
#include "lib/enqueue.h"
#include "lib/errortext.h"
#include "lib/exitcode.h"
#include "lib/field.h"
#include "lib/filter.h"
#include "lib/given.h"
#include "lib/home.h"
#include "lib/log.h"
#include "lib/sender.h"
#include "lib/signing.h"
#include "lib/spool.h"

#define USAGE "dkimsign"

char const *PROG = "dkimsign";

enum {
	ROOM = 16384		/* for PROTOCOL_KEYS fields */
};

static struct message {
	struct spool spool;
	struct head head;
	struct canon canon;
	SHA256Schedule sha;
} m;

static stralloc domain = STRALLOC_ZERO;

static int
next_program(void)
{
	char const *s = getenv("DKIMSIGN_QUEUE");
	stralloc program = STRALLOC_ZERO;
	int code;

	if (filter_name(&program, s && *s ? s : "queue") == -1)
		return QUEUE_MEMORY;
	code = filter_run(program.s);
	log_start("warning", "unable to run the next program");
	log_string("program", program.s);
	log_errno(errno);
	log_end();
	return code;
}

/* A user's terminal is no log. */
static void
tell(char const *event, char const *name, char const *value)
{
	if (!getenv("TCPREMOTEIP"))
		return;
	log_start("info", event);
	if (domain.len)
		log_string("domain", domain.s);
	log_string(name, value);
	log_end();
}

/* It cannot be signed now: unsigned mail may be lost where it goes, and its
 * sender would not hear of it.
 */
static int
put_off(char const *what, int e)
{
	static char const text[] = "Zmail cannot be signed at this time, try "
	    "again later (#4.3.0)";
	char const *how;

	log_start("warning", what);
	log_string("domain", domain.s);
	if (e)
		log_errno(e);
	log_end();
	return errortext_say(text, sizeof text - 1, QUEUE_DEFERRED, &how);
}

static void
hash(void *to, char const *s, size_t n)
{
	sha256_update(to, s, n);
}

static int
take_piece(char const *s, size_t n)
{
	ssize_t i = head_take(&m.head, s, n);

	if (i == -1)
		return -1;
	canon_body(&m.canon, s + i, n - (size_t)i);
	return 1;
}

static int
read_message(void)
{
	int code;

	if (spool_open(&m.spool, ROOM) == -1)
		return QUEUE_MEMORY;
	sha256_init(&m.sha);
	canon_begin(&m.canon, hash, &m.sha);
	code = given_message(&m.spool, take_piece);
	canon_end(&m.canon);
	return code;
}

/* Does control/dkim name the domain?  1, 0, -1. */
static int
is_listed(void)
{
	stralloc list = STRALLOC_ZERO;
	int r = control_list("control/dkim", &list), found = 0;
	size_t i, n = domain.len - 1;

	for (i = 0; r == 1 && i < list.len; i += strlen(list.s + i) + 1)
		found |= !strncasecmp(list.s + i, domain.s, n) &&
		    list.s[i + n] == ':';
	stralloc_free(&list);
	return r == -1 ? -1 : found;
}

/* Who has logged in is signed for in the name of his own domains alone: other
 * domains here may be other people's.  1, 0, -1.
 */
static int
is_theirs(void)
{
	char const *login = getenv("SMTPAUTHUSER");
	stralloc list = STRALLOC_ZERO, user = STRALLOC_ZERO;
	int r = login ? control_list("control/usersenders", &list) : 1;

	if (login && r != -1)
		r = stralloc_copys(&user, login) ? sender_domain(&list, &user,
		    domain.s, domain.len - 1) : -1;
	stralloc_free(&list);
	stralloc_free(&user);
	return r;
}

/* One field, in front of *lines.  0, or an exit code. */
static int
add_field(int fd, struct signer_key const *key, struct signature *s,
    stralloc *lines)
{
	stralloc field = STRALLOC_ZERO;
	char digest[PROTOCOL_DIGEST], signature[PROTOCOL_SIGNATURE];
	size_t n;
	int r;

	s->letter = key->letter;
	s->selector = key->selector;
	if (signature_begin(&field, s, digest) == -1)
		return QUEUE_MEMORY;
	errno = 0;
	r = signer_sign(fd, key, domain.s, digest, signature, &n);
	if (r != 1)
		return put_off("dkimd does not sign", r == -1 ? errno : 0);
	if (signature_end(&field, signature, n) == -1 ||
	    !stralloc_cat(lines, &field))
		return QUEUE_MEMORY;
	stralloc_free(&field);
	tell("signed", "selector", key->selector);
	return 0;
}

static int
add_fields(int fd, stralloc *lines)
{
	struct signer_key keys[PROTOCOL_KEYS];
	stralloc names = STRALLOC_ZERO, text = STRALLOC_ZERO;
	char body[PROTOCOL_DIGEST];
	struct signature s = { 0, 0, domain.s, (uint64_t)time(0), &names,
		&text, body };
	unsigned int n, i;
	int code = 0, r = signer_keys(fd, domain.s, keys, &n);

	if (r == 0) {
		tell("not signed", "reason", "not for this user");
		return 0;
	}
	if (r == -1)
		return put_off("dkimd does not answer", errno);
	if (!n)
		return put_off("dkimd has no key in use", 0);
	if (fields_signed(m.head.text.s, m.head.text.len, &names, &text) == -1)
		return QUEUE_MEMORY;
	sha256_final(&m.sha, body);
	for (i = 0; i < n && !code; i++)
		code = add_field(fd, keys + i, &s, lines);
	return code;
}

/* What goes in front of the message.  0, or an exit code. */
static int
sign(stralloc *lines)
{
	char const *why = "the header is too long";
	int fd, code, r = 0;

	if (!m.head.too_long)
		r = field_domain(m.head.text.s, m.head.text.len, &domain,
		    &why);
	if (r == -1)
		return QUEUE_MEMORY;
	if (r == 0) {
		domain.len = 0;
		tell("not signed", "reason", why);
		return 0;
	}
	r = is_listed();
	if (r == 1) {
		r = is_theirs();
		if (r == 0)
			tell("not signed", "reason", "not the user's domain");
	}
	if (r != 1)
		return r == -1 ? QUEUE_CONFIG : 0;
	fd = signer_connect();
	if (fd == -1)
		return put_off("unable to connect to " PROTOCOL_SOCKET, errno);
	code = add_fields(fd, lines);
	close(fd);
	return code;
}

static int
run(void)
{
	stralloc lines = STRALLOC_ZERO;
	int code;

	if (home_enter() == -1)
		return QUEUE_HOME;
	if (signing_wanted()) {
		code = read_message();
		if (!code)
			code = sign(&lines);
		if (code)
			return code;
		if (spool_front(&m.spool, lines.s, lines.len) == -1 ||
		    fd_move(0, m.spool.fd) == -1)
			return QUEUE_WRITE;
	}
	return next_program();
}

/* Signs one message with the keys of its author's domain (RFC 6376) and hands
 * it to the next program: a QMAILQUEUE program.
 *
 * Runs as: its caller
 * Reads:   descriptor 0; control/dkim, control/usersenders, users/cdb
 * Writes:  what the next program does
 * Trusts:  its caller for who sends the message, dkimd for signatures
 * Trusted by: nobody; dkimd signs for its caller
 */
int
main(int argc, char const *const *argv)
{
	(void)argv;
	if (argc > 1)
		strerr_dieusage(EXIT_USAGE, USAGE);
	signal(SIGPIPE, SIG_IGN);
	given_deadline();
	return run();
}
