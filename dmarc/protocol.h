/* protocol: between dmarcq and dmarcd, over socket/dmarc/dmarcd
 * (lib/packet.h).  One question on a connection, one answer, each a record.
 *
 *	Q ip NUL helo NUL sender NUL author NUL
 *	with the end of a pipe from which the message can be read: lines with
 *	LF, as the queue keeps them.  It may be closed before its end.
 *
 *	ip: of the client.  helo, sender (without <>), author (the domain of
 *	the From field): "" if there is none.
 *
 *	A spf dmarc policy pct {result why domain NUL selector NUL}
 *
 * spf and dmarc are results, one for each DKIM signature that was looked at
 * stands at the end, at most PROTOCOL_SIGNATURES.  policy is what the author's
 * domain wants done with mail that fails: one of PROTOCOL_P_*; pct, a byte, is
 * with how many of a hundred.  A service that has no answer closes the
 * connection.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#define PROTOCOL_SOCKET "socket/dmarc/dmarcd"

/* RFC 8601 2.7 */
enum {
	RESULT_PASS = 'p',
	RESULT_FAIL = 'f',
	RESULT_SOFTFAIL = 's',
	RESULT_NEUTRAL = 'u',
	RESULT_NONE = 'n',
	RESULT_POLICY = 'y',	/* good, but by our rules it does not count */
	RESULT_TEMPERROR = 't',
	RESULT_PERMERROR = 'e'
};

/* Why a signature does not count. */
enum {
	WHY_NOTHING = '-',
	WHY_LENGTH = 'l',	/* l=: part of the body is not signed */
	WHY_SHA1 = '1',		/* RFC 8301 3.1 */
	WHY_KEY = 'k',		/* there is none, or it is no good */
	WHY_BODY = 'b',		/* another body was signed */
	WHY_EXPIRED = 'x'
};

enum {
	PROTOCOL_P_ABSENT = '-',	/* the domain has no policy */
	PROTOCOL_P_NONE = 'n',
	PROTOCOL_P_QUARANTINE = 'q',
	PROTOCOL_P_REJECT = 'r'
};

enum {
	PROTOCOL_IP = 45,
	PROTOCOL_DOMAIN = 253,		/* RFC 1035 3.1, as text */
	PROTOCOL_SENDER = 320,		/* RFC 5321 4.5.3.1: 64, @, 255 */
	PROTOCOL_SELECTOR = 127,
	PROTOCOL_SIGNATURES = 10,
	PROTOCOL_QUESTION = 1 + PROTOCOL_IP + PROTOCOL_SENDER +
	    2 * PROTOCOL_DOMAIN + 4,
	PROTOCOL_ANSWER = 5 + PROTOCOL_SIGNATURES *
	    (2 + PROTOCOL_DOMAIN + PROTOCOL_SELECTOR + 2),
	PROTOCOL_SECONDS = 10	/* that a check may take in all */
};

#endif
