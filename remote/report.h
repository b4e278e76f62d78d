/* report: what became of a message at one destination, in the words of
 * qmail-remote(8): one report for each recipient, r accepted, h refused for
 * good, s refused for now; and one for the message, K, Z or D, or C: the file
 * is damaged.
 */
#ifndef REMOTE_REPORT_H
#define REMOTE_REPORT_H

#include <stddef.h>

#include <skalibs/stralloc.h>

#include "remote/reply.h"

struct recipient {
	char const *number;	/* of the delivery; null: qmail-remote's way */
	char const *address;
	char letter;		/* 0: not asked, or without an answer */
	size_t text, len;	/* in texts */
};

struct report {
	struct recipient *rcpt;
	size_t n, room;
	stralloc texts;
	char letter;		/* 0: nothing is known yet */
	stralloc text;
};
#define REPORT_ZERO { 0, 0, 0, STRALLOC_ZERO, 0, STRALLOC_ZERO }

/* A recipient more.  1, -1. */
extern int report_add(struct report *p, char const *number,
    char const *address);

/* Forgets what was said, not the recipients; and these too. */
extern void report_clear(struct report *p);
extern void report_reset(struct report *p);

/* The message's: the strings up to a null pointer, in place of what was said
 * before.  Without memory: the letter without its text.  "report_temp(...)".
 */
extern void report_set(struct report *p, char letter,
    char const *const *parts);
#define report_temp(p, ...) \
	report_set((p), 'Z', (char const *const []){ __VA_ARGS__, 0 })
#define report_perm(p, ...) \
	report_set((p), 'D', (char const *const []){ __VA_ARGS__, 0 })

/* Adds "Remote host said: " and a reply, cut where it is long. */
extern void report_said(struct report *p, struct reply const *r);

/* Adds a line of our own. */
extern void report_note(struct report *p, char const *text);

/* One recipient's: "IP does not like recipient", and the reply. */
extern void report_rcpt(struct report *p, size_t i, char letter,
    char const *ip, struct reply const *r);
/* The same in words of our own. */
extern void report_own(struct report *p, size_t i, char letter,
    char const *text);

/* A foreign name in a report's text: appended, strange bytes as '?'. */
extern void report_name(stralloc *out, char const *s, size_t n);

/* What to tell send about recipient i: its letter, its text in *out. */
extern char report_for(struct report const *p, size_t i, stralloc *out);

/* The same for all, as qmail-remote prints it.  1, -1. */
extern int report_print(struct report const *p, stralloc *out);

#endif
