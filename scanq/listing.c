#include "scanq/listing.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scanq/contents.h"
#include "scanq/filename.h"
#include "scanq/unzip.h"

struct listing {
	struct walkout *out;
	uint32_t part;
	size_t left;		/* bytes that may still be unpacked */
	size_t solid;		/* that may still be passed for a first byte */
	unsigned int entries;	/* so far */
};

/* A file in an archive. */
struct item {
	void *ctx;
	ssize_t (*read)(void *ctx, char *s, size_t n);
	char const *name;
	size_t nn;
	int far;		/* it costs too much to look into it */
	int unknown;		/* others can read what we cannot */
	char *s;		/* what it holds, as far as it has been read */
	size_t n;
};

static void list(struct listing *l, char const *s, size_t n,
    unsigned int level);

static void
anomaly(struct listing *l, int code, char const *about, size_t n)
{
	walkout_anomaly(l->out, l->part, code, about, n);
}

/* zip is unzip's; what would run another program stays away. */
static struct archive *
reader(char const *s, size_t n)
{
	struct archive *a = archive_read_new();

	if (!a || archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
	    archive_read_support_filter_bzip2(a) != ARCHIVE_OK ||
	    archive_read_support_filter_xz(a) != ARCHIVE_OK ||
	    archive_read_support_filter_lzma(a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
	    archive_read_support_filter_compress(a) != ARCHIVE_OK ||
	    archive_read_support_format_7zip(a) != ARCHIVE_OK ||
	    archive_read_support_format_cab(a) != ARCHIVE_OK ||
	    archive_read_support_format_lha(a) != ARCHIVE_OK ||
	    archive_read_support_format_rar(a) != ARCHIVE_OK ||
	    archive_read_support_format_rar5(a) != ARCHIVE_OK ||
	    archive_read_support_format_iso9660(a) != ARCHIVE_OK ||
	    archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_support_format_cpio(a) != ARCHIVE_OK ||
	    archive_read_support_format_ar(a) != ARCHIVE_OK ||
	    archive_read_support_format_raw(a) != ARCHIVE_OK ||
	    archive_read_open_memory(a, s, n) != ARCHIVE_OK) {
		archive_read_free(a);
		return 0;
	}
	return a;
}

static int
format(struct archive *a)
{
	return archive_format(a) & ARCHIVE_FORMAT_BASE_MASK;
}

/* libarchive does not read them all: solid ones, volumes, encrypted names. */
static int
is_rar(struct archive *a)
{
	return format(a) == ARCHIVE_FORMAT_RAR ||
	    format(a) == ARCHIVE_FORMAT_RAR_V5;
}

/* Bytes that are neither an archive nor compressed. */
static int
is_plain(struct archive *a)
{
	return format(a) == ARCHIVE_FORMAT_RAW &&
	    archive_filter_code(a, 0) == ARCHIVE_FILTER_NONE;
}

/* Has the walker, or contents, told its names?  Is there none? */
static int
is_known(struct archive *a)
{
	return format(a) == ARCHIVE_FORMAT_RAW || is_rar(a) ||
	    (format(a) == ARCHIVE_FORMAT_TAR &&
	    archive_filter_code(a, 0) == ARCHIVE_FILTER_NONE);
}

static char const *
name_of(struct archive_entry *e)
{
	char const *s = archive_entry_pathname_utf8(e);

	if (!s)
		s = archive_entry_pathname(e);
	return s ? s : "";
}

static void
tell(struct listing *l, struct archive_entry *e)
{
	struct filename f = { l->part, WALK_IN_ARCHIVE, WALK_UNKNOWN, 0, 0 };

	if (archive_entry_is_encrypted(e) > 0)
		anomaly(l, WALK_ENCRYPTED, "", 0);
	if (archive_entry_filetype(e) == AE_IFDIR)
		return;
	f.raw = name_of(e);
	f.rn = strlen(f.raw);
	if (!f.rn)
		anomaly(l, WALK_ARCHIVE_BAD, "", 0);
	if (archive_entry_size_is_set(e))
		f.size = (uint64_t)archive_entry_size(e);
	filename_report(l->out, &f, f.raw, f.rn);
}

/* By its first bytes. */
static int
is_archive(char const *s, size_t n)
{
	switch (magic_find(s, n)) {
	case WALK_ZIP:
	case WALK_RAR:
	case WALK_7Z:
	case WALK_GZIP:
	case WALK_BZIP2:
	case WALK_XZ:
	case WALK_ZSTD:
	case WALK_TAR:
	case WALK_CAB:
	case WALK_LHA:
		return 1;
	default:
		return 0;
	}
}

/* More of it, until there are so many bytes.  1; 0: that was all; -1: it
 * cannot be read.
 */
static int
more(struct item *e, size_t most)
{
	char *s = realloc(e->s, most);
	ssize_t r = 1;

	if (!s)
		return -1;
	e->s = s;
	while (e->n < most && (r = e->read(e->ctx, s + e->n, most - e->n)) > 0)
		e->n += (size_t)r;
	return r < 0 ? -1 : r > 0;
}

/* All of it, as far as may be. */
static void
unpack(struct listing *l, struct item *e)
{
	size_t most = e->n;
	int r = 1;

	while (r == 1 && most < l->left) {
		most = 4 * most < l->left ? 4 * most : l->left;
		r = more(e, most);
	}
	l->left -= e->n < l->left ? e->n : l->left;
	if (r)
		anomaly(l, r == 1 || e->unknown ? WALK_ARCHIVE_LIMIT :
		    WALK_ARCHIVE_BAD, e->name, e->nn);
}

static void
unpacked(struct listing *l, struct item const *e, unsigned int level)
{
	static struct contents c;	/* large, and never two at a time */

	contents_start(&c, l->out, l->part, 0, 0);
	contents_feed(&c, e->s, e->n);
	contents_end(&c);
	list(l, e->s, e->n, level + 1);
}

/* What it holds, if it is an archive. */
static void
inside(struct listing *l, struct item *e, unsigned int level)
{
	int named = filename_is_archive(e->name, e->nn);
	int r = named || !e->far ? more(e, MAGIC_HEAD) : 0;

	if (named && r == -1 && !e->n)
		anomaly(l, e->unknown ? WALK_ARCHIVE_LIMIT : WALK_ARCHIVE_BAD,
		    e->name, e->nn);
	if (e->n && (named || is_archive(e->s, e->n))) {
		if (level + 1 == LISTING_LEVELS) {
			anomaly(l, WALK_ARCHIVE_LIMIT, e->name, e->nn);
		} else {
			if (r == 1)
				unpack(l, e);
			unpacked(l, e, level);
		}
	}
	free(e->s);
}

/* One more entry.  1; 0: they are too many. */
static int
one_more(struct listing *l)
{
	static char const about[] = "entries";

	if (l->entries == LISTING_ENTRIES)
		anomaly(l, WALK_ARCHIVE_LIMIT, about, sizeof about - 1);
	return l->entries++ < LISTING_ENTRIES;
}

/* ---- zip */

static ssize_t
read_zip(void *ctx, char *s, size_t n)
{
	return unzip_read(ctx, s, n);
}

static void
list_zip(struct listing *l, char const *s, size_t n, unsigned int level)
{
	struct unzip u;

	if (!unzip_start(&u, s, n))
		return;
	while (unzip_next(&u) && one_more(l)) {
		struct item e = { &u, read_zip, u.name, u.nn, 0,
		    !unzip_is_known(&u), 0, 0 };

		if (!u.encrypted)
			inside(l, &e, level);
	}
	unzip_end(&u);
}

/* ---- all others */

static ssize_t
read_other(void *ctx, char *s, size_t n)
{
	return archive_read_data(ctx, s, n);
}

/* All before it may have to be unpacked for one byte of it. */
static int
is_far(struct listing *l, struct archive *a, struct archive_entry *e)
{
	int64_t size = archive_entry_size(e);
	size_t behind = size > 0 ? (size_t)size : 0;
	int far = l->solid == 0;

	if (format(a) != ARCHIVE_FORMAT_7ZIP &&
	    format(a) != ARCHIVE_FORMAT_CAB &&
	    format(a) != ARCHIVE_FORMAT_RAR_V5)
		return 0;
	l->solid -= behind < l->solid ? behind : l->solid;
	return far;
}

static void
entry(struct listing *l, struct archive *a, struct archive_entry *e,
    unsigned int level)
{
	char const *name = name_of(e);
	struct item i = { a, read_other, name, strlen(name),
	    is_far(l, a, e), is_rar(a), 0, 0 };

	if (!is_known(a))
		tell(l, e);
	if (archive_entry_filetype(e) == AE_IFREG &&
	    archive_entry_is_encrypted(e) <= 0)
		inside(l, &i, level);
}

static void
ended(struct listing *l, struct archive *a)
{
	if (archive_errno(a) == ENOMEM)
		anomaly(l, WALK_ARCHIVE_LIMIT, "", 0);
	else if (is_rar(a))
		;		/* the walker has seen its names */
	else if (archive_read_has_encrypted_entries(a) > 0)
		anomaly(l, WALK_ENCRYPTED_NAMES, "", 0);
	else
		anomaly(l, WALK_ARCHIVE_BAD, "", 0);
}

static void
list_other(struct listing *l, char const *s, size_t n, unsigned int level)
{
	struct archive *a = reader(s, n);
	struct archive_entry *e;
	int r;

	if (!a)
		return;
	while (((r = archive_read_next_header(a, &e)) == ARCHIVE_OK ||
	    r == ARCHIVE_WARN) && !is_plain(a) && one_more(l))
		entry(l, a, e, level);
	if (r != ARCHIVE_EOF && r != ARCHIVE_OK && r != ARCHIVE_WARN)
		ended(l, a);
	archive_read_free(a);
}

static void
list(struct listing *l, char const *s, size_t n, unsigned int level)
{
	list_zip(l, s, n, level);
	list_other(l, s, n, level);
}

void
listing(struct walkout *out, uint32_t part, char const *s, size_t n)
{
	struct listing l = { out, part, LISTING_BYTES, LISTING_SOLID, 0 };

	list(&l, s, n, 0);
}
