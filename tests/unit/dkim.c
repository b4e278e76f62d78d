#include <string.h>

#include <skalibs/sha256.h>

#include "dkim/canon.h"
#include "dkim/fields.h"
#include "dkim/signature.h"
#include "lib/base64.h"
#include "lib/field.h"
#include "tests/unit/tap.h"

static void
keep(void *to, char const *s, size_t n)
{
	stralloc_catb(to, s, n);
}

/* The body s, in pieces of so many bytes, in canonical form. */
static char const *
body(char const *s, size_t piece)
{
	static stralloc out = STRALLOC_ZERO;
	struct canon c;
	size_t n = strlen(s), i, k;

	out.len = 0;
	canon_begin(&c, keep, &out);
	for (i = 0; i < n; i += k) {
		k = piece < n - i ? piece : n - i;
		canon_body(&c, s + i, k);
	}
	canon_end(&c);
	stralloc_0(&out);
	return out.s;
}

static int
becomes(char const *s, char const *want)
{
	size_t piece;

	for (piece = 1; piece < 8; piece++)
		if (strcmp(body(s, piece), want))
			return 0;
	return !strcmp(body(s, 1000), want);
}

static char const *
field(char const *s)
{
	static stralloc out = STRALLOC_ZERO;

	out.len = 0;
	canon_field(&out, s, strlen(s));
	stralloc_0(&out);
	return out.s;
}

static char const *
domain(char const *head)
{
	static stralloc out = STRALLOC_ZERO;
	char const *why = 0;
	int r = field_domain(head, strlen(head), &out, &why);

	return r == 1 ? out.s : why;
}

static char const *names, *text;

static void
signed_fields(char const *head)
{
	static stralloc n = STRALLOC_ZERO, t = STRALLOC_ZERO;

	fields_signed(head, strlen(head), &n, &t);
	stralloc_0(&n);
	stralloc_0(&t);
	names = n.s;
	text = t.s;
}

/* The message of RFC 8463 A.3. */
static char const rfc_body[] = "Hi.\n\nWe lost the game.  Are you hungry yet?"
    "\n\nJoe.\n";
static char const rfc_head[] = "From: Joe SixPack <joe@football.example.com>\n"
    "To: Suzie Q <suzie@shopping.example.net>\n"
    "Subject: Is dinner ready?\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\n";
static char const rfc_field[] = "DKIM-Signature: v=1; a=ed25519-sha256;"
    " c=relaxed/relaxed;\n d=football.example.com;"
    " i=@football.example.com;\n q=dns/txt; s=brisbane; t=1528637909;"
    " h=from : to :\n subject : date : message-id : from : subject : date;\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n b=";

static int
hashes_as_the_rfc(void)
{
	static unsigned char const want[PROTOCOL_DIGEST] = {
		0x48, 0xce, 0x9a, 0x2c, 0x71, 0x0e, 0xce, 0x17,
		0x10, 0xff, 0x15, 0x69, 0x96, 0xb8, 0x36, 0xa7,
		0xf4, 0x54, 0x70, 0xe4, 0x3e, 0xfe, 0x56, 0x43,
		0x07, 0x4d, 0x6e, 0x16, 0x90, 0xed, 0x62, 0xe7
	};
	SHA256Schedule sha = SHA256_INIT();
	char digest[PROTOCOL_DIGEST];
	struct field f;
	size_t pos = 0, n;
	char const *s;

	while (field_next(rfc_head, sizeof rfc_head - 1, &pos, &f) == 1) {
		stralloc one = STRALLOC_ZERO;

		canon_field(&one, f.s, f.n);
		sha256_update(&sha, one.s, one.len);
		stralloc_free(&one);
	}
	s = field(rfc_field);
	n = strlen(s);
	sha256_update(&sha, s, n - 2);
	sha256_final(&sha, digest);
	return !memcmp(digest, want, sizeof want);
}

static int
body_hash_is(char const *s, char const *want)
{
	stralloc out = STRALLOC_ZERO;
	SHA256Schedule sha = SHA256_INIT();
	char digest[PROTOCOL_DIGEST];
	char const *c = body(s, 7);

	sha256_update(&sha, c, strlen(c));
	sha256_final(&sha, digest);
	base64_encode(&out, digest, sizeof digest);
	stralloc_0(&out);
	return !strcmp(out.s, want);
}

static void
bodies(void)
{
	ok(becomes(" C \nD \t E\n\n\n", " C\r\nD E\r\n"), "RFC 6376 3.4.5");
	ok(becomes("", "") && becomes("\n", "") && becomes("\n\n\n", "") &&
	    becomes(" \t\n \n", "") && becomes(" ", ""), "empty bodies");
	ok(becomes("a", "a\r\n") && becomes("a \t", "a\r\n") &&
	    becomes("a\n\n b", "a\r\n\r\n b\r\n"), "no LF at the end");
	ok(becomes("\n\na\n", "\r\n\r\na\r\n"), "empty lines in front");
	ok(becomes("a\r\nb\r\n\r\n", "a\r\nb\r\n"), "CR LF is an LF");
	ok(becomes("a\rb\n", "a b\r\n") &&
	    becomes("a\r\r\nb\r", "a\r\nb\r\n") &&
	    becomes("\r\n\ra", "\r\n a\r\n"), "another CR is a blank");
	ok(body_hash_is(rfc_body,
	    "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=") &&
	    body_hash_is("", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
	    "hashes of bodies (RFC 8463 A.3, RFC 6376 3.4.4)");
}

static void
headers(void)
{
	ok(!strcmp(field("A: X\n"), "a:X\r\n") &&
	    !strcmp(field("B : Y\n\tZ  \n"), "b:Y Z\r\n"), "RFC 6376 3.4.5");
	ok(!strcmp(field("Subject:\n"), "subject:\r\n") &&
	    !strcmp(field("S: a\r\n  b\r\n \r\n"), "s:a b\r\n") &&
	    !strcmp(field("S: a : b"), "s:a : b\r\n") &&
	    !strcmp(field("S:\n a"), "s:a\r\n"), "odd fields");
	ok(hashes_as_the_rfc(), "the hash that RFC 8463 A.3 signs");
	ok(!strcmp(domain("From: a@B.Example\n"), "b.example") &&
	    !strcmp(domain("x: y\nFROM : \"a@c\" <a@b.example>,\n"
	    " d@b.example\n"), "b.example") &&
	    !strcmp(domain("From: a@b.example\r\n"), "b.example"),
	    "the author's domain");
	ok(!strcmp(domain("From: a@b.example, c@d.example\n"),
	    "From names several domains") &&
	    !strcmp(domain("From: a@b.example\nTo: x\nfrom: a@b.example\n"),
	    "there are several From fields") &&
	    !strcmp(domain("To: a@b.example\n"), "there is no From field") &&
	    !strcmp(domain("From: a\n"), "From names no domain") &&
	    !strcmp(domain("From: <a@b.example\n"), "From cannot be read") &&
	    !strcmp(domain("From: a@b.example\nno field\n"),
	    "a line of the header is no field") && !strcmp(domain(""),
	    "there is no From field"), "no such domain");
}

static void
choice(void)
{
	signed_fields("X: 1\nFrom: a\nReceived: b\nSUBJECT: c\nTo: d\n");
	ok(!strcmp(names, "from:from:reply-to:to:to:cc:subject:subject") &&
	    !strcmp(text, "from:a\r\nto:d\r\nsubject:c\r\n"),
	    "once more than there are");
	signed_fields("List-Id: a\nDate: b\nFrom: c\nDate: d\n");
	ok(!strcmp(names, "from:from:reply-to:to:cc:subject:date:date:date:"
	    "list-id") && !strcmp(text, "from:c\r\ndate:d\r\ndate:b\r\n"
	    "list-id:a\r\n"), "from the last one up");
	signed_fields("Cc: 1\nCc: 2\nCc: 3\nCc: 4\nCc: 5\n");
	ok(!strcmp(names, "from:reply-to:to:cc:cc:cc:subject") &&
	    !strcmp(text, "cc:5\r\ncc:4\r\ncc:3\r\n"), "not without end");
}

static void
signatures(void)
{
	stralloc out = STRALLOC_ZERO, n = STRALLOC_ZERO, t = STRALLOC_ZERO;
	char digest[PROTOCOL_DIGEST], sig[PROTOCOL_SIGNATURE] = "";
	struct signature s = { PROTOCOL_ED25519, "sel", "b.example", 1234,
		&n, &t, digest };
	size_t i, column = 0, widest = 0;

	memset(digest, 0, sizeof digest);
	fields_signed(rfc_head, sizeof rfc_head - 1, &n, &t);
	ok(signature_begin(&out, &s, digest) == 1 &&
	    signature_end(&out, sig, 64) == 1 &&
	    !strncmp(out.s, "DKIM-Signature: v=1; a=ed25519-sha256; "
	    "c=relaxed/relaxed;\n\td=b.example;\n\ts=sel; t=1234;\n\th=from:",
	    96), "a field");
	for (i = 0; i < out.len; i++) {
		column = out.s[i] == '\n' ? 0 : out.s[i] == '\t' ?
		    column + 8 : column + 1;
		widest = column > widest ? column : widest;
	}
	ok(out.s[out.len - 1] == '\n' && widest <= 78, "in lines");
}

int
main(void)
{
	bodies();
	headers();
	choice();
	signatures();
	return tap_done();
}
