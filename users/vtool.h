/* vtool: what the mains of vadduser and its like share.  Unlike a module of
 * lib/, its functions end the program where they fail, with a message: 100
 * for what will not change, 111 for what may.
 */
#ifndef VTOOL_H
#define VTOOL_H

#include <skalibs/stralloc.h>

#include "users/vdomain.h"

enum { VTOOL_RANDOM = 12 };	/* letters of a random password */

/* Names the program, enters the home directory, and waits for users/lock. */
extern void vtool_begin(char const *prog);

/* s in lower case; dies unless it may be a domain. */
extern char *vtool_domain(char const *s);

/* Cuts user@domain, in lower case, in two; *domain points into it. */
extern char *vtool_address(char const *s, char **domain);

/* vdomain_open; dies if there is none. */
extern void vtool_open(struct vdomain *d, char const *domain);

/* The user's entry; dies if there is none. */
extern void vtool_user(struct vdomain const *d, char const *name,
    struct vpasswd *out);

/* A password: the argument; or of so many random letters, which are printed;
 * or else from standard input, asked for twice if that is a terminal.
 */
extern void vtool_password(char const *arg, unsigned int random,
    stralloc *out);
/* Its length from the argument of -r, or VTOOL_RANDOM. */
extern unsigned int vtool_random(char const *arg);

/* The hash of a password, with NUL. */
extern void vtool_hash(stralloc const *password, stralloc *out);

/* A quota as vpopmail keeps it: "NOQUOTA", or bytes "S" from 10M, 500K, ...;
 * dies if it is none.
 */
extern char *vtool_quota(char const *s);

/* Compiles users/assign.  1, -1 after bin/usersmake has said why. */
extern int vtool_usersmake(void);

/* Has the services read their control files again; silent if none run. */
extern void vtool_reload(void);

/* Writes one line to standard output. */
extern void vtool_say(char const *name, char const *value);

#endif
