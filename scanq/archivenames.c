/* archivenames: the names in the archive that is descriptor 0, a file, as the
 * walker's records (walkwire.h) on descriptor 1.  It is a program of its own
 * because libarchive is large, and needs the C library of the distribution.
 * Nothing is unpacked but what leads to the names.
 *
 * Runs as: scanq's caller, in a sandbox: it may read and write what it has,
 * and take memory.  Reads: descriptor 0.  Writes: descriptor 1.  Trusts:
 * nothing.  Trusted by: scanq, for names.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sandbox.h"
#include "scanq/filename.h"
#include "scanq/walkout.h"
#include "scanq/walkwire.h"

enum {
	EXIT_USAGE = 100, EXIT_TEMP = 111,
	SECONDS = 2,		/* of the processor */
	MEMORY = 268435456	/* dictionaries of xz and zstd */
};

static struct walkout out;

static void
put(void const *s, size_t n)
{
	char const *p = s;
	ssize_t r;

	for (; n; p += r, n -= (size_t)r) {
		r = write(1, p, n);
		if (r <= 0)
			_exit(EXIT_TEMP);
	}
}

static void
send_event(void *ctx, struct walk_event const *e)
{
	unsigned char head[WALKWIRE_HEADER];

	(void)ctx;
	walkwire_put(head, e);
	put(head, sizeof head);
	put(e->s, e->n);
	put(e->t, e->tn);
}

static void
limits(void)
{
	struct rlimit cpu = { SECONDS, SECONDS }, memory = { MEMORY, MEMORY };
	struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CPU, &cpu) == -1 ||
	    setrlimit(RLIMIT_AS, &memory) == -1 ||
	    setrlimit(RLIMIT_CORE, &none) == -1)
		_exit(EXIT_TEMP);
}

/* What the walker itself reads, zip, tar and rar, stays away; so does all that
 * would run another program.
 */
static struct archive *
reader(char const *map, size_t n)
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
	    archive_read_support_format_iso9660(a) != ARCHIVE_OK ||
	    archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_support_format_cpio(a) != ARCHIVE_OK ||
	    archive_read_support_format_ar(a) != ARCHIVE_OK)
		_exit(EXIT_TEMP);
	return archive_read_open_memory(a, map, n) == ARCHIVE_OK ? a : 0;
}

static void
entry(struct archive_entry *e, uint32_t part)
{
	struct filename f = { part, WALK_IN_ARCHIVE, WALK_UNKNOWN, 0, 0 };
	char const *s = archive_entry_pathname_utf8(e);

	if (!s)
		s = archive_entry_pathname(e);
	if (archive_entry_is_encrypted(e) > 0)
		walkout_anomaly(&out, part, WALK_ENCRYPTED, "", 0);
	if (archive_entry_filetype(e) == AE_IFDIR)
		return;
	if (!s) {
		walkout_anomaly(&out, part, WALK_ARCHIVE_BAD, "", 0);
		return;
	}
	if (archive_entry_size_is_set(e))
		f.size = (uint64_t)archive_entry_size(e);
	f.raw = s;
	f.rn = strlen(s);
	filename_report(&out, &f, s, f.rn);
}

static void
list(struct archive *a, uint32_t part)
{
	struct archive_entry *e;
	int r;

	while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK ||
	    r == ARCHIVE_WARN)
		entry(e, part);
	if (r == ARCHIVE_EOF)
		return;
	if (archive_read_has_encrypted_entries(a) > 0)
		walkout_anomaly(&out, part, WALK_ENCRYPTED_NAMES, "", 0);
	else if (archive_format(a) ||	/* else it is a compressed file */
	    archive_errno(a) != EILSEQ)
		walkout_anomaly(&out, part, WALK_ARCHIVE_BAD, "", 0);
}

int
main(int argc, char **argv)
{
	struct archive *a;
	struct stat st;
	uint32_t part;
	char *map;

	if (argc != 2 || fstat(0, &st) == -1 || !S_ISREG(st.st_mode))
		return EXIT_USAGE;
	part = (uint32_t)strtoul(argv[1], 0, 10);
	map = mmap(0, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, 0, 0);
	if (map == MAP_FAILED)
		return EXIT_TEMP;
	setlocale(LC_CTYPE, "C.UTF-8");
	out.take = send_event;
	walkout_start(&out);
	limits();
	if (sandbox_no_new_privs() == -1 || sandbox_stream() == -1)
		return EXIT_TEMP;
	a = reader(map, (size_t)st.st_size);
	if (a)
		list(a, part);
	walkout_done(&out, (uint64_t)st.st_size);
	_exit(0);
}
