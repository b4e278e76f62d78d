#include "dmarc/result.h"

#include <string.h>

static struct {
	char letter;
	char const *word;
} const words[] = {
	/* the best one first */
	{ RESULT_PASS, "pass" }, { RESULT_TEMPERROR, "temperror" },
	{ RESULT_FAIL, "fail" }, { RESULT_POLICY, "policy" },
	{ RESULT_NEUTRAL, "neutral" }, { RESULT_SOFTFAIL, "softfail" },
	{ RESULT_PERMERROR, "permerror" }, { RESULT_NONE, "none" }
};

static size_t
index_of(char c)
{
	size_t i;

	for (i = 0; i < sizeof words / sizeof *words; i++)
		if (words[i].letter == c)
			break;
	return i;
}

char const *
result_word(char c)
{
	size_t i = c ? index_of(c) : sizeof words / sizeof *words;

	return i < sizeof words / sizeof *words ? words[i].word : 0;
}

char const *
result_policy(char c)
{
	switch (c) {
	case PROTOCOL_P_REJECT: return "reject";
	case PROTOCOL_P_QUARANTINE: return "quarantine";
	case PROTOCOL_P_NONE: return "none";
	default: return 0;
	}
}

static char const *
why_text(char c)
{
	switch (c) {
	case WHY_LENGTH: return "not all of the body is signed";
	case WHY_SHA1: return "rsa-sha1";
	case WHY_KEY: return "no usable key";
	case WHY_BODY: return "the body was changed";
	case WHY_EXPIRED: return "expired";
	default: return 0;
	}
}

void
result_nothing(struct findings *out)
{
	memset(out, 0, sizeof *out);
	out->spf = out->dmarc = RESULT_TEMPERROR;
	out->policy = PROTOCOL_P_ABSENT;
	out->pct = 100;
}

/* Letters, digits, dots, hyphens and underscores: no more goes into a header
 * or a log.  Its length with NUL; 0: something else, or too long.
 */
static size_t
take_name(char const *s, size_t n, char *to, size_t most)
{
	size_t k = strnlen(s, n);

	if (k == n || k > most || strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != k)
		return 0;
	memcpy(to, s, k + 1);
	return k + 1;
}

/* Each is read in full, also one whose names are not fit to be shown. */
static size_t
take_signature(char const *s, size_t n, struct signature *to)
{
	size_t k = 2, m;

	if (n < 4 || !result_word(s[0]))
		return 0;
	to->result = s[0];
	to->why = s[1];
	m = take_name(s + k, n - k, to->domain, PROTOCOL_DOMAIN);
	k += m;
	if (!m)
		return 0;
	m = take_name(s + k, n - k, to->selector, PROTOCOL_SELECTOR);
	return m ? k + m : 0;
}

int
result_read(char const *s, size_t n, struct findings *out)
{
	size_t at = 5, k;

	if (n < at || s[0] != 'A' || !result_word(s[1]) || !result_word(s[2]))
		return 0;
	if (s[3] != PROTOCOL_P_ABSENT && !result_policy(s[3]))
		return 0;
	out->spf = s[1];
	out->dmarc = s[2];
	out->policy = s[3];
	out->pct = (unsigned char)s[4];
	for (out->signatures = 0; at < n; at += k, out->signatures++) {
		k = out->signatures == PROTOCOL_SIGNATURES ? 0 :
		    take_signature(s + at, n - at,
		    out->signature + out->signatures);
		if (!k)
			return 0;
	}
	return out->pct <= 100;
}

char
result_dkim(struct findings const *f)
{
	size_t best = index_of(RESULT_NONE), i;
	unsigned int k;

	for (k = 0; k < f->signatures; k++) {
		i = index_of(f->signature[k].result);
		if (i < best)
			best = i;
	}
	return words[best].letter;
}

static int
put(stralloc *out, char const *s)
{
	return stralloc_cats(out, s) ? 1 : -1;
}

static int
method(stralloc *out, char const *name, char c)
{
	return put(out, ";\n\t") == 1 && put(out, name) == 1 &&
	    put(out, "=") == 1 ? put(out, result_word(c)) : -1;
}

static int
comment(stralloc *out, char const *what, char const *s)
{
	return put(out, " (") == 1 && put(out, what) == 1 &&
	    put(out, s) == 1 ? put(out, ")") : -1;
}

static int
property(stralloc *out, char const *name, char const *value)
{
	return !*value ? 1 : put(out, name) == 1 ? put(out, value) : -1;
}

static int
put_spf(stralloc *out, struct facts const *q, struct findings const *f)
{
	return method(out, "spf", f->spf) == -1 ? -1 :
	    property(out, *q->sender ? " smtp.mailfrom=" : " smtp.helo=",
	    f->spf_domain);
}

static int
put_dkim(stralloc *out, struct findings const *f)
{
	struct signature const *s = f->signature;
	unsigned int i;

	if (!f->signatures)
		return method(out, "dkim", RESULT_NONE);
	for (i = 0; i < f->signatures; i++, s++) {
		if (method(out, "dkim", s->result) == -1 ||
		    (why_text(s->why) &&
		    comment(out, "", why_text(s->why)) == -1) ||
		    property(out, " header.d=", s->domain) == -1 ||
		    property(out, " header.s=", s->selector) == -1)
			return -1;
	}
	return 1;
}

static int
put_dmarc(stralloc *out, struct facts const *q, struct findings const *f)
{
	char const *p = result_policy(f->policy);

	return method(out, "dmarc", f->dmarc) == -1 ||
	    (p && comment(out, "p=", p) == -1) ? -1 :
	    property(out, " header.from=", q->author);
}

int
result_field(stralloc *out, char const *us, struct facts const *q,
    struct findings const *f, char const *trouble)
{
	if (put(out, "Authentication-Results: ") == -1 || put(out, us) == -1)
		return -1;
	if (trouble)
		return method(out, "spf", RESULT_TEMPERROR) == 1 &&
		    method(out, "dkim", RESULT_TEMPERROR) == 1 &&
		    method(out, "dmarc", RESULT_TEMPERROR) == 1 &&
		    comment(out, "", trouble) == 1 ? put(out, "\n") : -1;
	return put_spf(out, q, f) == 1 && put_dkim(out, f) == 1 &&
	    put_dmarc(out, q, f) == 1 ? put(out, "\n") : -1;
}
