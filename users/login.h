/* login: one question to authd, from its arrival to its answer. */
#ifndef LOGIN_H
#define LOGIN_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "users/account.h"
#include "users/helper.h"

struct login {
	uint64_t arrived;	/* milliseconds */
	uint64_t due;		/* when the answer goes out */
	int full;		/* the asker is told who the user is */
	unsigned int unit;	/* of the delay of a refusal, milliseconds */
	char answer;		/* 'K', 'N', 'T'; 0: not known yet */
	struct comparison comparison;
	int exists;
	char const *name, *password, *remote, *service, *session;
	char const *challenge;	/* "": it is a password */
	stralloc request;	/* which those point into */
	stralloc source;	/* key of the remote address */
	struct account who;
};

/* Takes a record apart: login, password, remote address, service, session,
 * and, if it likes, challenge, each with NUL.  1; 0 malformed; -1 out of
 * memory.
 */
extern int login_parse(struct login *l, char const *s, size_t n);

/* The key of guess.h that the failures of that remote address count for: of
 * IPv6 its network.  1, -1.
 */
extern int login_source(char const *remote, stralloc *out);

/* Looks the user up.  1: l->comparison must be made, whoever it is; 0: the
 * answer stands already.
 */
extern int login_begin(struct login *l);

/* The outcome of the comparison: 'y', 'n', or 0 for trouble with it.  Sets
 * answer and due, counts, and logs.
 */
extern void login_end(struct login *l, char outcome, uint64_t now);

/* The answer as a record.  1, -1 out of memory. */
extern int login_answer(struct login const *l, stralloc *out);

/* Wipes and frees. */
extern void login_free(struct login *l);

#endif
