#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/control.h"
#include "tests/unit/tap.h"

static void
put(char const *file, char const *content)
{
	if (!openwritenclose_unsafe(file, content, strlen(content)))
		_exit(111);
}

static int
line_is(char const *content, char const *want)
{
	stralloc v = STRALLOC_ZERO;
	int r;

	put("t", content);
	r = control_line("t", &v);
	r = want ? r == 1 && v.len == strlen(want) && !memcmp(v.s, want, v.len)
	    : r == 0 && !v.len;
	stralloc_free(&v);
	return r;
}

static void
lines(void)
{
	stralloc v = STRALLOC_ZERO;

	ok(line_is("mx.example\n", "mx.example"), "one line");
	ok(line_is("# c\n\n a b \t\r\nrest", " a b"),
	    "comment, blank line, blanks at the end");
	ok(line_is("x", "x"), "no newline at the end");
	ok(line_is("", 0), "empty file");
	ok(line_is("#only", 0), "only a comment");
	put("control/me", "host.example\n");
	unlink("t");
	ok(control_line_or_me("t", &v) == 1 && v.len == 12 &&
	    !memcmp(v.s, "host.example", 12), "me stands in");
	mkdir("dir", 0700);
	ok(control_line("dir", &v) == -1, "a directory is trouble");
	stralloc_free(&v);
}

static void
texts(void)
{
	char s[4] = "-", digits[50];
	size_t n = 7;
	unsigned int u = 7;

	put("t", "# c\nabcd \n");
	ok(control_text("t", s, 4, &n) == 1 && n == 4 && !memcmp(s, "abcd", 4),
	    "a text that just fits");
	n = 7;
	ok(control_text("t", s, 3, &n) == -1 && errno == EMSGSIZE && n == 7,
	    "one that is too long");
	put("t", "#\n");
	ok(control_text("t", s, 4, &n) == 0 && n == 7, "none");
	memset(digits, '1', 49);
	digits[49] = 0;
	put("t", digits);
	ok(control_uint("t", &u) == -1 && errno == EINVAL && u == 7,
	    "a number that is no number for its length");
}

static void
numbers(void)
{
	unsigned int u = 7;

	unlink("t");
	ok(control_uint("t", &u) == 0 && u == 7, "absent file: the default");
	put("t", "12x\n");
	ok(control_uint("t", &u) == -1 && u == 7, "not a number");
	put("t", "99999999999999\n");
	ok(control_uint("t", &u) == -1 && u == 7, "too large a number");
	put("t", "15 \n");
	ok(control_uint("t", &u) == 1 && u == 15, "a number");
}

static void
lists(void)
{
	stralloc l = STRALLOC_ZERO;

	put("t", "Example.COM\n# no\n.sub.example\n\nother.example");
	ok(control_list("t", &l) == 1, "a list");
	ok(control_has(&l, "example.com", 11), "case does not matter");
	ok(!control_has(&l, "# no", 4), "a comment is no entry");
	ok(!control_has(&l, "xample.com", 10), "part of an entry");
	ok(control_has_domain(&l, "other.example", 13), "a domain itself");
	ok(control_has_domain(&l, "a.b.sub.example", 15), "below a suffix");
	ok(!control_has_domain(&l, "sub.example", 11),
	    "a suffix does not match its own name");
	ok(!control_has_domain(&l, ".sub.example", 12), "a dot in front");
	ok(!control_has_domain(&l, "", 0), "no domain");
	ok(!control_has_domain(&l, "badother.example", 16),
	    "a suffix counts from a dot only");
	stralloc_free(&l);
}

/* Files of about the size that is read at once. */
static void
big_files(void)
{
	static char s[5000];
	stralloc v = STRALLOC_ZERO;
	unsigned int n, good = 1;

	memset(s, 'x', sizeof s);
	memset(s, 'x', sizeof s - 1);
	for (n = 2040; n < 4100; n = n == 2056 ? 4088 : n + 1) {
		memcpy(s + n, "\nlast\n", 7);	/* and its NUL */
		put("t", s);
		v.len = 0;
		good &= control_list("t", &v) == 1 && v.len == n + 6 &&
		    !strcmp(v.s + n + 1, "last");
		memset(s + n, 'x', 7);
	}
	ok(good, "files of more than one read");
	v.len = 0;
	ok(control_list(".", &v) == -1 && !v.len, "a directory is trouble");
	stralloc_free(&v);
}

int
main(void)
{
	char dir[] = "/tmp/unit-control.XXXXXX";
	int r;

	if (!mkdtemp(dir) || chdir(dir) == -1 || mkdir("control", 0700) == -1)
		return 111;
	lines();
	texts();
	numbers();
	lists();
	big_files();
	r = tap_done();
	rm_rf(dir);
	return r;
}
