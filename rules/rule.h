/* rule: what the access rules say about a client.
 *
 * The rules are a cdb of tcprules' format (interface: tcpserver), to which
 * rulesmake adds records that only we look up:
 *
 *	key ADDRESS            data: "D" NUL where it denies, then
 *	                       "+NAME=value" NUL for each variable
 *	key ADDRESS NUL        the same for a rule that ends by itself: in front
 *	                       of it "T" seconds since 1970 NUL
 *	key NETWORK/BITS       a CIDR rule whose length is no whole component;
 *	                       NETWORK as lib/ipaddr.h writes it
 *	key NUL                RULE_INDEX bytes: byte 0 bit 0 set if timed rules
 *	                       exist; from byte 1 a bit (LSB first) for each of
 *	                       0..32, the lengths of IPv4 CIDR rules; from byte
 *	                       6 the same for 0..128, IPv6.  Absent if neither
 *	                       kind of rule exists
 *
 * No key that tcpserver looks up holds a NUL or a slash, so it never sees
 * these.  ADDRESS of an IPv6 prefix is whole groups, each with a colon:
 * "2001:db8:0:".
 *
 * The first of these that exists and has not ended decides: INFO@IP,
 * INFO@=HOST, IP, =HOST, networks of the IP from the longest, =.SUFFIX of
 * HOST from the longest, "=" for any HOST, "".
 */
#ifndef RULE_H
#define RULE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/cdbfile.h"

enum {
	RULE_INDEX = 23,
	RULE_INDEX4 = 1,	/* offsets in the index record */
	RULE_INDEX6 = 6,
	RULE_KEY = 1024		/* a longer key is not looked up */
};

/* Strings of the UCSPI environment; 0 where unset. */
struct rule_client {
	char const *ip;
	char const *host;
	char const *info;
};

struct rule {
	int deny;
	uint64_t until;		/* 0: does not end */
	char key[RULE_KEY];	/* ADDRESS of the rule; not terminated */
	size_t keylen;
	char const *data;	/* in the cdb's map: valid while that is */
	size_t len;
};

/*  1  *out is the deciding rule
 *  0  none decides; nothing open
 * -1  damaged cdb, with errno
 */
extern int rule_find(struct cdbfile *c, struct rule_client const *who,
    uint64_t now, struct rule *out);

/* Each variable of a rule, "NAME=value" NUL, in order; start with *pos = 0.
 * 1; 0 no more.
 */
extern int rule_variable(struct rule const *r, size_t *pos, char const **s);

/* Takes the data of a record into *out (deny, until, data, len). */
extern void rule_read(struct rule *out, char const *data, size_t len);

#endif
