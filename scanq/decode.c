#include "scanq/decode.h"

#include <string.h>

enum { BLANK = 64, PAD, ILLEGAL };

/* of base64: values, and the classes above; '-' and '_' have values too */
#define I4 ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL
#define I16 I4, I4, I4, I4
static unsigned char const table[256] = {
	ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL,
	ILLEGAL, BLANK, BLANK, ILLEGAL, ILLEGAL, BLANK, ILLEGAL, ILLEGAL,
	I16,
	BLANK, ILLEGAL, ILLEGAL, ILLEGAL, I4,
	ILLEGAL, ILLEGAL, ILLEGAL, 62, ILLEGAL, 62, ILLEGAL, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61,
	ILLEGAL, ILLEGAL, ILLEGAL, PAD, ILLEGAL, ILLEGAL,
	ILLEGAL, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
	ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL, 63,
	ILLEGAL, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
	ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL,
	I16, I16, I16, I16, I16, I16, I16, I16
};

void
decode_start(struct decode *d, enum walk_encoding kind,
    void (*put)(void *, char const *, size_t), void *ctx)
{
	memset(d, 0, offsetof(struct decode, out));
	d->kind = kind;
	d->put = put;
	d->ctx = ctx;
}

static void
flush(struct decode *d)
{
	if (d->used)
		d->put(d->ctx, d->out, d->used);
	d->used = 0;
}

static void
put_byte(struct decode *d, int c)
{
	if (d->used == sizeof d->out)
		flush(d);
	d->out[d->used++] = (char)c;
}

/* The bytes of a group that has ended early. */
static void
end_group(struct decode *d)
{
	if (d->have >= 2)
		put_byte(d, (int)(d->bits >> (d->have * 6 - 8)));
	if (d->have == 3)
		put_byte(d, (int)(d->bits >> 2));
	if (d->have == 1)
		d->wrong |= DECODE_PADDING;
	d->have = 0;
	d->pads = 0;
	d->bits = 0;
}

static void
base64_pad(struct decode *d)
{
	if (d->have == 1)
		d->wrong |= DECODE_PADDING;
	if (d->have < 2)
		return;
	if (++d->pads + d->have < 4)
		return;
	end_group(d);
	d->ended = 1;
}

static void
base64_value(struct decode *d, unsigned int v)
{
	if (d->ended || d->pads)
		d->wrong |= DECODE_PADDING;
	d->pads = 0;
	d->bits = d->bits << 6 | v;
	if (++d->have < 4)
		return;
	put_byte(d, (int)(d->bits >> 16));
	put_byte(d, (int)(d->bits >> 8));
	put_byte(d, (int)d->bits);
	d->have = 0;
	d->bits = 0;
}

static void
base64_byte(struct decode *d, unsigned char c)
{
	unsigned int v = table[c];

	if (v < 64) {
		if (c == '-' || c == '_')
			d->wrong |= DECODE_URL;
		base64_value(d, v);
	} else if (v == PAD)
		base64_pad(d);
	else if (v == ILLEGAL)
		d->wrong |= DECODE_ILLEGAL;
}

/* Whole groups, as long as nothing is odd.  How many bytes it took. */
static size_t
base64_fast(struct decode *d, unsigned char const *s, size_t n)
{
	unsigned char const *p = s, *end = s + (n & ~(size_t)3);
	char *o = d->out + d->used, *last = d->out + sizeof d->out - 3;
	uint32_t a, b, c, e, odd = 0;

	for (; p < end && o <= last; p += 4, o += 3) {
		a = table[p[0]];
		b = table[p[1]];
		c = table[p[2]];
		e = table[p[3]];
		if ((a | b | c | e) & 64)
			break;
		odd |= p[0] == '-' || p[0] == '_' || p[1] == '-' ||
		    p[1] == '_' || p[2] == '-' || p[2] == '_' ||
		    p[3] == '-' || p[3] == '_';
		o[0] = (char)(a << 2 | b >> 4);
		o[1] = (char)(b << 4 | c >> 2);
		o[2] = (char)(c << 6 | e);
	}
	if (odd)
		d->wrong |= DECODE_URL;
	d->used = (size_t)(o - d->out);
	return (size_t)(p - s);
}

static void
base64_feed(struct decode *d, unsigned char const *s, size_t n)
{
	size_t k;

	while (n) {
		if (!d->have && !d->ended) {
			k = base64_fast(d, s, n);
			s += k;
			n -= k;
		}
		if (sizeof d->out - d->used < 3)
			flush(d);
		if (n)
			base64_byte(d, *s++), n--;
	}
}

int
decode_hex(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum { PLAIN, EQUALS, DIGIT, BLANKS };	/* states of quoted-printable */

/* It was no escape: as it stands. */
static void
quoted_literal(struct decode *d)
{
	d->wrong |= DECODE_QUOTED;
	put_byte(d, '=');
	if (d->state == DIGIT)
		put_byte(d, d->hex);
	for (; d->blanks; d->blanks--)
		put_byte(d, ' ');
	d->state = PLAIN;
}

/* One byte of an escape.  1: taken; 0: it is to be read again. */
static int
quoted_escape(struct decode *d, char c)
{
	int high, low = decode_hex((unsigned char)c);

	if (d->state == DIGIT && low != -1) {
		high = decode_hex((unsigned char)d->hex);
		put_byte(d, high << 4 | low);
		d->state = PLAIN;
	} else if (d->state == EQUALS && low != -1) {
		d->hex = c;
		d->state = DIGIT;
	} else if (d->state != DIGIT && c == '\n') {
		d->state = PLAIN;
		d->blanks = 0;
	} else if (d->state != DIGIT &&
	    (c == ' ' || c == '\t' || c == '\r')) {
		d->state = BLANKS;
		if (c != '\r' && d->blanks < 1000)
			d->blanks++;
	} else {
		quoted_literal(d);
		return 0;
	}
	return 1;
}

/* Text, whole escapes and soft line ends, as long as nothing is odd and there
 * is room.  How many bytes it took.
 */
static size_t
quoted_fast(struct decode *d, char const *s, size_t n)
{
	char const *p = s, *end = s + n;
	char *o = d->out + d->used, *last = d->out + sizeof d->out;
	int high, low;

	while (p < end && o < last) {
		if (*p != '=') {
			*o++ = *p++;
			continue;
		}
		if (end - p < 3)
			break;
		if (p[1] == '\n') {
			p += 2;
			continue;
		}
		high = decode_hex((unsigned char)p[1]);
		low = decode_hex((unsigned char)p[2]);
		if (high < 0 || low < 0)
			break;
		*o++ = (char)(high << 4 | low);
		p += 3;
	}
	d->used = (size_t)(o - d->out);
	return (size_t)(p - s);
}

static void
quoted_feed(struct decode *d, char const *s, size_t n)
{
	size_t k;

	while (n) {
		if (d->used == sizeof d->out)
			flush(d);
		if (d->state != PLAIN) {
			k = (size_t)quoted_escape(d, *s);
		} else {
			k = quoted_fast(d, s, n);
			if (!k) {
				d->state = EQUALS;
				d->blanks = 0;
				k = 1;
			}
		}
		s += k;
		n -= k;
	}
}

void
decode_feed(struct decode *d, char const *s, size_t n)
{
	if (d->kind == WALK_BASE64)
		base64_feed(d, (unsigned char const *)s, n);
	else if (d->kind == WALK_QUOTED)
		quoted_feed(d, s, n);
	else if (n)
		d->put(d->ctx, s, n);
}

void
decode_end(struct decode *d)
{
	if (d->kind == WALK_BASE64)
		end_group(d);
	if (d->kind == WALK_QUOTED && d->state != PLAIN)
		quoted_literal(d);
	flush(d);
}

size_t
decode_base64(char *out, char const *s, size_t n)
{
	uint32_t bits = 0;
	unsigned int have = 0, v;
	size_t used = 0;

	for (; n; s++, n--) {
		v = table[(unsigned char)*s];
		if (v > 63)
			continue;
		bits = bits << 6 | v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[used++] = (char)(bits >> have);
		}
	}
	return used;
}
