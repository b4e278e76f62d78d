#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/msgfile.h"
#include "tests/unit/tap.h"

static char const body[] = "Received: x\n\nhello\n";
static stralloc env = STRALLOC_ZERO, got = STRALLOC_ZERO;
static struct msgfile m, r;
static char const *why;

static void
make_envelope(unsigned int recipients)
{
	unsigned int i;

	msgfile_envelope(&env, 1000, 4711, "65f1-3");
	stralloc_catb(&env, "Fs@a.example\0", 13);
	for (i = 0; i < recipients; i++)
		stralloc_catb(&env, "Tu@b.example\0", 13);
}

static int
make_file(void)
{
	char name[] = "/tmp/msgfile.XXXXXX", end[MSGFILE_END];
	int fd = mkstemp(name);

	unlink(name);
	m.body = sizeof body - 1;
	m.envelope = env.len;
	m.birth = 1700000000123456u;
	m.body_crc = crc32c(0, body, sizeof body - 1);
	m.envelope_crc = msgfile_envelope_crc(env.s, env.len);
	msgfile_end(end, &m);
	if (write(fd, body, sizeof body - 1) == -1 ||
	    write(fd, env.s, env.len) == -1 ||
	    write(fd, end, sizeof end) == -1)
		return -1;
	return fd;
}

static int
reads(int fd)
{
	int result = msgfile_read(fd, &r, &got, &why);

	close(fd);
	return result;
}

/* Whether one changed byte at that offset is found out. */
static int
flip(off_t at)
{
	int fd = make_file(), result;
	char c;

	if (pread(fd, &c, 1, at) != 1)
		return 0;
	c ^= 4;
	if (pwrite(fd, &c, 1, at) != 1)
		return 0;
	result = msgfile_read(fd, &r, &got, &why);
	if (result == 1)
		result = msgfile_check(fd, &r);
	close(fd);
	return result == 0;
}

static int
flip_everywhere(void)
{
	size_t i, n = sizeof body - 1 + env.len + MSGFILE_END;
	int good = 1;

	for (i = 0; i < n; i++)
		good &= flip(i);
	return good;
}

static int
cut_everywhere(void)
{
	size_t i, n = sizeof body - 1 + env.len + MSGFILE_END;
	int good = 1, fd;

	for (i = 0; i < n; i++) {
		fd = make_file();
		good &= ftruncate(fd, i) == 0 && reads(fd) == 0;
	}
	return good;
}

static void
test_marks(void)
{
	size_t pos = 0, at, n;
	char const *value;
	char letter;
	int fd = make_file(), t = 0;

	for (at = 0; msgfile_next(&env, &pos, &letter, &value, &n); at = pos) {
		if (letter == 'h')
			t += pwrite(fd, "H", 1, m.body + at + 1) == 1;
		if (letter == 'T')
			t += pwrite(fd, "D", 1, m.body + at) == 1;
	}
	ok(t == 4, "hold and three recipients to mark");
	ok(reads(fd) == 1, "a file with marks is whole");
	ok(memchr(got.s, 'D', got.len) && memchr(got.s, 'H', got.len),
	    "the marks are read");
	ok(memcmp(&m, &r, sizeof m) == 0, "marks change no sum");
}

static void
test_names(void)
{
	char path[MSGFILE_PATH];
	uint64_t id;

	ok(msgfile_path(path, 1700000000123456007u) == strlen(path) &&
	    strcmp(path, "mess/00/1700000000123456007") == 0, "path of an id");
	msgfile_path(path, 63007);
	ok(strcmp(path, "mess/63/63007") == 0, "path of a small id");
	msgfile_path(path, UINT64_MAX);
	ok(strlen(path) < MSGFILE_PATH, "path of the largest id fits");
	ok(msgfile_id("1700000000123456007", 19, &id) == 1 &&
	    id == 1700000000123456007u, "id of a name");
	ok(!msgfile_id("", 0, &id) && !msgfile_id("01", 2, &id) &&
	    !msgfile_id("1a", 2, &id) && !msgfile_id("-1", 2, &id) &&
	    !msgfile_id("17000000001234560071", 20, &id), "names without id");
}

/* Sums that fit, and lengths that fit only because they overflow. */
static int
overflow(uint64_t envelope)
{
	int fd = make_file();
	char end[MSGFILE_END];
	off_t size = sizeof body - 1 + env.len;

	m.envelope = envelope;
	m.body = size - envelope;
	msgfile_end(end, &m);
	if (pwrite(fd, end, sizeof end, size) != sizeof end)
		return 1;
	return reads(fd);
}

static void
test_malformed(void)
{
	make_envelope(3);
	ok(overflow(env.len) == 1, "lengths that fit");
	ok(overflow(sizeof body + env.len) == 0 && overflow(100000) == 0,
	    "an envelope longer than its file is damage");
	msgfile_envelope(&env, 1, 2, "x");
	stralloc_catb(&env, "F\0", 2);
	ok(reads(make_file()) == 0, "no recipient is no message");
	stralloc_catb(&env, "Xa\0", 3);
	ok(reads(make_file()) == 0, "an unknown record is damage");
	msgfile_envelope(&env, 1, 2, "x");
	stralloc_catb(&env, "F\0Ta", 4);
	ok(reads(make_file()) == 0, "a record without NUL is damage");
	env.len = 0;
	stralloc_catb(&env, "F\0Ta\0", 5);
	ok(reads(make_file()) == 0, "our own records must be there");
	ok(reads(open("/dev/null", O_RDONLY)) == 0, "a device is no message");
}

int
main(void)
{
	make_envelope(3);
	ok(reads(make_file()) == 1, "a written file is read");
	ok(memcmp(&m, &r, sizeof m) == 0 && got.len == env.len &&
	    memcmp(got.s, env.s, env.len) == 0, "and says what was written");
	ok(flip_everywhere(), "any changed byte is found");
	ok(cut_everywhere(), "a file cut anywhere is found");
	test_marks();
	make_envelope(1000);
	ok(reads(make_file()) == 1 && got.len == env.len,
	    "an envelope of 1000 recipients");
	test_names();
	test_malformed();
	return tap_done();
}
