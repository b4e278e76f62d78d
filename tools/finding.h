/* finding: what doctor found, a line each, for people or as JSON.
 *
 *	ok     relay       127.9.9.9 may not relay
 *	BAD    disk        3 % of queue/ are free: mail is refused when it is
 *	                   full; mend: ...
 *
 * What, why and mend are C strings that may hold foreign bytes: only printable
 * ASCII is shown.
 */
#ifndef FINDING_H
#define FINDING_H

enum grade { FINDING_OK, FINDING_NOTE, FINDING_WARN, FINDING_BAD };

struct finding {
	enum grade grade;
	char const *what;	/* in plain words */
	char const *why;	/* why it matters; 0 unless it is wrong */
	char const *mend;	/* a command; 0 as well */
};

/* How to write: JSON; colours. */
extern void finding_style(int json, int colour);
/* The name of the check that the following belong to. */
extern void finding_check(char const *name);

extern void finding(struct finding const *f);
extern void finding_ok(char const *format, ...)
    __attribute__((format(printf, 1, 2)));
extern void finding_note(char const *format, ...)
    __attribute__((format(printf, 1, 2)));
extern void finding_warn(char const *why, char const *mend,
    char const *format, ...) __attribute__((format(printf, 3, 4)));
extern void finding_bad(char const *why, char const *mend,
    char const *format, ...) __attribute__((format(printf, 3, 4)));

/* Ends the JSON.  The worst grade of all. */
extern enum grade finding_end(void);

#endif
