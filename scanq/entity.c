#include "scanq/entity.h"

#include <string.h>
#include <strings.h>

#include "scanq/filename.h"
#include "scanq/words.h"

#define BIT(encoding) (1u << (encoding))

void
entity_start(struct entity *e)
{
	memset(&e->fields, 0,
	    offsetof(struct entity, params) - offsetof(struct entity, fields));
	e->label.n = e->label.tn = 0;
}

static void
anomaly(struct entity *e, int code, char const *s, size_t n)
{
	walkout_anomaly(e->out, e->part, code, s, n);
}

static uint64_t
hash(char const *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	while (n--)
		h = (h ^ (unsigned char)*s++) * 0x100000001b3u;
	return h;
}

/* One more such field: is it another than the first? */
static void
count(struct entity *e, struct entity_count *c, int code, char const *s,
    size_t n)
{
	uint64_t h = hash(s, n);

	if (!c->n++)
		c->hash = h;
	else if (c->hash != h)
		anomaly(e, code, s, n);
}

static int
is(char const *s, size_t n, char const *word)
{
	return n == strlen(word) && strncasecmp(s, word, n) == 0;
}

static int
starts(char const *s, size_t n, char const *with)
{
	size_t k = strlen(with);

	return n >= k && strncasecmp(s, with, k) == 0;
}

static int
contains(char const *s, size_t n, char const *what)
{
	size_t k = strlen(what);

	for (; n >= k; s++, n--)
		if (strncasecmp(s, what, k) == 0)
			return 1;
	return 0;
}

static int
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The word at the start of a value, in small letters, without comments, quotes
 * and blanks; ends where a parameter may start.  What is left: *rest.
 */
static size_t
first_word(char *out, size_t max, char const *s, size_t n, char const **rest)
{
	size_t i, used = 0;
	int depth = 0, slash = 0, gap = 0;

	for (i = 0; i < n; i++) {
		char c = s[i];

		if (c == '(' || (depth && c == ')')) {
			depth += c == '(' ? 1 : -1;
			continue;
		}
		if (depth || c == '"' || !c)
			continue;
		if (is_blank(c)) {
			gap = used > 0;
			continue;
		}
		/* a blank ends the word, but for "multipart / mixed" */
		if (c == ';' || c == ',' || used == max ||
		    (gap && c != '/' && !slash))
			break;
		slash = c == '/';
		gap = 0;
		out[used++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	*rest = s + i;
	return used;
}

/* What it makes the part. */
static void
take_type(struct entity *e, char const *type, size_t n)
{
	if (!memchr(type, '/', n) || type[n - 1] == '/' || *type == '/')
		anomaly(e, WALK_TYPE_MALFORMED, type, n);
	if (starts(type, n, "multipart")) {
		e->multipart = 1;
		e->is_digest |= is(type, n, "multipart/digest");
	} else if (is(type, n, "message/rfc822") ||
	    is(type, n, "message/global") || is(type, n, "message/news"))
		e->message = 1;
	else if (is(type, n, "message/partial")) {
		anomaly(e, WALK_PARTIAL, "", 0);
		e->message = 1;
	} else if (is(type, n, "message/external-body")) {
		anomaly(e, WALK_EXTERNAL, "", 0);
		e->message = 1;
	} else
		e->leaf = 1;
	e->text |= !n || starts(type, n, "text") ||
	    starts(type, n, "message/") || !memchr(type, '/', n) ||
	    contains(type, n, "uue") || contains(type, n, "binhex");
	if (contains(type, n, "mac-binhex"))
		anomaly(e, WALK_BINHEX_IN_TEXT, type, n);
}

/* A boundary once more?  Otherwise it is another. */
static void
add_boundary(struct entity *e, char const *s, size_t n, int sure)
{
	struct entity_boundary *b = e->boundary;
	unsigned int i;

	if (n > BOUNDARY_LEGAL)
		anomaly(e, WALK_BOUNDARY_LONG, s, n);
	n = n < BOUNDARY_LENGTH ? n : BOUNDARY_LENGTH;
	for (i = 0; i < e->boundaries; i++, b++)
		if (b->n == n && memcmp(b->s, s, n) == 0)
			return;
	if (sure)
		e->sure++;
	else
		e->unsure = 1;
	if (e->boundaries == BOUNDARY_READINGS) {
		anomaly(e, WALK_BOUNDARY_MANY, s, n);
		return;
	}
	if (!n)
		anomaly(e, WALK_BOUNDARY_EMPTY, "", 0);
	b->n = n;
	memcpy(b->s, s, n);
	e->boundaries++;
}

static void
boundary_reading(void *ctx, char const *s, size_t n, int sure,
    struct param const *raw)
{
	struct entity *e = ctx;
	char clean[PARAM_READING];
	size_t i, used = 0, k = n;
	char const *nul = memchr(s, 0, n);

	add_boundary(e, s, n, sure && raw->section == -1 && !raw->extended);
	while (k && is_blank(s[k - 1]))
		k--;
	if (k && k != n)
		add_boundary(e, s, k, 0);
	for (i = 0; i < k && is_blank(s[i]); i++)
		;
	if (i && i < k)
		add_boundary(e, s + i, k - i, 0);
	/* behind an unquoted one, a comma for a semicolon */
	if (!raw->quoted && k && s[k - 1] == ',')
		add_boundary(e, s, k - 1, 0);
	if (!nul)
		return;
	anomaly(e, WALK_HEADER_NUL, s, n);
	add_boundary(e, s, (size_t)(nul - s), 0);
	for (i = 0; i < n; i++)
		if (s[i])
			clean[used++] = s[i];
	add_boundary(e, clean, used, 0);
}

struct naming {
	struct entity *e;
	enum walk_source source;
};

/* The name that the part goes by, or another one. */
static void
sure_name(struct entity *e, char const *s, size_t n)
{
	char words[CONTENTS_NAME];
	int odd = 0;
	size_t k = words_decode(words, sizeof words, s, n, &odd);

	if (k) {
		s = words;
		n = k;
	}
	n = n < CONTENTS_NAME ? n : CONTENTS_NAME;
	if (!e->named) {
		e->named = 1;
		e->label.n = n;
		memcpy(e->label.name, s, n);
	} else if (e->label.n != n || memcmp(e->label.name, s, n) != 0)
		anomaly(e, WALK_NAMES_DIFFER, s, n);
}

static void
name_reading(void *ctx, char const *s, size_t n, int sure,
    struct param const *raw)
{
	struct naming *naming = ctx;
	struct entity *e = naming->e;
	struct filename f = { e->part, naming->source, WALK_UNKNOWN,
	    raw->value, raw->vn };

	if (sure && n)
		sure_name(e, s, n);
	filename_report(e->out, &f, s, n);
}

static void
names(struct entity *e, char const *param, enum walk_source source)
{
	struct naming naming = { e, source };

	if (params_each(&e->params, param, name_reading, &naming) > 1)
		anomaly(e, WALK_PARAMETER_ODD, param, strlen(param));
}

static void
content_type(struct entity *e, char const *s, size_t n)
{
	char type[CONTENTS_TYPE];
	char const *rest;
	size_t k = first_word(type, sizeof type, s, n, &rest);
	unsigned int found;

	count(e, &e->types, WALK_TWO_TYPES, s, n);
	take_type(e, type, k);
	if (e->types.n == 1) {
		memcpy(e->label.type, type, k);
		e->label.tn = k;
	}
	params_find(&e->params, s, n);
	found = params_each(&e->params, "boundary", boundary_reading, e);
	if (found && !starts(type, k, "multipart"))
		anomaly(e, WALK_BOUNDARY_UNUSED, s, n);
	names(e, "name", WALK_IN_TYPE);
	names(e, "filename", WALK_IN_TYPE);
	if (e->params.odd)
		anomaly(e, WALK_PARAMETER_ODD, s, n);
	if (e->params.charset)
		anomaly(e, WALK_NAME_CHARSET, s, n);
}

static void
content_disposition(struct entity *e, char const *s, size_t n)
{
	count(e, &e->dispositions, WALK_TWO_DISPOSITIONS, s, n);
	params_find(&e->params, s, n);
	names(e, "filename", WALK_IN_DISPOSITION);
	names(e, "name", WALK_IN_DISPOSITION);
	if (e->params.odd)
		anomaly(e, WALK_PARAMETER_ODD, s, n);
	if (e->params.charset)
		anomaly(e, WALK_NAME_CHARSET, s, n);
}

/* The encoding that a word is, or seems to be. */
static unsigned int
encoding_bits(char const *s, size_t n, int *odd)
{
	unsigned int bits = 0;

	*odd = 0;
	if (!n || is(s, n, "7bit") || is(s, n, "8bit") || is(s, n, "binary"))
		return BIT(WALK_IDENTITY);
	if (is(s, n, "base64"))
		return BIT(WALK_BASE64);
	if (is(s, n, "quoted-printable"))
		return BIT(WALK_QUOTED);
	if (is(s, n, "x-uuencode") || is(s, n, "uuencode") ||
	    is(s, n, "x-uue") || is(s, n, "uue"))
		return BIT(WALK_UUENCODE);
	*odd = 1;
	if (contains(s, n, "64"))
		bits |= BIT(WALK_BASE64);
	if (contains(s, n, "quoted") || contains(s, n, "printable"))
		bits |= BIT(WALK_QUOTED);
	if (contains(s, n, "uu"))
		bits |= BIT(WALK_UUENCODE);
	return bits | BIT(WALK_IDENTITY);
}

static void
transfer_encoding(struct entity *e, char const *s, size_t n)
{
	char word[ENTITY_ENCODING];
	char const *rest, *end = s + n;
	size_t k = first_word(word, sizeof word, s, n, &rest);
	int odd;

	count(e, &e->encodings, WALK_TWO_ENCODINGS, word, k);
	if (e->encodings.n == 1) {
		e->en = n < ENTITY_ENCODING ? n : ENTITY_ENCODING;
		memcpy(e->encoding, s, e->en);
	}
	e->encoded |= encoding_bits(word, k, &odd);
	while (rest < end && (is_blank(*rest) || *rest == ';'))
		rest++;
	if (rest < end || memchr(s, '"', n)) {
		odd = 1;	/* strict readers do not know it */
		e->encoded |= BIT(WALK_IDENTITY) |
		    encoding_bits(rest, (size_t)(end - rest), &odd);
		odd = 1;
	}
	if (odd)
		anomaly(e, WALK_ENCODING_ODD, s, n);
	if (contains(word, k, "yenc"))
		anomaly(e, WALK_YENC_IN_TEXT, s, n);
}

/* The last part of a URL. */
static void
content_location(struct entity *e, char const *s, size_t n)
{
	struct filename f = { e->part, WALK_IN_LOCATION, WALK_UNKNOWN, s, n };
	char out[PARAM_READING];
	size_t i;

	while (n && is_blank(*s))
		s++, n--;
	for (i = 0; i < n && s[i] != '?' && s[i] != '#'; i++)
		;
	n = i;
	while (i && s[i - 1] != '/')
		i--;
	n = n - i < sizeof out ? n - i : sizeof out;
	n = words_percent(out, s + i, n);
	filename_report(e->out, &f, out, n);
}

void
entity_field(struct entity *e, char const *name, size_t n, char const *value,
    size_t vn)
{
	if (e->fields++ < WALK_HEADERS)
		walkout_header(e->out, e->part, name, n, value, vn);
	else
		anomaly(e, WALK_HEADER_MANY, name, n);
	if (is(name, n, "content-type"))
		content_type(e, value, vn);
	else if (is(name, n, "content-disposition"))
		content_disposition(e, value, vn);
	else if (is(name, n, "content-transfer-encoding"))
		transfer_encoding(e, value, vn);
	else if (is(name, n, "content-location"))
		content_location(e, value, vn);
}

static void
check_multipart(struct entity *e)
{
	if (!e->boundaries)
		anomaly(e, WALK_BOUNDARY_MISSING, "", 0);
	if (e->sure > 1 || e->unsure || (e->boundaries && !e->sure))
		anomaly(e, WALK_BOUNDARY_AMBIGUOUS, e->boundary[0].s,
		    e->boundary[0].n);
}

void
entity_end(struct entity *e)
{
	struct walk_event event = { .part = e->part, .parent = e->parent };

	if (!e->types.n && e->digest)
		e->message = 1;
	else if (!e->types.n)
		e->leaf = e->text = 1;
	if (!e->encoded)
		e->encoded = BIT(WALK_IDENTITY);
	if (e->multipart)
		check_multipart(e);
	if ((e->multipart || e->message) && e->encoded & ~BIT(WALK_IDENTITY))
		anomaly(e, WALK_ENCODED_COMPOSITE, e->encoding, e->en);
	event.depth = e->depth;
	event.s = e->label.type;
	event.n = e->label.tn;
	event.t = e->encoding;
	event.tn = e->en;
	walkout_part(e->out, &event);
}

int
entity_delimiter(struct entity const *e, char const *s, size_t n)
{
	struct boundary_match m;
	unsigned int i;

	for (i = 0; e->multipart && i < e->boundaries; i++)
		if (boundary_is(e->boundary[i].s, e->boundary[i].n, s, n, &m))
			return 1;
	return 0;
}
