#include "dkim/signature.h"

#include <string.h>

#include <skalibs/sha256.h>
#include <skalibs/types.h>

#include "dkim/canon.h"
#include "lib/base64.h"

/* columns, the tab in front counted as eight */
enum { LINE = 72 };

/* The names, in lines. */
static int
put_names(stralloc *field, char const *s, size_t n)
{
	size_t column = 10, i, k;

	for (i = 0; i < n; i += k) {
		char const *colon = memchr(s + i, ':', n - i);

		k = colon ? (size_t)(colon + 1 - s) - i : n - i;
		if (column + k > LINE) {
			if (!stralloc_cats(field, "\n\t"))
				return -1;
			column = 8;
		}
		if (!stralloc_catb(field, s + i, k))
			return -1;
		column += k;
	}
	return 1;
}

static int
digest_of(stralloc const *text, stralloc const *field,
    char digest[PROTOCOL_DIGEST])
{
	SHA256Schedule sha = SHA256_INIT();
	stralloc own = STRALLOC_ZERO;
	int r = canon_field(&own, field->s, field->len);

	if (r == 1) {
		sha256_update(&sha, text->s, text->len);
		/* without its CR LF */
		sha256_update(&sha, own.s, own.len - 2);
		sha256_final(&sha, digest);
	}
	stralloc_free(&own);
	return r;
}

int
signature_begin(stralloc *field, struct signature const *of,
    char digest[PROTOCOL_DIGEST])
{
	char t[UINT64_FMT];

	t[uint64_fmt(t, of->time)] = 0;
	field->len = 0;
	if (!stralloc_cats(field, "DKIM-Signature: v=1; a=") ||
	    !stralloc_cats(field, of->letter == PROTOCOL_RSA ?
	    "rsa-sha256" : "ed25519-sha256") ||
	    !stralloc_cats(field, "; c=relaxed/relaxed;\n\td=") ||
	    !stralloc_cats(field, of->domain) ||
	    !stralloc_cats(field, ";\n\ts=") ||
	    !stralloc_cats(field, of->selector) ||
	    !stralloc_cats(field, "; t=") || !stralloc_cats(field, t) ||
	    !stralloc_cats(field, ";\n\th=") ||
	    put_names(field, of->names->s, of->names->len) == -1 ||
	    !stralloc_cats(field, ";\n\tbh=") ||
	    base64_encode(field, of->body, PROTOCOL_DIGEST) == -1 ||
	    !stralloc_cats(field, ";\n\tb="))
		return -1;
	return digest_of(of->text, field, digest);
}

int
signature_end(stralloc *field, char const *s, size_t n)
{
	stralloc text = STRALLOC_ZERO;
	int r = base64_encode(&text, s, n);
	size_t i, k;

	for (i = 0; r == 1 && i < text.len; i += k) {
		k = LINE - 10;
		if (k > text.len - i)
			k = text.len - i;
		if ((i && !stralloc_cats(field, "\n\t ")) ||
		    !stralloc_catb(field, text.s + i, k))
			r = -1;
	}
	stralloc_free(&text);
	return r == 1 && stralloc_append(field, '\n') ? 1 : -1;
}
