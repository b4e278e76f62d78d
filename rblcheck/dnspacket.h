/* dnspacket: DNS messages as a client of a resolver sees them (RFC 1035 4,
 * RFC 6891), over the name codec and packet cursor of libowfat.  No sockets,
 * no clock, no state: a fuzzer calls dnspacket_match and dnspacket_read with
 * whatever bytes it likes.
 */
#ifndef DNSPACKET_H
#define DNSPACKET_H

#include <stddef.h>

#include <libowfat/stralloc.h>

enum {
	DNSPACKET_NAME = 255,	/* RFC 1035 2.3.4: octets of a name */
	DNSPACKET_QUERY = 12 + DNSPACKET_NAME + 4 + 11,
	DNSPACKET_MAX = 65535,	/* RFC 1035 4.2.2: what TCP can carry */
	DNSPACKET_UDP = 1232,	/* what we say that we take over UDP: fits
				 * every path without fragments */
	DNSPACKET_TEXT = 60000	/* bytes of canonical name and values */
};

/* What becomes of a question; dnsq has an exit code for each. */
enum dnspacket_result {
	DNSPACKET_ANSWER, DNSPACKET_NODATA, DNSPACKET_NXDOMAIN,
	DNSPACKET_FAILED, DNSPACKET_TIMEOUT
};

struct dnsname {
	unsigned int type;
	size_t len;
	char wire[DNSPACKET_NAME];
};

/* Reads a type ("mx", any case) and a name as people write it, with \ooo for
 * odd bytes; for ptr also an address, which becomes its in-addr.arpa or
 * ip6.arpa name.  1; 0 unknown type, or no name; -1 out of memory.
 */
extern int dnspacket_name(struct dnsname *out, char const *type,
    char const *name);

/* "mx" for 15. */
extern char const *dnspacket_type(unsigned int type);

/* Appends the name as dnspacket_name reads it: lower case, all but letters,
 * digits, '-', '_' and the dots as \ooo.  1; -1 out of memory.
 */
extern int dnspacket_text(stralloc *out, struct dnsname const *q);

/* Writes a query (recursion desired, AD wanted: RFC 6840 5.7).  id: two
 * random bytes.  dice: DNSPACKET_NAME random bytes that choose the case of
 * letters ("0x20"), or null: leave them.  edns: with an OPT record.  Its
 * length.
 */
extern size_t dnspacket_query(char *out, struct dnsname const *q,
    char const *id, char const *dice, int edns);

/* Does this packet answer that query?  The id and the question must be those
 * sent, to the letter.
 */
enum {
	DNSPACKET_FOREIGN,	/* not ours: ignore it */
	DNSPACKET_OURS,
	DNSPACKET_CASE		/* ours, but for the case of letters */
};
extern int dnspacket_match(char const *query, size_t querylen,
    char const *reply, size_t len);

/* Of a reply that matched. */
extern int dnspacket_truncated(char const *reply);
extern int dnspacket_secure(char const *reply);		/* AD */
/* FORMERR or NOTIMP, from a server that may not know EDNS0. */
extern int dnspacket_puzzled(char const *reply);

/* What a reply that matched says.  ANSWER, NODATA, NXDOMAIN: *text is the
 * canonical name (the end of the CNAME chain, which starts at the name asked
 * for and is followed by owner), then, each with a blank in front, the values:
 *
 *	a, aaaa		address
 *	mx		preference:name
 *	ptr, cname	name
 *	txt		"text": its strings joined, bytes that are no printable
 *			ASCII, blanks, '"' and '\' as \ooo
 *	tlsa		usage:selector:matching:hexadecimal
 *
 * FAILED: *why is a word for the reason, a constant.
 */
extern int dnspacket_read(struct dnsname const *q, char const *reply,
    size_t len, stralloc *text, char const **why);

#endif
