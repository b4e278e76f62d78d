/* vtool: what the mains of vadduser and its like share.  Unlike a module of
 * lib/, its functions end the program where they fail, with a message: 100
 * for what will not change, 111 for what may.
 */
#ifndef VTOOL_H
#define VTOOL_H

#include <skalibs/stralloc.h>

#include "users/vdomain.h"

enum { VTOOL_RANDOM = 12 };	/* letters of a random password */

/* Names the program and enters the home directory. */
extern void vtool_begin(char const *prog);

/* Waits for users/lock: after the options have been looked at, before any
 * table is.
 */
extern void vtool_lock(void);

/* s in lower case; dies unless it may be a domain. */
extern char *vtool_domain(char const *s);

/* Cuts user@domain, in lower case, in two; a user alone is one of
 * control/defaultvdomain.
 */
extern char *vtool_address(char const *s, char **domain);

/* vdomain_open; dies if there is none. */
extern void vtool_open(struct vdomain *d, char const *domain);

/* The same, of a domain that is going to be changed: tables that a killed tool
 * has left behind are mended first.
 */
extern void vtool_change(struct vdomain *d, char const *domain);

/* Calls f for each virtual domain that users/assign names, alias domains
 * only if asked.
 */
extern void vtool_domains(int aliases, void (*f)(char const *, void *),
    void *arg);

/* The .qmail-default that does this with mail for unknown names:
 * "bounce-no-mailbox", "delete", an address, or a user of the domain.
 */
extern void vtool_policy_ok(char const *word);	/* or dies */
extern void vtool_policy(struct vdomain const *d, char const *word,
    stralloc *out);

/* The quota of a new user who is given none: the domain's, or
 * control/defaultquota, or NOQUOTA.
 */
extern char *vtool_default_quota(struct vdomain const *d);

/* Takes away the mark that the user's mailbox is full (users/full), or the
 * marks of all users.  What does not work is no trouble: marks are not
 * believed for long.
 */
extern void vtool_not_full(struct vdomain const *d, char const *name);

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

/* A line, if that field is wanted: with its label where all are, by itself
 * where its letter is named.
 */
extern void vtool_field(char const *wanted, char letter, char const *label,
    char const *value);

#endif
