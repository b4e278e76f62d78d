/* A message out of the fuzzer's bytes, its header and body as dkimsign takes
 * them.  The first byte chooses how the body is cut in pieces.
 *
 * Whatever it is: a body is what a model of a few lines makes of it, and pieces
 * make no difference; what is canonical stays as it is
 * when it is made canonical again; a canonical body has no white space at the
 * end of a line, no two blanks, no empty line at its end; the fields in h=
 * are as many as their text has lines, or more.
 *
 * tests/fuzz/build dkim dkim/canon.c dkim/fields.c dkim/signature.c
 */
#include <stdlib.h>
#include <string.h>

#include "dkim/canon.h"
#include "dkim/fields.h"
#include "dkim/signature.h"
#include "lib/field.h"

extern int LLVMFuzzerTestOneInput(unsigned char const *, size_t);

static void
must(int good)
{
	if (!good)
		abort();
}

static void
keep(void *to, char const *s, size_t n)
{
	must(stralloc_catb(to, s, n));
}

static void
body(stralloc *out, char const *s, size_t n, size_t piece)
{
	struct canon c;
	size_t i, k;

	out->len = 0;
	canon_begin(&c, keep, out);
	for (i = 0; i < n; i += k) {
		k = piece && piece < n - i ? piece : n - i;
		canon_body(&c, s + i, k);
	}
	canon_end(&c);
}

static int
same(stralloc const *a, stralloc const *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->s, b->s, a->len));
}

/* RFC 6376 3.4.4 as it is written, line by line: white space, of which a CR
 * before anything but LF is some, at the end of the line goes, and what is left
 * of it becomes one SP; then empty lines at the end go.
 */
static void
model(stralloc *out, char const *s, size_t n)
{
	size_t i, end, last = 0;
	char c;

	out->len = 0;
	while (n) {
		char const *lf = memchr(s, '\n', n);

		end = lf ? (size_t)(lf - s) : n;
		for (i = 0; i < end; i++) {
			c = s[i] == '\t' || s[i] == '\r' ? ' ' : s[i];
			if (c != ' ' || !out->len ||
			    out->s[out->len - 1] != ' ')
				must(stralloc_append(out, c));
		}
		if (out->len && out->s[out->len - 1] == ' ')
			out->len--;
		if (out->len && out->s[out->len - 1] != '\n')
			last = out->len + 2;
		must(stralloc_catb(out, "\r\n", 2));
		end += lf != 0;
		s += end;
		n -= end;
	}
	out->len = last;
}

static void
check_body(char const *s, size_t n, size_t piece)
{
	static stralloc whole = STRALLOC_ZERO, cut = STRALLOC_ZERO;
	size_t i;

	body(&whole, s, n, 0);
	body(&cut, s, n, piece);
	must(same(&whole, &cut));
	model(&cut, s, n);
	must(same(&whole, &cut));
	body(&cut, whole.s, whole.len, 0);
	must(same(&whole, &cut));
	s = whole.s;
	n = whole.len;
	must(n != 2 && (n < 2 || !memcmp(s + n - 2, "\r\n", 2)));
	must(n < 4 || memcmp(s + n - 4, "\r\n\r\n", 4));
	for (i = 0; i < n; i++) {
		must(s[i] != '\t');
		if (s[i] == ' ')
			must(s[i + 1] != ' ' && s[i + 1] != '\r');
		if (s[i] == '\r' || s[i] == '\n')
			must(s[i] == '\r' ? s[i + 1] == '\n' :
			    i && s[i - 1] == '\r');
	}
}

static size_t
count(stralloc const *s, char c)
{
	size_t i, n = 0;

	for (i = 0; i < s->len; i++)
		n += s->s[i] == c;
	return n;
}

static void
check_field(struct field const *f)
{
	static stralloc once = STRALLOC_ZERO, twice = STRALLOC_ZERO;

	must(f->n > f->name && f->name);
	once.len = twice.len = 0;
	must(canon_field(&once, f->s, f->n) == 1 &&
	    canon_field(&twice, once.s, once.len) == 1);
	must(same(&once, &twice) && count(&once, '\n') == 1 &&
	    once.s[f->name] == ':');
}

static void
check_header(char const *s, size_t n)
{
	static stralloc domain = STRALLOC_ZERO, names = STRALLOC_ZERO,
		text = STRALLOC_ZERO, field = STRALLOC_ZERO;
	static char const zero[PROTOCOL_SIGNATURE];
	char digest[PROTOCOL_DIGEST];
	struct signature sig = { PROTOCOL_RSA, "s", "d", 1, &names, &text,
		zero };
	char const *why = 0;
	struct field f;
	size_t pos = 0, sum = 0;
	int r;

	while ((r = field_next(s, n, &pos, &f)) == 1) {
		check_field(&f);
		sum += f.n;
	}
	must(r == -1 ? sum < n : sum == n);
	r = field_domain(s, n, &domain, &why);
	must(r != -1 && (r == 1 ? domain.len > 1 &&
	    strlen(domain.s) == domain.len - 1 : why != 0));
	must(fields_signed(s, n, &names, &text) == 1);
	must(count(&text, '\n') <= count(&names, ':') + 1);
	must(signature_begin(&field, &sig, digest) == 1 &&
	    signature_end(&field, zero, sizeof zero) == 1);
	must(field.len < 4096);
}

int
LLVMFuzzerTestOneInput(unsigned char const *in, size_t n)
{
	char const *s = (char const *)in + 1, *end;
	size_t head;

	if (!n--)
		return 0;
	end = memmem(s, n, "\n\n", 2);
	head = end ? (size_t)(end + 1 - s) : n;
	check_header(s, head);
	check_body(s + head, n - head, *in);
	check_body(s, n, *in);
	return 0;
}
