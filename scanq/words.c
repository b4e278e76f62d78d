#include "scanq/words.h"

#include <string.h>
#include <strings.h>

#include "scanq/decode.h"

enum {
	WORD = 4096,		/* bytes of encoded words in a row */
	CHARSET = 64
};

/* in which ASCII is ASCII, and what else there is does not matter to us */
static char const *const harmless[] = {
	"us-ascii", "ascii", "iso-8859-", "iso8859-", "latin", "windows-",
	"cp", "koi8-", "gb2312", "gbk", "gb18030", "big5", "euc-",
	"shift_jis", "shift-jis", "sjis", "ks_c_5601", "ksc5601", "tis-620",
	"iso-2022-", "x-mac", "mac", "macintosh", "ibm", "unknown", "x-unknown",
	"x-sjis", "x-user-defined", "default", "x-gbk", "x-euc", "ansi", 0
};

size_t
words_put(char *out, unsigned long c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

int
words_valid(char const *s, size_t n)
{
	unsigned char const *p = (unsigned char const *)s;
	size_t i, more;

	for (i = 0; i < n; i++) {
		if (p[i] < 0x80)
			continue;
		more = p[i] >= 0xf0 ? 3 : p[i] >= 0xe0 ? 2 : 1;
		if (p[i] < 0xc2 || p[i] > 0xf4 || n - i <= more)
			return 0;
		for (; more; more--)
			if ((p[++i] & 0xc0) != 0x80)
				return 0;
	}
	return 1;
}

/* Bytes as they are if they are UTF-8, else as Latin-1. */
static size_t
plain(char *out, size_t max, char const *s, size_t n)
{
	int valid = words_valid(s, n);
	size_t i, used = 0;

	if (valid) {
		n = n < max ? n : max;
		memcpy(out, s, n);
		return n;
	}
	for (i = 0; i < n && used + 2 <= max; i++)
		used += words_put(out + used, (unsigned char)s[i]);
	return used;
}

static size_t
utf16(char *out, size_t max, char const *s, size_t n, int little)
{
	unsigned char const *p = (unsigned char const *)s;
	unsigned long c, high = 0;
	size_t used = 0;

	if (n >= 2 && ((p[0] == 0xff && p[1] == 0xfe) ||
	    (p[0] == 0xfe && p[1] == 0xff))) {
		little = p[0] == 0xff;
		p += 2;
		n -= 2;
	}
	for (; n >= 2 && used + 4 <= max; p += 2, n -= 2) {
		c = (unsigned long)(little ? p[1] << 8 | p[0] :
		    p[0] << 8 | p[1]);
		if (c >= 0xd800 && c < 0xdc00) {
			high = c;
			continue;
		}
		if (high && c >= 0xdc00 && c < 0xe000)
			c = 0x10000 + ((high - 0xd800) << 10) + (c - 0xdc00);
		high = 0;
		used += words_put(out + used, c);
	}
	return used;
}

/* RFC 2152: +base64 of UTF-16- */
static size_t
utf7(char *out, size_t max, char const *s, size_t n)
{
	char wide[WORD];
	size_t i = 0, end, used = 0, k;

	while (i < n && used + 4 <= max) {
		if (s[i] != '+') {
			used += words_put(out + used, (unsigned char)s[i++]);
			continue;
		}
		for (end = ++i; end < n && end - i < WORD && s[end] &&
		    strchr("+/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
		    "uvwxyz0123456789", s[end]); end++)
			;
		if (end == i)
			out[used++] = '+';
		k = decode_base64(wide, s + i, end - i);
		used += utf16(out + used, max - used, wide, k, 0);
		i = end + (end < n && s[end] == '-');
	}
	return used;
}

static int
is_charset(char const *s, size_t n, char const *name)
{
	return n == strlen(name) && strncasecmp(s, name, n) == 0;
}

static int
known(char const *s, size_t n)
{
	size_t i, k;

	for (i = 0; harmless[i]; i++) {
		k = strlen(harmless[i]);
		if (n >= k && strncasecmp(s, harmless[i], k) == 0)
			return 1;
	}
	return !n || is_charset(s, n, "utf-8") || is_charset(s, n, "utf8");
}

size_t
words_utf8(char *out, size_t max, char const *charset, size_t cn,
    char const *s, size_t n, int *odd)
{
	if (known(charset, cn))
		return plain(out, max, s, n);
	*odd = 1;
	if (is_charset(charset, cn, "utf-16le"))
		return utf16(out, max, s, n, 1);
	if (cn >= 6 && (strncasecmp(charset, "utf-16", 6) == 0 ||
	    strncasecmp(charset, "utf16", 5) == 0))
		return utf16(out, max, s, n, 0);
	if (is_charset(charset, cn, "utf-7"))
		return utf7(out, max, s, n);
	return plain(out, max, s, n);
}

/* An encoded word. */
struct word {
	char const *charset;
	size_t cn;
	int base64;
	char const *text;
	size_t n;
	size_t whole;		/* with its =? and ?= */
};

static int
find_word(struct word *w, char const *s, size_t n)
{
	size_t i, lang;
	char const *end;

	if (n < 6 || s[0] != '=' || s[1] != '?')
		return 0;
	for (i = 2; i < n && i < CHARSET && s[i] != '?' && s[i] > 32; i++)
		;
	if (i + 3 >= n || s[i] != '?' || s[i + 2] != '?')
		return 0;
	w->charset = s + 2;
	for (lang = 2; lang < i && s[lang] != '*'; lang++)
		;
	w->cn = lang - 2;
	w->base64 = s[i + 1] == 'B' || s[i + 1] == 'b';
	if (!w->base64 && s[i + 1] != 'Q' && s[i + 1] != 'q')
		return 0;
	w->text = s + i + 3;
	end = memchr(w->text, '?', n - (i + 3));
	if (!end || end + 1 == s + n || end[1] != '=')
		return 0;
	w->n = (size_t)(end - w->text);
	w->whole = (size_t)(end + 2 - s);
	return 1;
}

/* The bytes that it stands for; out has room for w->n. */
static size_t
word_bytes(char *out, struct word const *w)
{
	size_t i, used = 0;
	int high, low;

	if (w->base64)
		return decode_base64(out, w->text, w->n);
	for (i = 0; i < w->n; i++) {
		high = low = -1;
		if (w->text[i] == '=' && i + 2 < w->n) {
			high = decode_hex((unsigned char)w->text[i + 1]);
			low = decode_hex((unsigned char)w->text[i + 2]);
		}
		if (high != -1 && low != -1) {
			out[used++] = (char)(high << 4 | low);
			i += 2;
		} else
			out[used++] = w->text[i] == '_' ? ' ' : w->text[i];
	}
	return used;
}

/* Words of one charset in a row: a character may be cut between them.  How
 * much of s they are.
 */
static size_t
words_row(char *out, size_t max, size_t *used, char const *s, size_t n,
    int *odd)
{
	char bytes[WORD];
	struct word w, first = { 0 };
	size_t at = 0, end = 0, have = 0;

	while (find_word(&w, s + at, n - at) && w.n <= WORD - have) {
		if (end && (w.cn != first.cn ||
		    strncasecmp(w.charset, first.charset, w.cn) != 0))
			break;
		if (!end)
			first = w;
		have += word_bytes(bytes + have, &w);
		end = at += w.whole;
		while (at < n && (s[at] == ' ' || s[at] == '\t'))
			at++;
	}
	if (!end)
		return 0;
	*used += words_utf8(out + *used, max - *used, first.charset, first.cn,
	    bytes, have, odd);
	/* blanks between words of different charsets do not count either */
	return at < n && find_word(&w, s + at, n - at) ? at : end;
}

size_t
words_decode(char *out, size_t max, char const *s, size_t n, int *odd)
{
	size_t i = 0, k, used = 0;
	int any = 0;

	while (i < n && used < max) {
		k = words_row(out, max, &used, s + i, n - i, odd);
		any |= k > 0;
		i += k;
		if (!k)
			out[used++] = s[i++];
	}
	return any ? used : 0;
}

size_t
words_percent(char *out, char const *s, size_t n)
{
	size_t i, used = 0;
	int high, low;

	for (i = 0; i < n; i++) {
		high = low = -1;
		if (s[i] == '%' && n - i > 2) {
			high = decode_hex((unsigned char)s[i + 1]);
			low = decode_hex((unsigned char)s[i + 2]);
		}
		if (high != -1 && low != -1) {
			out[used++] = (char)(high << 4 | low);
			i += 2;
		} else
			out[used++] = s[i];
	}
	return used;
}

size_t
words_extended(char *out, size_t max, char const *s, size_t n, int *odd)
{
	char bytes[WORD];
	char const *one = memchr(s, '\'', n), *two = 0, *text = s;
	size_t cn = 0, k;

	if (one)
		two = memchr(one + 1, '\'', n - (size_t)(one + 1 - s));
	if (two) {
		cn = (size_t)(one - s);
		text = two + 1;
	}
	k = n - (size_t)(text - s);
	k = words_percent(bytes, text, k < WORD ? k : WORD);
	return words_utf8(out, max, s, cn, bytes, k, odd);
}
