#include <string.h>

#include "scanq/pattern.h"
#include "tests/unit/tap.h"

/* 1, 0; -2: not a pattern */
static int
match(char const *pattern, char const *value)
{
	struct pattern p = PATTERN_ZERO;
	char const *why;
	int k = pattern_read(&p, pattern, strlen(pattern), &why);

	if (k == 1)
		k = pattern_compile(&p, &why);
	k = k == 1 ? pattern_match(&p, value, strlen(value)) : -2;
	pattern_free(&p);
	return k;
}

static int
kind(char const *pattern)
{
	struct pattern p = PATTERN_ZERO;
	char const *why;
	int k = pattern_read(&p, pattern, strlen(pattern), &why);

	k = k == 1 ? (int)p.kind : -1;
	pattern_free(&p);
	return k;
}

static void
whole(void)
{
	ok(match("Pickles.*Breakfast", "Pickles for Breakfast") == 1,
	    "a pattern matches the whole value");
	ok(match("Pickles.*Breakfast", "Re: Pickles for Breakfast") == 0 &&
	    match("Pickles.*Breakfast", "Pickles for Breakfast!") == 0,
	    "and no part of it");
	ok(match("a|b", "a") == 1 && match("a|b", "b") == 1 &&
	    match("a|b", "ab") == 0 && match("a|bc", "abc") == 0,
	    "anchors hold around alternatives");
	ok(match("^abc$", "abc") == 1 && match("^a.c$", "abc") == 1,
	    "anchors of one's own change nothing");
	ok(match("abc", "ABC") == 0 && match("(?i)abc", "ABC") == 1 &&
	    match("(?i)a.c|x", "ABC") == 1, "case counts, unless (?i)");
}

static void
text(void)
{
	ok(kind("message/partial") == PATTERN_TEXT &&
	    kind("message/partial.*") == PATTERN_TEXT &&
	    kind(".*@sex\\.com") == PATTERN_TEXT &&
	    kind(".* sex.*") == PATTERN_TEXT, "text needs no expression");
	ok(kind("a.c") == PATTERN_REGEX && kind("a\\d") == PATTERN_REGEX &&
	    kind("a\\.*") == PATTERN_REGEX, "what is no text does");
	ok(match("message/partial.*", "message/partial; id=1") == 1 &&
	    match("message/partial", "message/partial; id=1") == 0,
	    "text with a tail");
	ok(match(".*@sex\\.com", "a@sex.com") == 1 &&
	    match(".*@sex\\.com", "a@sex-com") == 0 &&
	    match(".*@sex\\.com", "a@sex.com.example") == 0,
	    "text with a head");
	ok(match(".* sex.*", "good sex!") == 1 &&
	    match(".* sex.*", "goodsex") == 0 &&
	    match("(?i).*SEX.*", "good sex!") == 1 &&
	    match("(?i).*SEX.*", "good se") == 0, "text with both");
	ok(match(".*", "") == 1 && match("", "") == 1 && match("", "a") == 0,
	    "nothing and everything");
}

static void
length(void)
{
	char s[301];

	memset(s, 'x', 300);
	s[300] = 0;
	ok(kind(".{100,}") == PATTERN_LONG && match(".{100,}", s + 200) == 1 &&
	    match(".{100,}", s + 201) == 0, "a least length");
	ok(match(".{1000,}", s) == 0 && match(".{300,}", s) == 1,
	    "of any size");
	ok(match("x{255}.*", s) == 1 && match("x{256}", s) == -2 &&
	    match("(x{50}){50}", s) == -2, "repeats are limited");
}

static void
perl(void)
{
	ok(match("\\d+-\\w\\s\\D", "12-_ x") == 1 &&
	    match("\\d+-\\w\\s\\D", "12-_ 3") == 0, "\\d \\w \\s \\D");
	ok(match("[\\d.]+", "1.2") == 1 && match("[\\w\\-]+", "a-b") == 1 &&
	    match("[^\\s]+", "a b") == 0, "classes in brackets");
	ok(match("[]a]+", "]a") == 1 && match("[\\]a]+", "]a") == 1 &&
	    match("[a^]+", "^a") == 1 && match("[\\^]", "^") == 1 &&
	    match("[-a]+", "a-") == 1 && match("[a-c]+", "abc") == 1 &&
	    match("[a-c]+", "a-") == 0, "odd members of brackets");
	ok(match("(?:ab)+c??x", "ababx") == 1 && match("a.*?b", "axxb") == 1,
	    "(?: and lazy repeats");
	ok(match("\\x41\\tb?", "A\t") == 1, "\\x and \\t");
	ok(match("a{b", "a{b") == 1 && match("x{2,3}y", "xxxy") == 1 &&
	    match("x{2,3}y", "xy") == 0, "braces");
}

static void
refused(void)
{
	ok(match("(a", "a") == -2 && match("a)", "a") == -2 &&
	    match("[a", "a") == -2 && match("a\\", "a") == -2 &&
	    match("(?=a)", "a") == -2 && match("a\\q", "aq") == -2,
	    "malformed ones are refused");
	ok(match("(a)\\1", "aa") == -2, "so are back-references");
	ok(match("a+++", "a") == -2 && match("a**", "a") == -2,
	    "so are repeats of repeats");
	ok(match(".*", "") == 1 && match("(?i).*.*", "") == 1,
	    "empty text in front of nothing");
}

/* no value makes it slow: 50 nested choices over 60 KB in well under a second
 * (a backtracking matcher never ends)
 */
static void
bounded(void)
{
	static char s[60001];
	struct pattern p = PATTERN_ZERO;
	char const *why;

	memset(s, 'a', 60000);
	ok(pattern_read(&p, "(a*)*(a|aa)*b", 13, &why) == 1 &&
	    pattern_match(&p, s, 60000) == 0, "no value makes it hang");
	pattern_free(&p);
}

static void
nul(void)
{
	struct pattern p = PATTERN_ZERO;
	char const *why;

	ok(pattern_read(&p, "a.*c+", 5, &why) == 1 &&
	    pattern_match(&p, "a\0bc", 4) == 1 &&
	    pattern_match(&p, "ac\0b", 4) == 0, "a NUL does not end a value");
	pattern_free(&p);
}

int
main(void)
{
	whole();
	text();
	length();
	perl();
	refused();
	bounded();
	nul();
	return tap_done();
}
