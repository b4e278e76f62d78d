/* talk: an SMTP conversation that is printed as it goes: ">>> " and what we
 * say, "<<< " and what the server says, as in many a relay test's report.
 *
 * The server is not trusted: a reply has at most TALK_LINES lines of
 * LIMIT_COMMAND bytes, comes within the deadline or not at all, and of it only
 * printable ASCII is shown.
 */
#ifndef TALK_H
#define TALK_H

#include <stddef.h>

#include "lib/io.h"
#include "lib/ipaddr.h"

enum {
	TALK_LINES = 100,
	TALK_PATIENCE = 60	/* seconds: servers slow down who errs */
};

struct talk {
	io io;
	int fd;			/* -1: not connected */
	int quiet;		/* print nothing */
};

/* 1 connected; -1 with errno. */
extern int talk_open(struct talk *t, struct ipaddr const *to,
    unsigned int port, struct ipaddr const *from);
extern void talk_close(struct talk *t);

/* The next reply.  1, *code is its number, 100 to 599; 0 the server has ended
 * the conversation, or said no SMTP; -1 trouble with errno.
 */
extern int talk_reply(struct talk *t, unsigned int *code);

/* One command, without its CR LF, and the reply. */
extern int talk_command(struct talk *t, char const *command,
    unsigned int *code);

/* Bytes as they are, not shown.  1, -1. */
extern int talk_send(struct talk *t, char const *s, size_t n);

/* Does the server say anything more within so many seconds? 1, 0. */
extern int talk_more(struct talk *t, unsigned int seconds);

#endif
