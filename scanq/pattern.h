/* pattern: the patterns of header rules: Perl's regular expressions as far as
 * rule files use them, matched against a whole value.
 *
 * Plain text, text with ".*" in front or behind, and ".{N,}" are compared
 * without a regular expression: nearly all rules are of these kinds, and
 * compiling is what costs.  The rest becomes an extended regular expression
 * of POSIX for the C library's matcher, which is an automaton: its time grows
 * with pattern and value, never faster.  Hence no back-references.
 *
 * Understood: . [ ] ( ) (?: ) | * + ? {m,n} ^ $ \d \w \s \D \W \S, \ before
 * punctuation, \t, \xHH, and (?i) in front.  Repeat counts up to 255, and in
 * all (multiplied where nested) up to PATTERN_COPIES.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <regex.h>
#include <stddef.h>

#include <skalibs/stralloc.h>

enum {
	PATTERN_LENGTH = 1024,	/* bytes of a pattern */
	PATTERN_COPIES = 2000,	/* of one atom, by repeat counts */
	PATTERN_VALUE = 65536	/* bytes of a value that an expression sees */
};

enum pattern_kind {
	PATTERN_TEXT,		/* text, ".*" allowed at either end */
	PATTERN_LONG,		/* ".{N,}" */
	PATTERN_REGEX
};

struct pattern {
	enum pattern_kind kind;
	int nocase;
	int head, tail;		/* ".*" in front, behind */
	size_t least;		/* PATTERN_LONG */
	stralloc text;		/* PATTERN_TEXT; or the expression, with NUL */
	int compiled;
	regex_t regex;
};
#define PATTERN_ZERO { .text = STRALLOC_ZERO }

/* Reads a pattern.  Nothing is compiled yet.
 *  1  stored
 *  0  not a pattern; *why says what is wrong with it
 * -1  out of memory
 */
extern int pattern_read(struct pattern *p, char const *s, size_t n,
    char const **why);

/* Compiles it if it needs that; pattern_match does so by itself.  1; 0 *why;
 * -1.
 */
extern int pattern_compile(struct pattern *p, char const **why);

/* Does the whole of s[0..n) match?  1, 0; -1 with errno. */
extern int pattern_match(struct pattern *p, char const *s, size_t n);

extern void pattern_free(struct pattern *p);

#endif
