#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/cdbfile.h"
#include "tests/unit/tap.h"

static int
has(struct cdbfile *c, char const *key, char const *want)
{
	char const *v;
	size_t n;

	return cdbfile_get(c, key, strlen(key), &v, &n) == 1 &&
	    n == strlen(want) && !memcmp(v, want, n);
}

static int
make(char const *file)
{
	struct cdbmaker m = CDBMAKER_ZERO;

	return cdbmaker_open(&m, file, 0640) == 1 &&
	    cdbmaker_add(&m, "one", 3, "1", 1) == 1 &&
	    cdbmaker_add(&m, "", 0, "empty key", 9) == 1 &&
	    cdbmaker_add(&m, "one", 3, "again", 5) == 1 &&
	    cdbmaker_commit(&m) == 1;
}

static void
reading(void)
{
	struct cdbfile c = CDBFILE_ZERO;
	char const *k, *v;
	size_t kn, vn;
	unsigned int pos = 0, count = 0;
	struct stat st;

	ok(cdbfile_open(&c, "none.cdb") == 0, "no such file");
	ok(cdbfile_get(&c, "a", 1, &v, &vn) == 0, "nothing open has no keys");
	ok(make("t.cdb"), "written");
	ok(stat("t.cdb", &st) == 0 && (st.st_mode & 07777) == 0640,
	    "with the mode asked for");
	ok(cdbfile_open(&c, "t.cdb") == 1, "opened");
	ok(has(&c, "one", "1"), "the first of two equal keys");
	ok(has(&c, "", "empty key"), "the empty key");
	ok(cdbfile_get(&c, "two", 3, &v, &vn) == 0, "no such key");
	while (cdbfile_next(&c, &pos, &k, &kn, &v, &vn) == 1)
		count++;
	ok(count == 3, "every record in turn");
	cdbfile_close(&c);
}

/* Without a map. */
static void
asking(void)
{
	stralloc v = STRALLOC_ZERO;
	int fd = open("t.cdb", O_RDONLY);

	ok(cdbfile_read(fd, "one", 3, &v) == 1 && v.len == 1 && *v.s == '1',
	    "read: the first of two equal keys");
	ok(cdbfile_read(fd, "", 0, &v) == 1 && v.len == 9 &&
	    !memcmp(v.s, "empty key", 9), "read: the empty key");
	ok(cdbfile_read(fd, "two", 3, &v) == 0, "read: no such key");
	ok(cdbfile_read(fd, "one", 3, &v) == 1 && v.len == 1,
	    "read: a shorter value replaces a longer one");
	ok(cdbfile_read(-1, "one", 3, &v) == -1 && errno == EBADF,
	    "read: no file");
	close(fd);
	stralloc_free(&v);
}

static void
large(void)
{
	static char text[65537];
	struct cdbmaker m = CDBMAKER_ZERO;
	stralloc v = STRALLOC_ZERO;
	int fd;

	ok(cdbmaker_open(&m, "large.cdb", 0644) == 1 &&
	    cdbmaker_add(&m, "most", 4, text, 65536) == 1 &&
	    cdbmaker_add(&m, "more", 4, text, 65537) == 1 &&
	    cdbmaker_commit(&m) == 1, "a file with large values");
	fd = open("large.cdb", O_RDONLY);
	ok(cdbfile_read(fd, "most", 4, &v) == 1 && v.len == 65536,
	    "read: the largest value");
	ok(cdbfile_read(fd, "more", 4, &v) == -1 && errno == EPROTO,
	    "read: a larger one");
	close(fd);
	stralloc_free(&v);
}

/* A hostile or torn file: every truncation and every byte turned over must
 * end in an answer, never in a crash.  (The maps of cdbfile are bounded by
 * the file's size; run under valgrind or ASan this shows more.) */
static int
asked(char const *file)
{
	stralloc v = STRALLOC_ZERO;
	int fd = open(file, O_RDONLY);
	int r = cdbfile_read(fd, "one", 3, &v);

	close(fd);
	stralloc_free(&v);
	return r;
}

static void
damaged(void)
{
	struct cdbfile c = CDBFILE_ZERO;
	char all[8192], const_name[] = "bad.cdb";
	char const *v;
	ssize_t size;
	size_t n, i;
	int fd = open("t.cdb", O_RDONLY), survived = 0, cut = 0;

	size = read(fd, all, sizeof all);
	close(fd);
	for (i = 0; i < (size_t)size; i++) {
		openwritenclose_unsafe(const_name, all, i);
		if (cdbfile_open(&c, const_name) == 1) {
			cdbfile_get(&c, "one", 3, &v, &n);
			cdbfile_close(&c);
		}
		cut += asked(const_name) != 1;
		all[i] ^= 0xff;
		openwritenclose_unsafe(const_name, all, size);
		asked(const_name);
		if (cdbfile_open(&c, const_name) == 1) {
			cdbfile_get(&c, "one", 3, &v, &n);
			cdbfile_close(&c);
		}
		all[i] ^= 0xff;
		survived++;
	}
	ok(size > 2048 && survived == size, "cut anywhere, any byte changed");
	/* the record lies in front of the tables */
	ok(cut > 2048, "read: cut anywhere, it is not there");
	openwritenclose_unsafe(const_name, "short", 5);
	ok(cdbfile_open(&c, const_name) == -1, "too short for a cdb");
}

static void
replacing(void)
{
	struct cdbmaker m = CDBMAKER_ZERO;
	struct cdbfile c = CDBFILE_ZERO;

	ok(cdbmaker_open(&m, "t.cdb", 0644) == 1 &&
	    cdbmaker_add(&m, "new", 3, "n", 1) == 1, "a second writer");
	ok(cdbfile_open(&c, "t.cdb") == 1 && has(&c, "one", "1"),
	    "the old file serves until the commit");
	ok(cdbmaker_commit(&m) == 1, "commit");
	ok(has(&c, "one", "1"), "an open map stays as it was");
	cdbfile_close(&c);
	ok(cdbfile_open(&c, "t.cdb") == 1 && has(&c, "new", "n"),
	    "the new file");
	cdbfile_close(&c);
	ok(cdbmaker_open(&m, "t.cdb", 0644) == 1, "a third writer");
	cdbmaker_abort(&m);
	ok(cdbfile_open(&c, "t.cdb") == 1 && has(&c, "new", "n"),
	    "an aborted one changes nothing");
	cdbfile_close(&c);
	ok(cdbmaker_open(&m, "nowhere/t.cdb", 0644) == -1 && errno == ENOENT,
	    "no such directory");
}

int
main(void)
{
	char dir[] = "/tmp/unit-cdbfile.XXXXXX";
	int r;

	if (!mkdtemp(dir) || chdir(dir) == -1)
		return 111;
	reading();
	asking();
	large();
	damaged();
	replacing();
	r = tap_done();
	rm_rf(dir);
	return r;
}
