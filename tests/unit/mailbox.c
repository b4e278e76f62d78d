#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cdbfile.h"
#include "lib/mailbox.h"
#include "tests/unit/tap.h"

static void
make(void)
{
	struct cdbmaker m = CDBMAKER_ZERO;

	mkdir("users", 0755);
	mkdir("users/mailbox", 0755);
	cdbmaker_open(&m, "users/mailbox/x.example.cdb", 0644);
	cdbmaker_add(&m, "", 0, "d" "bounce-no-mailbox", 19);
	cdbmaker_add(&m, "joe", 3, "u16\0" "joe\0" "1000S", 14);
	cdbmaker_add(&m, "info", 4, "a", 1);
	cdbmaker_add(&m, "up", 2, "u0\0" "a/../../b\0", 14);
	cdbmaker_add(&m, "abs", 3, "u0\0/etc\0", 9);
	cdbmaker_add(&m, "cut", 3, "u0\0cut", 6);
	cdbmaker_add(&m, "nan", 3, "ux\0nan\0", 8);
	cdbmaker_add(&m, "void", 4, "", 0);
	cdbmaker_commit(&m);
}

static int
find(char const *domain, char const *name, struct mailbox *out)
{
	errno = 0;
	return mailbox_find(domain, strlen(domain), name, strlen(name), out);
}

static void
lookups(void)
{
	struct mailbox m = MAILBOX_ZERO;
	char const *bad[] = { "up", "abs", "cut", "nan", "void" };
	unsigned int i;

	ok(find("X.Example", "JOE", &m) == 1 && m.kind == 'u' &&
	    m.flags == MAILBOX_BOUNCE && !strcmp(m.dir, "joe") &&
	    !strcmp(m.quota, "1000S"), "a user, whatever the case");
	ok(find("x.example", "info", &m) == 1 && m.kind == 'a', "an alias");
	ok(find("x.example", "", &m) == 1 && m.kind == 'd' &&
	    !strcmp(m.dir, "bounce-no-mailbox"), "the policy");
	ok(find("x.example", "jo", &m) == 0, "no such name");
	ok(find("y.example", "joe", &m) == -1 && errno == ENOENT,
	    "no such domain");
	ok(find("../mailbox/x.example", "joe", &m) == -1 && errno == ENOENT,
	    "a path is no domain");
	for (i = 0; i < sizeof bad / sizeof *bad; i++)
		ok(find("x.example", bad[i], &m) == -1 && errno == EPROTO,
		    bad[i]);
	stralloc_free(&m.sa);
}

static void
names(void)
{
	char longest[98];

	memset(longest, 'a', sizeof longest);
	ok(mailbox_domain_ok("a-1.b", 5), "domain");
	ok(!mailbox_domain_ok("", 0), "empty domain");
	ok(!mailbox_domain_ok("a..b", 4), "empty label");
	ok(!mailbox_domain_ok(".a", 2), "leading dot");
	ok(!mailbox_domain_ok("a.", 2), "trailing dot");
	ok(!mailbox_domain_ok("A", 1), "upper case");
	ok(!mailbox_domain_ok("a/b", 3), "slash");
	ok(!mailbox_domain_ok("a\0b", 3), "NUL");
	ok(mailbox_domain_ok(longest, 96) && !mailbox_domain_ok(longest, 97),
	    "96 bytes at most");
	ok(mailbox_name_ok("a.b_c+d=e-f", 11), "name");
	ok(!mailbox_name_ok(".a", 2), "name with leading dot");
	ok(!mailbox_name_ok("a/b", 3), "name with slash");
	ok(!mailbox_name_ok("", 0), "empty name");
	ok(mailbox_name_ok(longest, 64) && !mailbox_name_ok(longest, 65),
	    "64 bytes at most");
}

int
main(void)
{
	char dir[] = "/tmp/postern-test.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) == -1)
		return 111;
	make();
	lookups();
	names();
	unlink("users/mailbox/x.example.cdb");
	rmdir("users/mailbox");
	rmdir("users");
	rmdir(dir);
	return tap_done();
}
