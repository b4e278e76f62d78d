#include "scanq/filename.h"

#include <string.h>
#include <strings.h>

#include "scanq/words.h"

#define ARCHIVES "zip rar 7z gz tgz tar bz2 tbz xz txz z cab arj lzh lha " \
	"ace zoo arc zipx r00 iso img "
#define PROGRAMS "exe com scr pif bat cmd vbs vbe js jse wsf wsh hta lnk " \
	"cpl msi jar ps1 reg chm dll ocx sys scf url "
#define INNOCENT "jpg jpeg gif png bmp tif tiff pdf doc docx xls xlsx ppt " \
	"pptx txt rtf htm html mp3 mp4 avi mpg wav zip csv xml odt ods eml "

enum { LONGEST = 255 };		/* what file systems take */

char const *
filename_extension(char const *s, size_t n, size_t *en)
{
	size_t i = n;

	while (i && s[i - 1] != '.')
		i--;
	*en = i ? n - i : 0;
	return s + i;
}

static int
is_word(char const *s, size_t n, char const *list)
{
	char const *blank;

	for (; *list; list = blank + 1) {
		blank = strchr(list, ' ');
		if ((size_t)(blank - list) == n &&
		    strncasecmp(list, s, n) == 0)
			return 1;
	}
	return 0;
}

int
filename_is(char const *s, size_t n, char const *list)
{
	size_t en;

	s = filename_extension(s, n, &en);
	return en && is_word(s, en, list);
}

int
filename_is_archive(char const *s, size_t n)
{
	return filename_is(s, n, ARCHIVES);
}

struct name {
	struct walkout *out;
	struct filename const *f;
	int archive;		/* stands in one, where paths are usual */
};

static void
anomaly(struct name const *a, int code, char const *s, size_t n)
{
	walkout_anomaly(a->out, a->f->part, code, s, n);
}

static void
tell(struct name const *a, char const *s, size_t n)
{
	struct walk_event e = { 0 };

	if (!n)
		return;
	e.part = a->f->part;
	e.code = (int)a->f->source;
	e.size = a->f->size;
	e.s = s;
	e.n = n;
	e.t = a->f->raw;
	e.tn = a->f->rn < WALK_NAME ? a->f->rn : WALK_NAME;
	walkout_file(a->out, &e);
}

/* name.{8-4-4-4-12 hexadecimal digits}: where, or 0 */
static char const *
clsid(char const *s, size_t n)
{
	char const *p;

	while (n >= 38 && (p = memchr(s, '{', n))) {
		n -= (size_t)(p - s);
		if (n >= 38 && p[37] == '}' && p[9] == '-' && p[14] == '-' &&
		    p[19] == '-' && p[24] == '-')
			return p;
		s = p + 1;
		n--;
	}
	return 0;
}

/* Windows hides it, and runs what is registered: a program for rules. */
static void
tell_clsid(struct name const *a, char const *s, size_t n)
{
	char out[WALK_NAME];
	char const *p = clsid(s, n);
	size_t k = p ? (size_t)(p - s) : 0;

	if (!p)
		return;
	anomaly(a, WALK_NAME_CLSID, s, n);
	if (!k || s[k - 1] != '.')
		return;
	memcpy(out, s, k);
	memcpy(out + k, "exe", 3);	/* there was more */
	tell(a, out, k + 3);
}

/* picture.jpg.exe, or blanks that push .exe out of sight */
static int
is_double(char const *s, size_t n)
{
	size_t en, k;
	char const *e = filename_extension(s, n, &en);

	if (!en || !is_word(e, en, PROGRAMS))
		return 0;
	k = (size_t)(e - s) - 1;
	if (k && (s[k - 1] == ' ' || s[k - 1] == '\t'))
		return 1;
	return filename_is(s, k, INNOCENT);
}

/* The character at s, which is UTF-8, and its length. */
static unsigned long
character(char const *s, size_t n, size_t *len)
{
	unsigned char const *p = (unsigned char const *)s;
	size_t i;
	unsigned long c = p[0];

	*len = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (*len > n)
		*len = n;
	if (c < 0x80)
		return c;
	c &= 0x3f >> (*len - 1);
	for (i = 1; i < *len; i++)
		c = c << 6 | (p[i] & 63);
	return c;
}

static int
is_bidi(unsigned long c)
{
	return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
	    c == 0x200e || c == 0x200f || c == 0x061c;
}

/* The ASCII character that it looks like, or 0. */
static unsigned long
looks_like(unsigned long c)
{
	if (c >= 0xff01 && c <= 0xff5e)		/* full width */
		return c - 0xff01 + '!';
	switch (c) {
	case 0x2024:	/* one dot leader */
	case 0x3002:	/* ideographic full stop */
	case 0xff61:	/* half width of it */
	case 0x06d4:	/* Arabic full stop */
		return '.';
	case 0x2044:	/* fraction slash */
	case 0x2215:
		return '/';
	default:
		return 0;
	}
}

/* Without characters that are not seen, and with ASCII for what looks like
 * it. */
static void
tell_folded(struct name const *a, char const *s, size_t n)
{
	char out[WALK_NAME];
	size_t i, len, used = 0;
	unsigned long c, like;
	int changed = 0;

	for (i = 0; i < n; i += len) {
		c = character(s + i, n - i, &len);
		like = looks_like(c);
		if (is_bidi(c)) {
			anomaly(a, WALK_NAME_BIDI, s, n);
			changed = 1;
		} else if (c == 0xad || c == 0x200b || c == 0xfeff ||
		    c < 32 || c == 127)
			changed = 1;
		else if (like) {
			anomaly(a, WALK_NAME_LOOKALIKE, s, n);
			changed = 1;
			out[used++] = (char)like;
		} else {
			memcpy(out + used, s + i, len);
			used += len;
		}
	}
	if (changed)
		tell(a, out, used);
}

static int
is_trailing(char c)
{
	return c == '.' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Cut at its end, and at a stream. */
static void
tell_cut(struct name const *a, char const *s, size_t n)
{
	size_t k = n;
	char const *colon;

	while (k && is_trailing(s[k - 1]))
		k--;
	if (k != n) {
		if (k)
			anomaly(a, WALK_NAME_TRAILING, s, n);
		tell(a, s, k);
	}
	while (k && (*s == '\'' || *s == '"'))
		s++, k--;
	while (k && (s[k - 1] == '\'' || s[k - 1] == '"'))
		k--;
	if (k != n)
		tell(a, s, k);
	colon = memchr(s, ':', k);
	if (colon && colon - s > 1) {
		anomaly(a, WALK_NAME_STREAM, s, n);
		tell(a, s, (size_t)(colon - s));
		tell(a, colon + 1, k - (size_t)(colon + 1 - s));
	}
}

static int
has_controls(char const *s, size_t n)
{
	for (; n; s++, n--)
		if ((unsigned char)*s < 32 || *s == 127)
			return 1;
	return 0;
}

/* The last part of a path. */
static void
tell_base(struct name const *a, char const *s, size_t n)
{
	size_t i = n;

	while (i && s[i - 1] != '/' && s[i - 1] != '\\')
		i--;
	if (!i)
		return;
	if (!a->archive || *s == '/' || *s == '\\' ||
	    (n > 2 && memcmp(s, "..", 2) == 0) || (n > 1 && s[1] == ':') ||
	    memmem(s, n, "/../", 4))
		anomaly(a, WALK_NAME_PATH, s, n);
	tell(a, s + i, n - i);
	if (i != n)
		tell_cut(a, s + i, n - i);
}

void
filename_report(struct walkout *out, struct filename const *f, char const *s,
    size_t n)
{
	struct name a = { out, f, f->source >= WALK_IN_ZIP };
	char name[WALK_NAME];
	char const *nul;
	int odd = 0;

	if (!n || !walkout_more_files(out, f->part, n))
		return;
	n = words_utf8(name, sizeof name, "", 0, s, n, &odd);
	if (n > LONGEST && !a.archive)
		anomaly(&a, WALK_NAME_LONG, name, n);
	tell(&a, name, n);
	if (has_controls(name, n))
		anomaly(&a, WALK_NAME_CONTROL, name, n);
	nul = memchr(name, 0, n);
	if (nul)
		tell(&a, name, (size_t)(nul - name));
	tell_clsid(&a, name, n);
	if (is_double(name, n))
		anomaly(&a, WALK_NAME_DOUBLE, name, n);
	tell_folded(&a, name, n);
	tell_base(&a, name, n);
	tell_cut(&a, name, n);
	if (a.archive && filename_is_archive(name, n))
		anomaly(&a, WALK_ARCHIVE_IN_ARCHIVE, name, n);
}
