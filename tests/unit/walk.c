/* The walker's parts: decoders, boundaries, parameters, records; and that a
 * walk can be used again.
 */
#include <stdlib.h>
#include <string.h>

#include "scanq/boundary.h"
#include "scanq/decode.h"
#include "scanq/magic.h"
#include "scanq/param.h"
#include "scanq/walk.h"
#include "scanq/walkwire.h"
#include "scanq/words.h"
#include "tests/unit/tap.h"

static char out[4096];
static size_t used;

static void
put(void *ctx, char const *s, size_t n)
{
	(void)ctx;
	memcpy(out + used, s, n);
	used += n;
}

static int
is_out(char const *want)
{
	return used == strlen(want) && memcmp(out, want, used) == 0;
}

/* Decodes in pieces of every size: the same must come out. */
static int
decodes(enum walk_encoding kind, char const *s, char const *want, int wrong)
{
	static struct decode d;
	size_t n = strlen(s), step, i, k;

	for (step = 1; step <= n; step++) {
		used = 0;
		decode_start(&d, kind, put, 0);
		for (i = 0; i < n; i += k) {
			k = n - i < step ? n - i : step;
			decode_feed(&d, s + i, k);
		}
		decode_end(&d);
		if (!is_out(want) || d.wrong != wrong)
			return 0;
	}
	return 1;
}

static void
test_base64(void)
{
	ok(decodes(WALK_BASE64, "aGVsbG8=", "hello", 0), "base64");
	ok(decodes(WALK_BASE64, "aG\r\nVs bG8", "hello", 0),
	    "blanks anywhere, no padding");
	ok(decodes(WALK_BASE64, "aA==ZQ==bGxv", "hello", DECODE_PADDING),
	    "groups that end early");
	ok(decodes(WALK_BASE64, "aG=VsbG8=", "hello", DECODE_PADDING),
	    "padding where none can be");
	ok(decodes(WALK_BASE64, "a!G*V.sbG8=", "hello", DECODE_ILLEGAL),
	    "bytes outside the alphabet");
	ok(decodes(WALK_BASE64, "-_8A", "\xfb\xff", DECODE_URL) == 0 &&
	    decodes(WALK_BASE64, "-_-_", "\xfb\xff\xbf", DECODE_URL),
	    "the alphabet of URLs");
	ok(decodes(WALK_BASE64, "aGVsbG8ga", "hello ", DECODE_PADDING),
	    "bits left over");
}

static void
test_quoted(void)
{
	ok(decodes(WALK_QUOTED, "a=3D=3d=\nb=\r\nc", "a==bc", 0),
	    "quoted-printable: digits in both cases, soft line ends");
	ok(decodes(WALK_QUOTED, "a= \t\r\nb", "ab", 0),
	    "blanks behind a soft line end");
	ok(decodes(WALK_QUOTED, "a=ZZ=4", "a=ZZ=4", DECODE_QUOTED),
	    "what is no escape stays");
}

static int
never(void *ctx, unsigned int level)
{
	(void)ctx;
	(void)level;
	return 0;
}

static int
matches(struct boundaries *all, char const *line, unsigned int level,
    int close, int junk)
{
	struct boundary_match m;

	return boundary_match(all, line, strlen(line), never, 0, &m) == 1 &&
	    m.level == level && m.close == close && m.junk == junk;
}

static void
test_boundaries(void)
{
	static struct boundaries all;
	struct boundary_match m;

	boundary_start(&all);
	boundary_push(&all, 0, "b", 1);
	boundary_push(&all, 1, "bc", 2);
	ok(matches(&all, "--b", 0, 0, 0) && matches(&all, "--bc", 1, 0, 0),
	    "one boundary is the beginning of another");
	ok(matches(&all, "--b-- \t\r", 0, 1, 0), "close, blanks behind it");
	ok(matches(&all, "--bcd", 1, 0, 1), "junk behind the longer one");
	ok(!boundary_match(&all, "--a", 3, never, 0, &m) &&
	    !boundary_match(&all, "-b", 2, never, 0, &m), "no delimiter");
	boundary_pop(&all, 1);
	ok(matches(&all, "--bc", 0, 0, 1), "the inner one has gone");
	boundary_pop(&all, 0);
	ok(!boundary_match(&all, "--b", 3, never, 0, &m), "all have gone");
}

static char const *wanted;
static int found;

static void
compare(void *ctx, char const *s, size_t n, int sure,
    struct param const *raw)
{
	(void)ctx;
	(void)raw;
	if (sure && n == strlen(wanted) && memcmp(s, wanted, n) == 0)
		found = 1;
}

static int
reads(char const *value, char const *want)
{
	static struct params p;

	wanted = want;
	found = 0;
	params_find(&p, value, strlen(value));
	params_each(&p, "name", compare, 0);
	return found;
}

static void
test_parameters(void)
{
	ok(reads("a/b; name=x", "x") && reads("a/b;NAME = \"x y\"", "x y"),
	    "token and quoted string");
	ok(reads("a/b; name*=utf-8'en'%41%42", "AB"), "extended");
	ok(reads("a/b; name*1=b; name*0=a; name*2*=%63", "abc"),
	    "sections in any order");
	ok(reads("a/b; name=(comment (in it))\"x\\\"y\"", "x\"y"),
	    "comments and quoted pairs");
	ok(!reads("a/b; x=\"name=y\"", "y"), "not inside a quoted string");
}

static int
says(char const *s, char const *want)
{
	int odd = 0;
	size_t n = words_decode(out, sizeof out, s, strlen(s), &odd);

	return n == strlen(want) && memcmp(out, want, n) == 0;
}

static void
test_words(void)
{
	ok(says("=?utf-8?B?YcM=?=  =?UTF-8?Q?=A4_b?= c", "a\xc3\xa4 b c"),
	    "a character cut between two words");
	ok(says("=?iso-8859-1*de?q?=E4?=x", "\xc3\xa4x"),
	    "a language, and no blank behind");
	ok(says("=?utf-16?B?/v8AYQ==?=", "a"), "UTF-16");
	ok(says("no words =?here?", ""), "none");
}

static void
test_records(void)
{
	struct walk_event e = { .type = WALK_FILE, .code = WALK_IN_ZIP,
	    .part = 70000, .size = WALK_UNKNOWN }, got;
	char s[WALKWIRE_HEADER + 5];

	e.s = "abc";
	e.n = 3;
	e.t = "de";
	e.tn = 2;
	walkwire_put((unsigned char *)s, &e);
	memcpy(s + WALKWIRE_HEADER, "abcde", 5);
	ok(walkwire_get(s, sizeof s, &got) == sizeof s &&
	    got.part == 70000 && got.size == WALK_UNKNOWN && got.n == 3 &&
	    got.tn == 2 && memcmp(got.t, "de", 2) == 0, "a record");
	ok(walkwire_get(s, sizeof s - 1, &got) == 0 &&
	    walkwire_get(s, 31, &got) == 0, "an incomplete one");
	s[1] = (char)WALK_SOURCES;
	ok(walkwire_get(s, sizeof s, &got) == -1, "a code that there is not");
	s[0] = 0;
	ok(walkwire_get(s, sizeof s, &got) == -1, "no type");
}

static void
test_names(void)
{
	int i, good = 1;

	for (i = 0; i < WALK_ANOMALY_COUNT; i++)
		good &= walk_anomaly_name(i) && walk_anomaly_code(
		    walk_anomaly_name(i), strlen(walk_anomaly_name(i))) == i;
	for (i = 0; i < WALK_MAGICS; i++)
		good &= walk_magic_name(i) && walk_magic_code(
		    walk_magic_name(i), strlen(walk_magic_name(i))) == i;
	ok(good, "every code has a name of its own");
	ok(!walk_anomaly_name(-1) && !walk_anomaly_name(WALK_ANOMALY_COUNT) &&
	    !walk_source_name(WALK_SOURCES), "no other code has");
}

static void
count(void *ctx, struct walk_event const *e)
{
	unsigned int *n = ctx;

	n[e->type]++;
	if (e->type == WALK_PART && !n[0])
		n[0] = e->part + 1;
}

static void
test_again(void)
{
	static char const text[] = "A: b\n\nbody\n";
	unsigned int n[WALK_DONE + 1] = { 0 };
	walk *w = walk_new(count, n, WALK_NO_DATA);
	int i;

	for (i = 0; i < 3; i++) {
		walk_feed(w, text, sizeof text - 1);
		walk_end(w);
	}
	walk_free(w);
	ok(n[WALK_DONE] == 3 && n[WALK_PART] == 3 && n[0] == 1 &&
	    n[WALK_HEADER] == 3 && !n[WALK_DATA], "three walks with one");
}

int
main(void)
{
	ok(magic_fits(WALK_EXE, "a.jpg", 5, "", 0) == 0 &&
	    magic_fits(WALK_EXE, "a.exe", 5, "", 0) == 1 &&
	    magic_fits(WALK_ZIP, "a.docx", 6, "", 0) == 1 &&
	    magic_fits(WALK_PDF, "", 0, "image/png", 9) == 1 &&
	    magic_fits(WALK_ELF, "", 0, "text/plain", 10) == 0,
	    "magic against name and type");
	test_base64();
	test_quoted();
	test_boundaries();
	test_parameters();
	test_words();
	test_records();
	test_names();
	test_again();
	return tap_done();
}
