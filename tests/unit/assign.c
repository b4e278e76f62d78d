#include "lib/assign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/cdbfile.h"
#include "tests/unit/tap.h"

static struct assign a = ASSIGN_ZERO;

#define REC(user, ext) user "\0" "1001\0" "1002\0" "/home/" user "\0" "-\0" ext

static void
add(struct cdbmaker *m, char const *key, size_t klen, char const *data,
    size_t n)
{
	if (cdbmaker_add(m, key, klen, data, n) != 1)
		_exit(111);
}

static void
make_cdb(void)
{
	static char const joe[] = REC("joe", ""), list[] = REC("list", "pre"),
	    all[] = REC("all", ""), bad[] = "x\0" "1y\0" "2\0" "/\0" "\0";
	struct cdbmaker m = CDBMAKER_ZERO;

	if (cdbmaker_open(&m, "users/cdb", 0644) != 1)
		_exit(111);
	add(&m, "!joe", 5, joe, sizeof joe - 1);
	add(&m, "!list-", 6, list, sizeof list - 1);
	add(&m, "!bad", 5, bad, sizeof bad - 1);
	add(&m, "!", 1, all, sizeof all - 1);
	add(&m, "", 0, "-", 1);
	if (cdbmaker_commit(&m) != 1)
		_exit(111);
}

static int
is(char const *local, char const *user, char const *ext)
{
	return assign_find(local, strlen(local), &a) == 1 &&
	    strcmp(a.user, user) == 0 && strcmp(a.ext, ext) == 0 &&
	    a.uid == 1001 && a.gid == 1002 && strcmp(a.dash, "-") == 0;
}

static void
test_find(void)
{
	ok(assign_find("joe", 3, &a) == 0, "no users/cdb: no record");
	make_cdb();
	ok(is("joe", "joe", "") && strcmp(a.home, "/home/joe") == 0,
	    "an exact record");
	ok(is("JOE", "joe", ""), "without regard to case");
	ok(is("List-Owner", "list", "preOwner"),
	    "a wildcard's rest is appended to ext, case kept");
	ok(is("list-", "list", "pre"), "a wildcard may leave nothing");
	ok(is("list", "all", "list"), "the empty wildcard takes the rest");
	ok(is("joe-x", "all", "joe-x"), "an exact record is no wildcard");
	errno = 0;
	ok(assign_find("bad", 3, &a) == -1 && errno == EPROTO,
	    "a malformed record is trouble, not no record");
}

static void
test_broken(void)
{
	int fd = open("users/cdb", O_WRONLY | O_TRUNC);

	if (fd == -1 || write(fd, "short", 5) != 5)
		_exit(111);
	close(fd);
	ok(assign_find("joe", 3, &a) == -1, "a torn cdb is trouble");
}

static void
test_record(void)
{
	ok(assign_record("u\0" "1\0" "2\0" "/h\0" "\0", 11, "", 0, &a) == 1 &&
	    a.uid == 1 && a.gid == 2 && !*a.dash && !*a.ext,
	    "a record with empty dash and ext");
	ok(assign_record("u\0" "1\0" "2\0" "/h\0" "-\0" "e\0", 13, "", 0, &a)
	    == 1 && strcmp(a.ext, "e") == 0, "getpw's, which ends in NUL");
	ok(assign_record("u\0" "1\0" "2\0" "/h", 8, "", 0, &a) == 0,
	    "too few fields");
	ok(assign_record("u\0" "\0" "2\0" "/h\0" "\0", 10, "", 0, &a) == 0,
	    "no uid");
	ok(assign_record("u\0" "-1\0" "2\0" "/h\0" "\0", 12, "", 0, &a) == 0,
	    "a negative uid");
	ok(assign_record("u\0" "4294967296\0" "2\0" "/h\0" "\0", 20, "", 0,
	    &a) == 0, "a uid too large");
	ok(assign_record("u\0" "1\0" "2\0" "h\0" "\0", 10, "", 0, &a) == 0,
	    "a home that is not absolute");
	ok(assign_record("u\0" "1\0" "2\0" "/h\0" "\0" "e\0" "more", 17, "", 0,
	    &a) == 0, "too many fields");
}

int
main(void)
{
	char dir[] = "/tmp/assign.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) == -1 || mkdir("users", 0755) == -1)
		return 111;
	test_find();
	test_broken();
	test_record();
	rm_rf(dir);
	return tap_done();
}
