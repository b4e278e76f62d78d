/* rule: one line of a rule file (scanrules(5)), as text, and as the record of
 * it that scanrules puts into the cdb.
 */
#ifndef RULE_H
#define RULE_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* What becomes of a message, from the mildest. */
enum action {
	ACTION_NONE,
	ACTION_ALLOW,		/* what matches is good: no later rule */
	ACTION_LOG,
	ACTION_HEADER,		/* named in X-Postern-Scan, and logged */
	ACTION_QUARANTINE,
	ACTION_REFUSE,
	ACTION_DISCARD,
	ACTIONS
};

/* What a rule looks at; the letter begins its keys in the cdb. */
enum subject {
	SUBJECT_NAME = 'n',	/* whole file name */
	SUBJECT_EXTENSION = 'e',
	SUBJECT_HEADER = 'h',
	SUBJECT_PSEUDO = 'p',	/* MAILFROM, TCPREMOTEIP, ... */
	SUBJECT_MAGIC = 'm',
	SUBJECT_ANOMALY = 'a',
	SUBJECT_HASH = 's',
	SUBJECT_SIZE = 'z',	/* of the message */
	SUBJECT_SIGNATURE = 'c'	/* clamd's name for it */
};

enum size_test {
	SIZE_ANY = '*',
	SIZE_EQUAL = '=',
	SIZE_BELOW = '<',
	SIZE_ABOVE = '>'
};

enum place {
	PLACE_ANY = '*',
	PLACE_MAIL = 'm',	/* names of parts */
	PLACE_ARCHIVE = 'a'	/* names in archives */
};

/* Strings point into memory of the caller's. */
struct span {
	char const *s;
	size_t n;
};

struct rule {
	enum subject subject;
	enum action action;
	enum size_test test;
	enum place place;
	uint64_t size;
	struct span key;	/* name, extension, field, ...: small letters */
	struct span pattern;	/* of header, pseudo and signature rules */
	struct span from, rcpt, user, ip; /* conditions; empty: none */
	struct span text;	/* the description */
};

enum {
	RULE_LINE = 4096,	/* bytes of a line */
	RULE_MOST = 100000	/* rules of a file */
};

/* Takes a line of the file apart, without its LF.  Strings point into *work,
 * which is overwritten.  *warning is set to a string if the line is taken,
 * but looks like a mistake, else to 0.
 *  1  *rule stored
 *  0  a comment, or blank
 * -1  a mistake: *why says which (errno ENOMEM if *why is 0)
 */
extern int rule_read(char const *s, size_t n, stralloc *work,
    struct rule *rule, char const **why, char const **warning);

/* Appends the record.  1, -1. */
extern int rule_pack(stralloc *out, struct rule const *rule);

/* The other way; strings point into s.  The key is not in the record.  1; 0
 * malformed.
 */
extern int rule_unpack(char const *s, size_t n, struct rule *rule);

extern char const *rule_action_name(enum action);

/* Does an address, user@domain or a domain or .suffix, cover the address
 * s[0..n)?  Without regard to case.
 */
extern int rule_covers(struct span const *who, char const *s, size_t n);

#endif
