/* archivenames: the names in the archive that is descriptor 0, a file, and in
 * those inside it, as the walker's records (walkwire.h) on descriptor 1.  It is
 * a program of its own because libarchive is large, and needs the C library of
 * the distribution.  Nothing is unpacked, in memory, but what leads to names.
 *
 * Runs as: scanq's caller, in a sandbox: it may read and write what it has,
 * and take memory.  Reads: descriptor 0.  Writes: descriptor 1.  Trusts:
 * nothing.  Trusted by: scanq, for names.
 */
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sandbox.h"
#include "scanq/listing.h"
#include "scanq/walkwire.h"

enum {
	EXIT_USAGE = 100, EXIT_TEMP = 111,
	SECONDS = 4,		/* of the processor */
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

int
main(int argc, char **argv)
{
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
	out.flags = WALK_NO_DATA;
	walkout_start(&out);
	limits();
	if (sandbox_no_new_privs() == -1 || sandbox_stream() == -1)
		return EXIT_TEMP;
	listing(&out, part, map, (size_t)st.st_size);
	walkout_done(&out, (uint64_t)st.st_size);
	_exit(0);
}
