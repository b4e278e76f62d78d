/* mailbox: the users of one virtual domain: users/mailbox/DOMAIN.cdb, made
 * from the domain's vpasswd file and its .qmail files by every tool that
 * changes one of them.  World-readable: no hashes.
 *
 * Key: the name in lower case.  Value: a letter, then NUL-terminated fields:
 *	u flags dir quota [all]
 *	                      a user: flags of vpopmail's mask in decimal, the
 *	                      directory below the domain's own, the quota; and,
 *	                      if there is one, that of the whole domain
 *	a                     an alias: a .qmail-NAME file of the domain
 * Key "" holds "d" and the policy for unknown names: "bounce-no-mailbox",
 * "delete", or an address or Maildir that takes them.
 */
#ifndef MAILBOX_H
#define MAILBOX_H

#include <stddef.h>

#include <skalibs/stralloc.h>

enum {				/* vpopmail's mask */
	MAILBOX_NOPASSWD = 0x01, MAILBOX_NOPOP = 0x02,
	MAILBOX_NOWEBMAIL = 0x04, MAILBOX_NOIMAP = 0x08,
	MAILBOX_BOUNCE = 0x10, MAILBOX_NORELAY = 0x20,
	MAILBOX_NODIALUP = 0x40, MAILBOX_USER0 = 0x80,
	MAILBOX_USER1 = 0x100, MAILBOX_USER2 = 0x200, MAILBOX_USER3 = 0x400,
	MAILBOX_NOSMTP = 0x800, MAILBOX_ADMIN = 0x1000,
	MAILBOX_OVERRIDE = 0x2000, MAILBOX_NOSPAMASSASSIN = 0x4000,
	MAILBOX_DELETESPAM = 0x8000, MAILBOX_SYSTEMADMIN = 0x10000,
	MAILBOX_EXPERT = 0x20000, MAILBOX_NOMAILDROP = 0x40000
};

struct mailbox {
	char kind;		/* 'u', 'a', 'd' */
	unsigned long flags;
	char const *dir;	/* in sa; also the policy of kind 'd' */
	char const *quota;
	char const *all;	/* the domain's quota; "": none */
	stralloc sa;
};
#define MAILBOX_ZERO { .sa = STRALLOC_ZERO }

/* Looks name up in that domain; name "" asks for the policy.  Case of both is
 * ignored.  Home is the current directory.
 *  1  found; 0 no such name; -1 with errno (ENOENT: no such virtual domain;
 *  EPROTO: malformed record)
 */
extern int mailbox_find(char const *domain, size_t dlen, char const *name,
    size_t n, struct mailbox *out);

/* Takes the value of a record apart.  1; -1 with errno (EPROTO: malformed). */
extern int mailbox_parse(char const *s, size_t n, struct mailbox *out);

/* Is that a domain name we would ever make a file for?  [a-z0-9.-], no empty
 * label, no dot in front, 96 bytes at most (vpopmail's limit).
 */
extern int mailbox_domain_ok(char const *domain, size_t n);
/* The same for user names: [a-z0-9._+=-], 64 bytes at most, no dot in front. */
extern int mailbox_name_ok(char const *name, size_t n);

#endif
