/* logevent: what a log line says: lines of our programs (lib/log.h), of
 * qmail-send, tcpserver, rblsmtpd and simscan.
 *
 * The fields point into the line, escaped as they stand there: whoever shows
 * one cleans it.  What a line does not tell is empty or 0.
 */
#ifndef LOGEVENT_H
#define LOGEVENT_H

#include <stddef.h>
#include <stdint.h>

enum logevent_kind {
	LOGEVENT_OTHER,
	LOGEVENT_CONNECT,	/* listen, tcpserver: ok: ip, pid, session */
	LOGEVENT_DENY,		/* the same: deny: ip, session, reason */
	LOGEVENT_CLOSE,		/* end: pid, number (status) */
	LOGEVENT_ACCEPTED,	/* smtpd: one recipient of a message */
	LOGEVENT_REFUSED,	/* smtpd, rblcheck, rblsmtpd: ip, reason */
	LOGEVENT_CHECKED,	/* rblcheck, namecheck: text: answers of lists,
				 * for logevent_answer */
	LOGEVENT_SENDER,	/* dmarcq: outcome, ip, from, author, said */
	LOGEVENT_QUEUED,	/* queued: id, session, from, size, number */
	LOGEVENT_SCANNED,	/* scanq, simscan: action, virus, reason */
	LOGEVENT_LOGIN,		/* authd: user, ip, action */
	LOGEVENT_NEW,		/* send: id */
	LOGEVENT_INFO,		/* send: id, size, from, pid */
	LOGEVENT_START,		/* send: number (delivery), id, remote, to */
	LOGEVENT_DONE,		/* send: number, verdict K, D or Z, text */
	LOGEVENT_BOUNCE,	/* send: id, pid, number (the bounce's id) */
	LOGEVENT_DELAYED,	/* send: the same of a notice of delay */
	LOGEVENT_END,		/* send: id */
	LOGEVENT_STATUS		/* send, listen: how many are under way */
};

/* What can be checked of a sender, and how that ends. */
enum logevent_check {
	LOGEVENT_SPF, LOGEVENT_DKIM, LOGEVENT_DMARC, LOGEVENT_CHECKS
};
enum logevent_result {
	LOGEVENT_PASS, LOGEVENT_FAIL, LOGEVENT_SOFTFAIL, LOGEVENT_NEUTRAL,
	LOGEVENT_POLICY, LOGEVENT_NONE, LOGEVENT_TEMPERROR,
	LOGEVENT_PERMERROR, LOGEVENT_RESULTS
};

extern char const *const logevent_checks[LOGEVENT_CHECKS];
extern char const *const logevent_results[LOGEVENT_RESULTS];

struct logtext {
	char const *s;
	size_t n;
};

struct logevent {
	enum logevent_kind kind;
	struct logtext program, level, session, ip, from, to, user, reason;
	struct logtext action, virus, text, author, outcome;
	struct logtext said[LOGEVENT_CHECKS];
	int has_from;
	int remote;
	char verdict;
	uint64_t id, size, number, pid;
};

/* s[0..n): a line without its time.  1 *out is filled in; 0: nothing that we
 * know (kind is LOGEVENT_OTHER).
 */
extern int logevent_parse(char const *s, size_t n, struct logevent *out);

extern int logevent_is(struct logtext const *t, char const *word);

/* LOGEVENT_RESULTS: another word. */
extern enum logevent_result logevent_result(struct logtext const *t);

/* What a DNS list has said. */
enum logevent_said {
	LOGEVENT_LISTED,
	LOGEVENT_NOT,
	LOGEVENT_FAILED,	/* nothing of use */
	LOGEVENT_ERROR,		/* a code that never counts */
	LOGEVENT_SKIPPED,	/* nothing yet, when others had decided */
	LOGEVENT_SAID
};

struct logevent_answer {
	enum logevent_said said;
	struct logtext list;
	uint64_t ms;
	int has_ms;
};

/* Takes the next one off *text.  1; 0 there is none. */
extern int logevent_answer(struct logtext *text, struct logevent_answer *out);

/* Takes \xHH back; at most max bytes of it.  The length. */
extern size_t logevent_plain(char *out, size_t max, struct logtext const *t);

#endif
