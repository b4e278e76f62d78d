#include <string.h>

#include "dmarc/forged.h"
#include "dmarc/macro.h"
#include "dmarc/result.h"
#include "tests/unit/tap.h"

#define US "mx.example.com"

/* How many fields are found, fed in pieces of that size; *first: where. */
static size_t
found(char const *s, size_t n, size_t piece, off_t *first)
{
	static struct forged f;
	size_t i, k;

	forged_begin(&f, US, sizeof US - 1);
	for (i = 0; i < n; i += k) {
		k = n - i < piece ? n - i : piece;
		forged_feed(&f, s + i, k);
	}
	forged_end(&f);
	k = genalloc_len(off_t, &f.places);
	*first = k ? genalloc_s(off_t, &f.places)[0] : -1;
	genalloc_free(off_t, &f.places);
	return k;
}

static void
is_found(char const *head, size_t want, off_t at)
{
	size_t piece, n = strlen(head);
	char label[60];
	off_t first;
	int good = 1;

	/* on one line */
	snprintf(label, sizeof label, "forged: %.*s",
	    (int)strcspn(head, "\r\n"), head);

	for (piece = 1; piece <= n; piece++)
		good &= found(head, n, piece, &first) == want && first == at;
	ok(good, label);
}

static void
test_forged(void)
{
	is_found("Authentication-Results: " US "; x=y\nA: b\n\nc\n", 1, 0);
	is_found("A: b\nauthentication-results:" US "\n\n", 1, 5);
	is_found("AUTHENTICATION-RESULTS: Mx.EXAMPLE.com;\n\n", 1, 0);
	is_found("A: b\n c\nAuthentication-Results:\n\t" US ";\n x\n", 1, 8);
	is_found("Authentication-Results: " US ";\r\nA: b\r\n\r\n"
	    "Authentication-Results: " US "\r\n", 1, 0);
	is_found("Authentication-Results: " US, 1, 0);
	is_found("Authentication-Results: " US ";\n"
	    "Authentication-Results: \"" US "\";\n", 2, 0);
	is_found("Authentication-Results: (unended " US "\n", 1, 0);
	is_found("Authentication-Results: " US "x; y\n", 0, -1);
	is_found("Authentication-Results: x." US "; y\n", 0, -1);
	is_found("Authentication-Result: " US "; y\n", 0, -1);
	is_found(" Authentication-Results: " US "; y\n", 0, -1);
	is_found("A: b\n\tAuthentication-Results: " US "; y\n", 0, -1);
	is_found("A: b\n\nAuthentication-Results: " US "; y\n", 0, -1);
	is_found("Authentication-Results\n: " US "; y\n", 0, -1);
	is_found("", 0, -1);
}

#define ANSWER "Apnr\144" "p-a.example\0s\0" "fbb.example\0t\0"

static void
test_answer(void)
{
	static char const good[] = ANSWER;
	struct findings f;
	char s[sizeof good];
	size_t n = sizeof good - 1, i;
	int c, bad = 0;

	ok(result_read(good, n, &f) == 1 && f.signatures == 2 &&
	    f.spf == RESULT_PASS && f.dmarc == RESULT_NONE && f.pct == 100 &&
	    !strcmp(f.signature[1].domain, "b.example") &&
	    result_dkim(&f) == RESULT_PASS, "an answer is read");
	for (i = 0; i < n; i++)
		bad += result_read(good, i, &f) == 1 && i != 5 && i != 5 + 14;
	ok(!bad, "one that is cut off is none");
	/* whatever stands there: what is taken can be shown */
	for (i = 0; i < n; i++) {
		for (c = 0; c < 256; c++) {
			memcpy(s, good, n);
			s[i] = (char)c;
			if (result_read(s, n, &f) != 1)
				continue;
			bad += !result_word(f.spf) || !result_word(f.dmarc) ||
			    f.pct > 100 || strpbrk(f.signature[0].domain,
			    "\r\n\t ;\"") != 0 ||
			    strpbrk(f.signature[0].selector, "\r\n ;") != 0;
		}
	}
	ok(!bad, "nothing odd is taken from one");
	ok(result_read("Apnr\145", 5, &f) == 0, "101 of a hundred");
	ok(result_read("Apnx\144", 5, &f) == 0, "no policy has such a letter");
}

static void
mends(char const *record, char const *want)
{
	struct facts f = { "192.0.2.1", "h.example", "a-b@example.com", "" };
	char s[128];
	size_t n = strlen(record);

	memcpy(s, record, n + 1);
	n = macro_mend(s, n, "c.example.com", &f);
	ok(n == strlen(want) && !strcmp(s, want), record);
}

static void
test_macro(void)
{
	mends("v=spf1 exists:%{d2}.x", "v=spf1 exists:%{d2}.x");
	mends("v=spf1 exists:%{d3}.x", "v=spf1 exists:%{d}.x");
	mends("v=spf1 exists:%{d3r}%{o2}", "v=spf1 exists:%{dr}%{o}");
	mends("v=spf1 exists:%{l2-}%{l3-}%{l1-}",
	    "v=spf1 exists:%{l-}%{l-}%{l1-}");
	mends("v=spf1 %%{d9}", "v=spf1 %%{d9}");
	mends("v=spf1 %{", "v=spf1 %{");
	mends("v=spf1 %{d", "v=spf1 %{d");
	mends("v=spf1 %{d9", "v=spf1 %{d");
	mends("v=spf1 %{d99999999999999999999}", "v=spf1 %{d}");
	mends("v=spf1 %{d0}", "v=spf1 %{d0}");
	mends("something %{d9}", "something %{d9}");
}

int
main(void)
{
	test_forged();
	test_answer();
	test_macro();
	return tap_done();
}
