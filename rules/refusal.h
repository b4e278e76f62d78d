/* refusal: what a client that is not served is told.
 *
 * "smtp" and "pop3" stand for lines that fit the protocol (RFC 5321 3.8,
 * RFC 3206); else the text is the administrator's own line.  A refusal by
 * rule is a 421 as well: a mistake in the rules must not bounce mail.
 */
#ifndef REFUSAL_H
#define REFUSAL_H

enum { REFUSAL_TEXT = 510 };	/* RFC 5321 4.5.3.1.5, without CR LF */

struct refusal {
	char const *busy;	/* a limit, or trouble of ours; 0: no line */
	char const *denied;
	char own[REFUSAL_TEXT + 3];
};

/* text: as above; 0: clients are told nothing.  1; 0: too long. */
extern int refusal_lines(struct refusal *r, char const *text);

#endif
