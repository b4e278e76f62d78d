#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/cdbfile.h"
#include "lib/recipient.h"
#include "tests/unit/tap.h"

static struct cdbmaker maker = CDBMAKER_ZERO;

static void
add(char const *key, size_t keylen, char const *value, size_t len)
{
	cdbmaker_add(&maker, key, keylen, value, len);
}

#define ADD(key, value) add(key, sizeof(key) - 1, value, sizeof(value) - 1)

static void
tables(void)
{
	char prefix[1200] = "v.example\0" "9\0" "9\0/d\0-\0";

	memset(prefix + 19, '-', sizeof prefix - 19);
	mkdir("control", 0755);
	mkdir("users", 0755);
	mkdir("users/mailbox", 0755);
	openwritenclose_unsafe("control/me", "h.example\n", 10);
	openwritenclose_unsafe("control/locals", "h.example\n", 10);
	openwritenclose_unsafe("control/virtualdomains",
	    "v.example:v.example\nalso.example:also.example\n"
	    "all.example:all.example\npre.example:pre.example\n", 94);
	cdbmaker_open(&maker, "users/cdb", 0644);
	ADD("", "-");
	ADD("!v.example-", "v.example\0" "9\0" "9\0/d\0-\0");
	ADD("!also.example-", "v.example\0" "9\0" "9\0/d\0-\0");
	ADD("!all.example-", "all.example\0" "9\0" "9\0/d\0-\0");
	add("!pre.example-", 13, prefix, sizeof prefix);
	cdbmaker_commit(&maker);
	cdbmaker_open(&maker, "users/names.cdb", 0644);
	ADD("=postmaster", "y");
	ADD("+joe-", "n");
	ADD("=joe-list", "y");
	ADD("+sales", "y");
	ADD("=sales-off", "n");
	cdbmaker_commit(&maker);
	cdbmaker_open(&maker, "users/mailbox/v.example.cdb", 0644);
	ADD("", "dbounce-no-mailbox\0");
	ADD("ann", "u0\0ann\0NOQUOTA\0");
	ADD("off", "u16\0off\0NOQUOTA\0");
	ADD("info", "a");
	ADD("list-default", "a");
	cdbmaker_commit(&maker);
	cdbmaker_open(&maker, "users/mailbox/all.example.cdb", 0644);
	ADD("", "ddelete\0");
	ADD("off", "u16\0off\0NOQUOTA\0");
	cdbmaker_commit(&maker);
}

static void
is(char const *address, int want)
{
	char what[128];

	snprintf(what, sizeof what, "%.60s: %d", address, want);
	ok(recipient_check(address, strlen(address)) == want, what);
}

int
main(void)
{
	static char too_long[3000];
	char dir[] = "/tmp/recipient.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) == -1)
		return 111;
	tables();
	is("postmaster@h.example", RECIPIENT_YES);
	is("PostMaster@H.Example", RECIPIENT_YES);
	is("nobody-here@h.example", RECIPIENT_NO);
	is("joe-list@h.example", RECIPIENT_YES);
	is("joe-x@h.example", RECIPIENT_NO);
	is("sales-17@h.example", RECIPIENT_YES);
	is("sales-off@h.example", RECIPIENT_NO);
	is("root@h.example", RECIPIENT_NO);
	is("@h.example", RECIPIENT_NO);
	is("ann@v.example", RECIPIENT_YES);
	is("ANN@V.EXAMPLE", RECIPIENT_YES);
	is("bob@v.example", RECIPIENT_NO);
	is("off@v.example", RECIPIENT_DISABLED);
	is("info@v.example", RECIPIENT_YES);
	is("list-a@v.example", RECIPIENT_YES);
	is("ann-a@v.example", RECIPIENT_NO);
	is("ann@also.example", RECIPIENT_YES);
	is("bob@also.example", RECIPIENT_NO);
	is("@v.example", RECIPIENT_NO);
	is("anything@all.example", RECIPIENT_YES);
	is("off@all.example", RECIPIENT_DISABLED);
	is("a@elsewhere.example", RECIPIENT_FOREIGN);
	is("../x@v.example", RECIPIENT_NO);
	is("x@pre.example", RECIPIENT_NO);
	memset(too_long, 'x', sizeof too_long - 1);
	is(too_long, RECIPIENT_NO);
	memcpy(too_long + 900, "@v.example", 11);
	is(too_long, RECIPIENT_NO);
	chdir("/");
	rm_rf(dir);
	return tap_done();
}
