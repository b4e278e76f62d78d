/* connenv: the UCSPI environment of a connection's program: ours without
 * what may be left over from another connection, PROTO, TCP* and TCP6*, the
 * session id, and what the rule sets, which wins.
 */
#ifndef CONNENV_H
#define CONNENV_H

#include <stddef.h>

#include <skalibs/stralloc.h>

#include "rules/connection.h"
#include "rules/rule.h"

enum { CONNENV_LOCALHOST = 255 };	/* RFC 1035 2.3.4 */

/* One environment; start with all zeroes.  It may be built again and again,
 * and stands on its own: neither *c nor *r need stay.
 */
struct connenv {
	char const **all;	/* what exec takes */
	size_t n, room;
	stralloc rule;		/* the data of the rule */
	char text[2048];	/* 8 addresses and ports, 2 names, 1 session */
	size_t used;
};

/* localhost: value of $TCPLOCALHOST, or 0.  1, or -1 out of memory. */
extern int connenv_init(char const *const *env, char const *localhost);

/* r may be 0.  1, or -1 out of memory. */
extern int connenv_build(struct connenv *e, struct connection const *c,
    struct rule const *r);

#endif
