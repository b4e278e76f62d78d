/* param: the parameters of Content-* fields, in every way that a reader may
 * take them: quoted or not, with comments, after junk, in sections (RFC 2231),
 * with encoded words (RFC 2047), twice.
 */
#ifndef PARAM_H
#define PARAM_H

#include <stddef.h>

enum {
	PARAMS = 64,		/* of one field, and of the names we look for */
	PARAM_READING = 4096	/* bytes of one reading; more is cut */
};

struct param {
	char const *name;	/* without section and star */
	size_t n;
	long section;		/* -1: none */
	int extended;
	int quoted;
	int unterminated;
	char const *value;	/* without quotes, as it stands */
	size_t vn;
	size_t loose;		/* unquoted: its length up to the semicolon */
};

struct params {
	struct param p[PARAMS];
	size_t n;
	int odd;		/* malformed, or too many */
	int charset;		/* set by params_each: a charset is odd */
};

/* Finds boundary, name and filename in a field's value, unfolded.  The result
 * points into it.
 */
extern void params_find(struct params *, char const *s, size_t n);

/* Every reading of that parameter, some of them perhaps twice: sure is 1 for
 * what RFC 2045 and 2231 say that it is, else 0.  raw is it as it stands.  How
 * many times the parameter is there, sections of one counted once.
 */
typedef void param_reading(void *ctx, char const *s, size_t n, int sure,
    struct param const *raw);
extern unsigned int params_each(struct params *, char const *name,
    param_reading *, void *ctx);

#endif
