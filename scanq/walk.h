/* walk: everything that any common mail reader could see in a message, found
 * in one pass with constant memory.
 *
 * Bytes go in with walk_feed, in pieces of any size, and come out as events,
 * in the order of the message.  Where readers differ (two encodings, two
 * boundaries, a name written twice) all readings are followed, as far as the
 * limits below allow, and the difference is reported as an anomaly.
 *
 * Parts are numbered from 0, the message itself.  WALK_HEADER, WALK_FILE and
 * WALK_ANOMALY of a part's header come before its WALK_PART, at the end of
 * that header; a parent has a smaller number.  A file that stands inside a
 * part (uuencoded in a text, in winmail.dat) is a part of its own.  A part
 * that is no container is a leaf, and comes out once for each reading of its
 * encoding: alt 0, 1, ...  Leaves may overlap: their data are told apart by
 * part and alt.
 *
 * All bytes of events are the sender's: hostile, not NUL-terminated, and valid
 * during the call.
 *
 * RFC 5322, 2045 to 2047, 2231.
 */
#ifndef WALK_H
#define WALK_H

#include <stddef.h>
#include <stdint.h>

/* Limits: what is beyond is not lost, but no longer told apart. */
enum {
	WALK_DEPTH = 64,	/* parts within parts, without decoding */
	WALK_LAYERS = 6,	/* encoded messages open at the same time */
	WALK_READINGS = 12,	/* leaves of one layer open at the same time */
	WALK_PARTS = 10000,	/* more are walked, and are an anomaly */
	WALK_PARTS_MOST = 20000,  /* delimiters behind these are text */
	WALK_HEADERS = 2000,	/* fields of one header that are reported */
	WALK_VALUE = 65536,	/* bytes of a header field */
	WALK_NAME = 4096,	/* bytes of a file name, as UTF-8 */
	WALK_NAMES = 20000,	/* names reported */
	WALK_NAMES_BYTES = 8000000, /* of names looked at */
	WALK_ANOMALIES = 20000,	/* anomalies reported */
	WALK_PIECE = 16384	/* most bytes of one WALK_DATA */
};

#define WALK_UNKNOWN UINT64_MAX	/* as a size */

enum walk_type {
	WALK_HEADER = 1,	/* part; s: name; t: unfolded value */
	WALK_PART,		/* part, parent, depth; s: declared type, in
				 * small letters, "" if none; t: declared
				 * encoding, as it stands */
	WALK_FILE,		/* part; code: source; s: name as UTF-8; t: as
				 * it stands; size: where an archive says it */
	WALK_LEAF,		/* part, alt; code: enum walk_encoding */
	WALK_DATA,		/* part, alt; s: decoded bytes */
	WALK_END,		/* part, alt; code: enum walk_magic; size */
	WALK_ANOMALY,		/* part; code; s: what it is about, cut */
	WALK_DONE		/* the end of the walk; size: bytes read.
				 * Without it the walk is not complete */
};

enum walk_encoding {
	WALK_IDENTITY,		/* 7bit, 8bit, binary, or unknown */
	WALK_BASE64,
	WALK_QUOTED,		/* quoted-printable */
	WALK_UUENCODE
};

/* Where a name stands. */
enum walk_source {
	WALK_IN_DISPOSITION,	/* filename of Content-Disposition */
	WALK_IN_TYPE,		/* name of Content-Type */
	WALK_IN_LOCATION,	/* last part of Content-Location */
	WALK_IN_UUENCODE,	/* a begin line */
	WALK_IN_YENC,
	WALK_IN_BINHEX,
	WALK_IN_ZIP,		/* a local header */
	WALK_IN_ZIP_DIRECTORY,	/* the central directory */
	WALK_IN_TNEF,
	WALK_IN_TAR,
	WALK_IN_GZIP,
	WALK_IN_RAR,
	WALK_IN_ARCHIVE,	/* any other: archivenames */
	WALK_SOURCES
};

/* What the first bytes of a leaf say it is. */
enum walk_magic {
	WALK_NO_MAGIC,		/* nothing known: text, or anything */
	WALK_EMPTY,
	WALK_EXE,		/* DOS, Windows */
	WALK_ELF,
	WALK_MACHO,
	WALK_CLASS,		/* Java */
	WALK_SCRIPT,		/* #! */
	WALK_ZIP,
	WALK_RAR,
	WALK_7Z,
	WALK_GZIP,
	WALK_BZIP2,
	WALK_XZ,
	WALK_ZSTD,
	WALK_TAR,
	WALK_CAB,
	WALK_ARJ,
	WALK_LHA,
	WALK_ACE,
	WALK_ISO,
	WALK_VHD,
	WALK_OLE,		/* old Office, msi, msg */
	WALK_PDF,
	WALK_RTF,
	WALK_HTML,
	WALK_XML,
	WALK_LNK,
	WALK_CHM,
	WALK_ONENOTE,
	WALK_TNEF,
	WALK_SWF,
	WALK_JPEG,
	WALK_PNG,
	WALK_GIF,
	WALK_BMP,
	WALK_TIFF,
	WALK_RIFF,		/* webp, wav, avi */
	WALK_AUDIO,
	WALK_VIDEO,
	WALK_MAIL,
	WALK_MAGICS
};

/* The names that walk_anomaly_name gives are an interface: see mimewalk(1). */
enum walk_anomaly {
	/* header */
	WALK_HEADER_SPACE,	/* white space before the colon */
	WALK_HEADER_COMMENT,	/* a comment before the colon */
	WALK_HEADER_GARBAGE,	/* a line that is no header field */
	WALK_HEADER_NUL,
	WALK_HEADER_CR,		/* bare CR */
	WALK_HEADER_BLANK,	/* white space only, which ends it for some */
	WALK_HEADER_FIRST,	/* message begins with an empty or folded
				 * line */
	WALK_HEADER_LONG,	/* beyond WALK_VALUE */
	WALK_HEADER_MANY,	/* beyond WALK_HEADERS */
	WALK_HEADER_NO_END,	/* delimiter without an empty line before */
	WALK_UNINDENTED,	/* parameter at the start of a line */
	WALK_TWO_TYPES,		/* two Content-Type that differ */
	WALK_TWO_ENCODINGS,
	WALK_TWO_DISPOSITIONS,
	WALK_TYPE_MALFORMED,
	WALK_ENCODING_ODD,	/* unknown, or known and more */
	WALK_PARAMETER_ODD,	/* malformed parameter of Content-* */
	/* structure */
	WALK_BOUNDARY_MISSING,
	WALK_BOUNDARY_EMPTY,
	WALK_BOUNDARY_LONG,
	WALK_BOUNDARY_AMBIGUOUS, /* can be read in several ways */
	WALK_BOUNDARY_MANY,	/* more readings than are followed */
	WALK_BOUNDARY_REPEATED,	/* that of an outer part */
	WALK_BOUNDARY_UNUSED,	/* on a part that is no multipart */
	WALK_DELIMITER_JUNK,	/* more behind the delimiter */
	WALK_DELIMITER_NONE,	/* multipart without any delimiter */
	WALK_CLOSE_MISSING,
	WALK_AFTER_CLOSE,	/* part behind the close delimiter */
	WALK_IN_PREAMBLE,	/* header fields in a preamble */
	WALK_CR_CR_LF,
	WALK_BARE_CR,		/* in a text */
	WALK_ENCODED_COMPOSITE,	/* multipart or message with an encoding */
	WALK_PARTIAL,		/* message/partial */
	WALK_EXTERNAL,		/* message/external-body */
	WALK_TOO_DEEP,
	WALK_TOO_MANY_PARTS,
	WALK_TOO_MANY_READINGS,
	/* encodings */
	WALK_BASE64_ILLEGAL,	/* bytes that are not of the alphabet */
	WALK_BASE64_PADDING,	/* = and more behind it, or bits left over */
	WALK_BASE64_URL,	/* - and _ */
	WALK_QUOTED_BAD,
	WALK_UU_BAD,
	WALK_UU_NO_END,
	WALK_UU_IN_TEXT,
	WALK_BASE64_IN_TEXT,	/* begin-base64 */
	WALK_YENC_IN_TEXT,
	WALK_BINHEX_IN_TEXT,
	/* names */
	WALK_NAMES_DIFFER,	/* two different ones for one part */
	WALK_NAME_CHARSET,	/* in a charset that we do not read */
	WALK_NAME_CONTROL,	/* NUL or another control character */
	WALK_NAME_BIDI,		/* characters that turn its direction */
	WALK_NAME_LOOKALIKE,	/* such as a full-width full stop */
	WALK_NAME_CLSID,
	WALK_NAME_PATH,
	WALK_NAME_STREAM,	/* file:stream */
	WALK_NAME_DOUBLE,	/* picture.jpg.exe, or blanks before .exe */
	WALK_NAME_TRAILING,	/* dots or blanks at its end */
	WALK_NAME_LONG,		/* more than 255 bytes */
	WALK_TOO_MANY_NAMES,
	/* contents */
	WALK_MISMATCH,		/* magic against name or declared type */
	WALK_ENCRYPTED,		/* archive with a password */
	WALK_ENCRYPTED_NAMES,	/* even its names */
	WALK_ARCHIVE_IN_ARCHIVE,
	WALK_ZIP_DIFFERS,	/* local names are not those of the directory */
	WALK_ZIP_NO_DIRECTORY,
	WALK_ZIP_PREFIX,	/* bytes before it */
	WALK_ZIP_CONCATENATED,
	WALK_ZIP_UNICODE,	/* extra field gives another name */
	WALK_ZIP_BAD,
	WALK_TNEF_BAD,
	WALK_TAR_BAD,
	WALK_RAR_BAD,
	WALK_ARCHIVE_BAD,	/* that archivenames cannot read */
	WALK_ARCHIVE_LIMIT,	/* or does not, up to its end */
	WALK_TOO_MANY_ANOMALIES,
	WALK_ANOMALY_COUNT
};

struct walk_event {
	enum walk_type type;
	int code;
	uint32_t part;
	uint32_t parent;
	unsigned int depth;
	unsigned int alt;
	uint64_t size;
	char const *s;
	size_t n;
	char const *t;
	size_t tn;
};

typedef void walk_take(void *ctx, struct walk_event const *);

enum {
	WALK_NO_DATA = 1	/* flag: leave WALK_DATA out */
};

typedef struct walk walk;

/* All memory that it will ever have, most of it untouched until needed.  0:
 * out of memory.
 */
extern walk *walk_new(walk_take *take, void *ctx, int flags);
extern void walk_free(walk *);

/* A walk can be used again after walk_end. */
extern void walk_feed(walk *, char const *s, size_t n);
extern void walk_end(walk *);

/* Words of small letters, digits and hyphens; 0: no such code. */
extern char const *walk_anomaly_name(int);
extern char const *walk_source_name(int);
extern char const *walk_magic_name(int);
extern char const *walk_encoding_name(int);

/* The other way, for settings.  The code, or -1. */
extern int walk_anomaly_code(char const *s, size_t n);
extern int walk_magic_code(char const *s, size_t n);

#endif
