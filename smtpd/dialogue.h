/* dialogue: one SMTP session (RFC 5321), from greeting to farewell.
 *
 * It works on callbacks alone: lib/io.h for the client, smtpd/backend.h for
 * queue, recipients and clock.  Settings come from smtpd/policy.h.
 */
#ifndef DIALOGUE_H
#define DIALOGUE_H

#include <stddef.h>

#include <skalibs/stralloc.h>

#include "lib/io.h"
#include "smtpd/backend.h"
#include "smtpd/policy.h"

/* Who is there, as the environment says; 0 where it does not. */
struct client {
	char const *ip, *host, *info;
	char const *local_ip, *local_host;
	char const *relay;	/* $RELAYCLIENT: may relay; goes behind
				 * each recipient */
	char const *listed;	/* $RBLSMTPD: refuse with this text */
	struct tls tls;		/* at the start */
};

/* The text of a reply without CR LF, and one word for the log. */
struct reply {
	char const *text;
	char const *reason;
};

enum hello { HELLO_NONE, HELLO_SMTP, HELLO_ESMTP };

struct dialogue {
	io *io;
	struct backend *back;
	struct policy *policy;
	struct client const *client;
	enum hello hello;
	char helo[255];		/* what the client calls itself */
	size_t helo_len;
	struct tls tls;
	stralloc user;		/* who logged in: see lib/loginname.h; or "" */
	char const *relay;	/* as the client's; or "": the user may */
	unsigned int auth_failures;
	/* the transaction */
	int mail;		/* MAIL was accepted */
	stralloc sender;
	stralloc envelope;	/* as enqueue_close wants it */
	unsigned int recipients, surplus;
	enum { NAMES_UNASKED, NAMES_GOOD, NAMES_LISTED } names;
	stralloc names_text;	/* why they are refused */
	stralloc recipient;	/* the one in question; empty: none is */
	/* what the client did since the last message that was queued */
	unsigned int errors, idle;
	int left;		/* the client said QUIT */
};

enum {
	DIALOGUE_ERRORS = 20,	/* then it is told to go */
	DIALOGUE_PATIENCE = 10,	/* errors that cost no delay */
	DIALOGUE_IDLE = 100	/* commands that lead to no mail */
};

extern void dialogue_init(struct dialogue *d, io *i, struct backend *b,
    struct policy *p, struct client const *c);
extern void dialogue_free(struct dialogue *d);

/* 1 the client said QUIT, or went away; 0 we ended it, and the client may
 * still be sending; -1 trouble with errno (ETIMEDOUT, ECONNRESET, ENOMEM...).
 * What could be said has been said, and logged, in each case.
 */
extern int dialogue_run(struct dialogue *d);

/* For the commands that stand in files of their own.  They return 1 go on, 0
 * end the session, -1 trouble.
 */
extern int dialogue_say(struct dialogue *d, char const *text);
/* Says no, logs it, and counts it against the client. */
extern int dialogue_refuse(struct dialogue *d, struct reply const *r);
/* The same, without counting. */
extern int dialogue_decline(struct dialogue *d, struct reply const *r);
/* The last words of a session that we end: returns 0, or -1. */
extern int dialogue_end(struct dialogue *d, char const *text,
    char const *reason);
/* The same, for want of memory, or of a control file. */
extern int dialogue_no_memory(struct dialogue *d);
extern int dialogue_no_controls(struct dialogue *d);
/* Begins a log line with what is known of client and transaction. */
extern void dialogue_log(struct dialogue *d, char const *level,
    char const *event);
/* Moves on to the next recipient of the transaction, from *pos = 0: it is
 * the one in question then.  1; 0 no more; -1.
 */
extern int dialogue_each(struct dialogue *d, size_t *pos);
/* After io_fill or io_line has failed with r: says so where that makes sense,
 * and to the log.  1: the client is gone, as the next read will find; -1.
 */
extern int dialogue_lost(struct dialogue *d, int r);
/* Forgets the transaction; who logged in. */
extern void dialogue_reset(struct dialogue *d);
extern void dialogue_forget_user(struct dialogue *d);

#endif
