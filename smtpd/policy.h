/* policy: the settings of smtpd, read when they are first needed and once.
 *
 * What a client that leaves after the greeting never asks for costs nothing.
 * Files are below the home directory, which is the current directory.  All
 * functions: 1; 0 where said; -1 trouble, which has been logged with the
 * name of the file.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stddef.h>

#include <skalibs/stralloc.h>

#include "lib/cdbfile.h"

/* with "220 " and " ESMTP" a line of 512 (RFC 5321 4.5.3.1.5) */
#define POLICY_GREETING 500

struct policy {
	char greeting[POLICY_GREETING];
	size_t greeted;		/* its length; 0: not read yet */
	size_t name;		/* length of its first word, our name */
	unsigned int timeout;	/* seconds */
	unsigned long databytes; /* 0: no limit */
	unsigned int maxrcpt;
	stralloc badmailfrom, badhelo, badrcptto, rcpthosts, localiphost;
	struct cdbfile more;	/* morercpthosts.cdb */
	unsigned int auth;	/* POLICY_... */
	stralloc usersenders;	/* who may write as whom: lib/sender.h */
	unsigned int hide_user;	/* from the Received line */
	int knows_size, knows_lists, knows_more, knows_auth, knows_users;
};
#define POLICY_ZERO { "", 0, 0, 0, 0, 0, STRALLOC_ZERO, \
	STRALLOC_ZERO, STRALLOC_ZERO, STRALLOC_ZERO, STRALLOC_ZERO, \
	CDBFILE_ZERO, 0, STRALLOC_ZERO, 0, 0, 0, 0, 0, 0 }

enum {
	POLICY_PLAIN = 1,	/* AUTH PLAIN and LOGIN */
	POLICY_CRAM = 2,	/* AUTH CRAM-MD5 */
	POLICY_REQUIRED = 4,	/* nobody may send who has not logged in */
	POLICY_CLEAR = 8	/* passwords may cross a plain connection */
};

/* For the greeting: greeting, name, timeout. */
extern int policy_start(struct policy *p);
/* For EHLO and MAIL: databytes, which $DATABYTES overrides. */
extern int policy_size(struct policy *p);
/* For MAIL: the lists of senders, recipients and names, and maxrcpt. */
extern int policy_lists(struct policy *p);

/* For AUTH, and to say why it is missing: $SMTPAUTH, and $PLAINTEXTAUTH, which
 * overrides control/plaintextauth.
 */
extern int policy_auth(struct policy *p);
/* For MAIL: must the client log in?  0: it need not.  No file is read. */
extern int policy_required(struct policy *p);
/* Once somebody has logged in: usersenders, hide_user. */
extern int policy_users(struct policy *p);

/* 0: neither rcpthosts nor morercpthosts.cdb holds the domain.  Without
 * rcpthosts morercpthosts.cdb is not asked, as qmail does. */
extern int policy_has_domain(struct policy *p, char const *s, size_t n);

/* Is the address, or "@" and its domain, in such a list?  1, 0. */
extern int policy_listed(stralloc const *list, char const *s, size_t n);

/* What replaces one of our own IP addresses.  0: nothing does. */
extern int policy_localiphost(struct policy *p);

#endif
