/* The names of the walker's codes. */
#include <string.h>

#include "scanq/walk.h"

static char const *const anomalies[WALK_ANOMALY_COUNT] = {
	[WALK_HEADER_SPACE] = "header-space",
	[WALK_HEADER_COMMENT] = "header-comment",
	[WALK_HEADER_GARBAGE] = "header-garbage",
	[WALK_HEADER_NUL] = "header-nul",
	[WALK_HEADER_CR] = "header-bare-cr",
	[WALK_HEADER_BLANK] = "header-blank-line",
	[WALK_HEADER_FIRST] = "header-first-line",
	[WALK_HEADER_LONG] = "header-too-long",
	[WALK_HEADER_MANY] = "header-too-many",
	[WALK_HEADER_NO_END] = "header-no-end",
	[WALK_UNINDENTED] = "unindented-parameter",
	[WALK_TWO_TYPES] = "two-types",
	[WALK_TWO_ENCODINGS] = "two-encodings",
	[WALK_TWO_DISPOSITIONS] = "two-dispositions",
	[WALK_TYPE_MALFORMED] = "type-malformed",
	[WALK_ENCODING_ODD] = "encoding-odd",
	[WALK_PARAMETER_ODD] = "parameter-odd",
	[WALK_BOUNDARY_MISSING] = "boundary-missing",
	[WALK_BOUNDARY_EMPTY] = "boundary-empty",
	[WALK_BOUNDARY_LONG] = "boundary-too-long",
	[WALK_BOUNDARY_AMBIGUOUS] = "boundary-ambiguous",
	[WALK_BOUNDARY_MANY] = "boundary-too-many",
	[WALK_BOUNDARY_REPEATED] = "boundary-repeated",
	[WALK_BOUNDARY_UNUSED] = "boundary-unused",
	[WALK_DELIMITER_JUNK] = "delimiter-junk",
	[WALK_DELIMITER_NONE] = "delimiter-none",
	[WALK_CLOSE_MISSING] = "close-missing",
	[WALK_AFTER_CLOSE] = "part-after-close",
	[WALK_IN_PREAMBLE] = "part-in-preamble",
	[WALK_CR_CR_LF] = "cr-cr-lf",
	[WALK_BARE_CR] = "bare-cr",
	[WALK_ENCODED_COMPOSITE] = "encoded-composite",
	[WALK_PARTIAL] = "message-partial",
	[WALK_EXTERNAL] = "external-body",
	[WALK_TOO_DEEP] = "too-deep",
	[WALK_TOO_MANY_PARTS] = "too-many-parts",
	[WALK_TOO_MANY_READINGS] = "too-many-readings",
	[WALK_BASE64_ILLEGAL] = "base64-illegal",
	[WALK_BASE64_PADDING] = "base64-padding",
	[WALK_BASE64_URL] = "base64-url",
	[WALK_QUOTED_BAD] = "quoted-bad",
	[WALK_UU_BAD] = "uuencode-bad",
	[WALK_UU_NO_END] = "uuencode-no-end",
	[WALK_UU_IN_TEXT] = "uuencode-in-text",
	[WALK_BASE64_IN_TEXT] = "base64-in-text",
	[WALK_YENC_IN_TEXT] = "yenc-in-text",
	[WALK_BINHEX_IN_TEXT] = "binhex-in-text",
	[WALK_NAMES_DIFFER] = "names-differ",
	[WALK_NAME_CHARSET] = "name-charset",
	[WALK_NAME_CONTROL] = "name-control",
	[WALK_NAME_BIDI] = "name-bidi",
	[WALK_NAME_LOOKALIKE] = "name-lookalike",
	[WALK_NAME_CLSID] = "name-clsid",
	[WALK_NAME_PATH] = "name-path",
	[WALK_NAME_STREAM] = "name-stream",
	[WALK_NAME_DOUBLE] = "name-double",
	[WALK_NAME_TRAILING] = "name-trailing",
	[WALK_NAME_LONG] = "name-too-long",
	[WALK_TOO_MANY_NAMES] = "too-many-names",
	[WALK_MISMATCH] = "type-mismatch",
	[WALK_ENCRYPTED] = "encrypted",
	[WALK_ENCRYPTED_NAMES] = "encrypted-names",
	[WALK_ARCHIVE_IN_ARCHIVE] = "archive-in-archive",
	[WALK_ZIP_DIFFERS] = "zip-names-differ",
	[WALK_ZIP_NO_DIRECTORY] = "zip-no-directory",
	[WALK_ZIP_PREFIX] = "zip-prefix",
	[WALK_ZIP_CONCATENATED] = "zip-concatenated",
	[WALK_ZIP_UNICODE] = "zip-unicode-name",
	[WALK_ZIP_BAD] = "zip-bad",
	[WALK_TNEF_BAD] = "tnef-bad",
	[WALK_TAR_BAD] = "tar-bad",
	[WALK_RAR_BAD] = "rar-bad",
	[WALK_ARCHIVE_BAD] = "archive-bad",
	[WALK_ARCHIVE_LIMIT] = "archive-limit",
	[WALK_TOO_MANY_ANOMALIES] = "too-many-anomalies"
};

static char const *const sources[WALK_SOURCES] = {
	"disposition", "type", "location", "uuencode", "yenc", "binhex",
	"zip", "zip-directory", "tnef", "tar", "gzip", "rar",
	"archive"
};

static char const *const magics[WALK_MAGICS] = {
	"unknown", "empty", "exe", "elf", "macho", "class", "script", "zip",
	"rar", "7z", "gzip", "bzip2", "xz",
	"zstd", "tar", "cab", "arj", "lha", "ace",
	"iso", "vhd", "ole", "pdf", "rtf", "html", "xml", "lnk", "chm",
	"onenote", "tnef", "swf", "jpeg", "png", "gif", "bmp", "tiff", "riff",
	"audio", "video", "mail"
};

static char const *const encodings[] = {
	"identity", "base64", "quoted-printable", "uuencode"
};

static char const *
name(char const *const *table, int count, int code)
{
	return code < 0 || code >= count ? 0 : table[code];
}

static int
code_of(char const *const *table, int count, char const *s, size_t n)
{
	int i;

	for (i = 0; i < count; i++)
		if (strlen(table[i]) == n && memcmp(table[i], s, n) == 0)
			return i;
	return -1;
}

char const *
walk_anomaly_name(int code)
{
	return name(anomalies, WALK_ANOMALY_COUNT, code);
}

char const *
walk_source_name(int code)
{
	return name(sources, WALK_SOURCES, code);
}

char const *
walk_magic_name(int code)
{
	return name(magics, WALK_MAGICS, code);
}

char const *
walk_encoding_name(int code)
{
	return name(encodings, WALK_UUENCODE + 1, code);
}

int
walk_anomaly_code(char const *s, size_t n)
{
	return code_of(anomalies, WALK_ANOMALY_COUNT, s, n);
}

int
walk_magic_code(char const *s, size_t n)
{
	return code_of(magics, WALK_MAGICS, s, n);
}
