/* backend: what the dialogue asks of the rest of the suite and of the clock,
 * so that a test or a fuzzer can stand in for all of it.
 *
 * A message goes open, put..., then close or abort.  open and close: 1; 0 not
 * queued, and reply then says why, as an SMTP reply of one line.
 */
#ifndef BACKEND_H
#define BACKEND_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "lib/ucspitls.h"

struct question {
	stralloc const *sender, *recipient, *helo;
};

/* An encrypted connection: "TLSv1.3", and which cipher, or 0: we were not
 * told.  protocol 0: it is not encrypted.
 */
struct tls {
	char const *protocol, *cipher;
};

/* What a client says to log in. */
struct credentials {
	char const *login, *password;
	char const *challenge;	/* "", or what the password is an answer to */
};

enum {
	LOGIN_WRONG = 0,
	LOGIN_GOOD = 1,
	LOGIN_HERE_ONLY = 2,	/* good, and may not relay */
	LOGIN_TROUBLE = -1	/* which has been logged */
};

enum { BACKEND_TEXT = 256 };

struct backend {
	int (*open)(struct backend *);
	void (*put)(struct backend *, char const *s, size_t n);
	int (*close)(struct backend *, stralloc const *envelope);
	void (*abort)(struct backend *);
	char const *(*reply)(struct backend *);

	/* What the tables say: RECIPIENT_... of lib/recipient.h. */
	int (*recipient)(struct backend *, struct question const *);
	/* 0, or a program to be asked in their place: the same answers;
	 * text: what it wants the client to be told, or "". */
	int (*ask)(struct backend *, struct question const *);

	/* 0, or whether lists of names refuse this sender or HELO: 1, text is
	 * why, in the manner of $RBLSMTPD; 0 they do not; -1 trouble, which
	 * has been logged. */
	int (*names)(struct backend *, struct question const *);

	/* 0: no passwords are taken here; or LOGIN_...  */
	int (*login)(struct backend *, struct credentials const *);
	/* 0, or whether that user may send one more message, to so many: 1;
	 * 0 no, text is the reply; -1 trouble, which has been logged. */
	int (*allow)(struct backend *, stralloc const *user, unsigned int n);
	/* A word that has never been said before. */
	char const *(*nonce)(struct backend *);
	/* 0: TLS is not on offer; else as ucspitls_ready and _start. */
	int (*tlsready)(struct backend *);
	int (*starttls)(struct backend *, unsigned int seconds, struct tls *);

	uint64_t (*time)(struct backend *);	/* seconds since 1970 */
	void (*pause)(struct backend *, unsigned int seconds);

	char const *helo;	/* what the client calls itself; set by the */
	size_t helo_len;	/* dialogue, for the programs behind us */
	char text[BACKEND_TEXT];
	pid_t pid;		/* of the last message: "qp PID" */
	uint64_t id;		/* of the last message; 0: not known */
	int connection;
	char const *const *checker;
	struct ucspitls tls;
};

/* The real one, over lib/enqueue.h, lib/recipient.h and smtpd/login.h.
 * connection: what a pause watches, to end when the client goes away.
 * checker: the program that checks passwords, and its arguments; its first is
 * 0 where there is none.
 */
extern void backend_init(struct backend *, int connection,
    char const *const *checker);

#endif
