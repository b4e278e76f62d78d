#include "scanq/magic.h"

#include <string.h>
#include <strings.h>

#include "scanq/filename.h"

struct magic {
	enum walk_magic magic;
	unsigned short at;
	unsigned short n;
	char const *s;
};

#define M(magic, at, s) { magic, at, sizeof s - 1, s }
static struct magic const table[] = {
	M(WALK_EXE, 0, "MZ"),
	M(WALK_ELF, 0, "\x7f" "ELF"),
	M(WALK_MACHO, 0, "\xcf\xfa\xed\xfe"),
	M(WALK_MACHO, 0, "\xce\xfa\xed\xfe"),
	M(WALK_MACHO, 0, "\xfe\xed\xfa\xce"),
	M(WALK_MACHO, 0, "\xfe\xed\xfa\xcf"),
	M(WALK_CLASS, 0, "\xca\xfe\xba\xbe"),
	M(WALK_SCRIPT, 0, "#!"),
	M(WALK_ZIP, 0, "PK\3\4"),
	M(WALK_ZIP, 0, "PK\5\6"),
	M(WALK_ZIP, 0, "PK00PK\3\4"),
	M(WALK_RAR, 0, "Rar!\x1a\7"),
	M(WALK_RAR, 0, "RE~^"),
	M(WALK_7Z, 0, "7z\xbc\xaf\x27\x1c"),
	M(WALK_GZIP, 0, "\x1f\x8b"),
	M(WALK_GZIP, 0, "\x1f\x9d"),
	M(WALK_BZIP2, 0, "BZh"),
	M(WALK_XZ, 0, "\xfd" "7zXZ"),
	M(WALK_ZSTD, 0, "\x28\xb5\x2f\xfd"),
	M(WALK_TAR, 257, "ustar"),
	M(WALK_CAB, 0, "MSCF"),
	M(WALK_ARJ, 0, "\x60\xea"),
	M(WALK_LHA, 2, "-lh"),
	M(WALK_ACE, 7, "**ACE**"),
	M(WALK_VHD, 0, "conectix"),
	M(WALK_VHD, 0, "vhdxfile"),
	M(WALK_VHD, 0, "KDMV"),
	M(WALK_OLE, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
	M(WALK_PDF, 0, "%PDF-"),
	M(WALK_RTF, 0, "{\\rt"),
	M(WALK_LNK, 0, "\x4c\0\0\0\x01\x14\x02\0"),
	M(WALK_CHM, 0, "ITSF"),
	M(WALK_ONENOTE, 0, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d"),
	M(WALK_TNEF, 0, "\x78\x9f\x3e\x22"),
	M(WALK_SWF, 0, "FWS"),
	M(WALK_SWF, 0, "CWS"),
	M(WALK_SWF, 0, "ZWS"),
	M(WALK_JPEG, 0, "\xff\xd8\xff"),
	M(WALK_PNG, 0, "\x89PNG\r\n"),
	M(WALK_GIF, 0, "GIF8"),
	M(WALK_BMP, 6, "\0\0\0\0\x36\0\0\0"),
	M(WALK_TIFF, 0, "II*\0"),
	M(WALK_TIFF, 0, "MM\0*"),
	M(WALK_RIFF, 0, "RIFF"),
	M(WALK_AUDIO, 0, "ID3"),
	M(WALK_AUDIO, 0, "OggS"),
	M(WALK_AUDIO, 0, "fLaC"),
	M(WALK_VIDEO, 4, "ftyp"),
	M(WALK_VIDEO, 0, "\x1a\x45\xdf\xa3"),
	M(WALK_VIDEO, 0, "\0\0\1\xba"),
	M(WALK_XML, 0, "<?xml"),
	M(WALK_MAIL, 0, "Return-Path: "),
	M(WALK_MAIL, 0, "Received: "),
	M(WALK_MAIL, 0, "From "),
	M(WALK_MAIL, 0, "X-Mozilla-Status: ")
};

static char const *const html[] = {
	"<!doctype html", "<html", "<head", "<script", "<body", "<iframe",
	"<svg", "<meta", 0
};

/* Markup, behind blanks and a byte order mark. */
static int
is_html(char const *s, size_t n)
{
	size_t i, k;

	if (n > 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0)
		s += 3, n -= 3;
	while (n && (*s == ' ' || *s == '\t' || *s == '\r' || *s == '\n'))
		s++, n--;
	for (i = 0; html[i]; i++) {
		k = strlen(html[i]);
		if (n >= k && strncasecmp(s, html[i], k) == 0)
			return 1;
	}
	return 0;
}

/* Two letters are little: what follows must look like a program, too. */
static int
is_exe(char const *s, size_t n)
{
	size_t i;

	for (i = 2; i < n && i < 32; i++)
		if ((unsigned char)s[i] < 9)
			return 1;
	return 0;
}

/* Readers of PDF look for it in the first kilobyte. */
static int
is_pdf(char const *s, size_t n)
{
	return memmem(s, n, "%PDF-", 5) != 0;
}

enum walk_magic
magic_find(char const *s, size_t n)
{
	size_t i;

	if (!n)
		return WALK_EMPTY;
	for (i = 0; i < sizeof table / sizeof *table; i++) {
		struct magic const *m = &table[i];

		if (n < m->at + m->n || memcmp(s + m->at, m->s, m->n) != 0)
			continue;
		if (m->magic != WALK_EXE || is_exe(s, n))
			return m->magic;
	}
	if (is_html(s, n))
		return WALK_HTML;
	return is_pdf(s, n) ? WALK_PDF : WALK_NO_MAGIC;
}

#define BIT(m) ((uint64_t)1 << (m))
#define IMAGES (BIT(WALK_JPEG) | BIT(WALK_PNG) | BIT(WALK_GIF) | \
	BIT(WALK_BMP) | BIT(WALK_TIFF) | BIT(WALK_RIFF) | BIT(WALK_XML) | \
	BIT(WALK_VIDEO) | BIT(WALK_PDF) | BIT(WALK_HTML))
#define SOUNDS (BIT(WALK_RIFF) | BIT(WALK_AUDIO) | BIT(WALK_VIDEO) | \
	BIT(WALK_XML) | BIT(WALK_HTML))
#define TEXTS (BIT(WALK_HTML) | BIT(WALK_XML) | BIT(WALK_MAIL) | \
	BIT(WALK_RTF) | BIT(WALK_SCRIPT))
#define OFFICE (BIT(WALK_OLE) | BIT(WALK_ZIP) | TEXTS)
#define ARCHIVES (BIT(WALK_ZIP) | BIT(WALK_RAR) | BIT(WALK_7Z) | \
	BIT(WALK_GZIP) | BIT(WALK_BZIP2) | BIT(WALK_XZ) | BIT(WALK_TAR) | \
	BIT(WALK_ZSTD) | \
	BIT(WALK_CAB) | BIT(WALK_ARJ) | BIT(WALK_LHA) | BIT(WALK_ACE))

/* What a file with these extensions may be. */
static struct {
	char const *extensions;
	uint64_t may;
} const kinds[] = {
	{ "jpg jpeg jpe gif png bmp tif tiff webp svg heic ico ", IMAGES },
	{ "mp3 wav ogg flac m4a aac wma mp4 avi mpg mpeg mov wmv mkv webm ",
	    SOUNDS },
	{ "txt csv log ics vcf asc diff patch c h ini conf ", TEXTS },
	{ "htm html xhtml shtml ", TEXTS },
	{ "pdf ", BIT(WALK_PDF) },
	{ "doc xls ppt docx xlsx pptx rtf odt ods odp dot xlsm docm pptm ",
	    OFFICE },
	{ "zip rar 7z gz tgz tar bz2 xz cab arj lzh lha ace ", ARCHIVES }
};

static int
type_is(char const *type, size_t tn, char const *start)
{
	size_t n = strlen(start);

	return tn >= n && memcmp(type, start, n) == 0;
}

int
magic_fits(enum walk_magic m, char const *name, size_t n, char const *type,
    size_t tn)
{
	size_t i;

	if (m == WALK_NO_MAGIC || m == WALK_EMPTY)
		return 1;
	for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (filename_is(name, n, kinds[i].extensions))
			return (kinds[i].may & BIT(m)) != 0;
	if (type_is(type, tn, "image/"))
		return (IMAGES & BIT(m)) != 0;
	if (type_is(type, tn, "audio/") || type_is(type, tn, "video/"))
		return (SOUNDS & BIT(m)) != 0;
	if (type_is(type, tn, "text/plain") || type_is(type, tn, "text/html"))
		return (TEXTS & BIT(m)) != 0;
	return 1;
}
