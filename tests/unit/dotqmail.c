#include <string.h>

#include "local/dotqmail.h"
#include "tests/unit/tap.h"

/* The candidates for dash and ext, separated by blanks, with what "default"
 * stands for behind a colon. */
static int
candidates(char const *dash, char const *ext, char const *expected)
{
	stralloc all = STRALLOC_ZERO, name = STRALLOC_ZERO;
	size_t i = 0;
	long from;
	int good;

	while (dotqmail_candidate(dash, ext, &i, &name, &from) == 1) {
		stralloc_cats(&all, all.len ? " " : "");
		stralloc_cats(&all, name.s);
		stralloc_cats(&all, from == -1 ? "" : "=");
		stralloc_cats(&all, from == -1 ? "" : ext + from);
	}
	stralloc_0(&all);
	good = !strcmp(all.s, expected);
	if (!good)
		printf("# %s\n", all.s);
	stralloc_free(&all);
	stralloc_free(&name);
	return good;
}

static void
names(void)
{
	ok(candidates("", "", ".qmail .qmaildefault="), "a user's own name");
	ok(candidates("-", "a", ".qmail-a .qmail-default=a"), "an extension");
	ok(candidates("-", "a-B.c", ".qmail-a-b:c .qmail-a-default=B.c "
	    ".qmail-default=a-B.c"), "case, dots, dashes");
	ok(candidates("-", "a-", ".qmail-a- .qmail-a-default= "
	    ".qmail-default=a-"), "a dash at the end");
	ok(candidates("-", "--", ".qmail--- .qmail---default= "
	    ".qmail--default=- .qmail-default=--"), "dashes alone");
	ok(candidates("-", "a-Default", ".qmail-a-default=Default "
	    ".qmail-a-default=Default .qmail-default=a-Default"),
	    "default by its own name");
	ok(candidates("-", "../x", ".qmail-:::x .qmail-default=../x"),
	    "no way up");
}

static int
line(char const *s, enum dotqmail_kind kind, char const *text)
{
	stralloc file = STRALLOC_ZERO;
	struct dotqmail_line l;
	size_t pos = 0;
	int good;

	stralloc_cats(&file, s);
	stralloc_cats(&file, "\n");
	good = dotqmail_next(&file, &pos, &l) == 1 && l.kind == kind &&
	    !strcmp(l.text, text) && l.n == strlen(text) &&
	    pos == file.len && dotqmail_next(&file, &pos, &l) == 0;
	stralloc_free(&file);
	return good;
}

static void
lines(void)
{
	ok(line("", DOTQMAIL_BLANK, ""), "blank");
	ok(line(" \t\r", DOTQMAIL_BLANK, ""), "blanks");
	ok(line("#x", DOTQMAIL_COMMENT, "#x"), "comment");
	ok(line("./M/ ", DOTQMAIL_MAILDIR, "./M/"), "Maildir");
	ok(line("/M/", DOTQMAIL_MAILDIR, "/M/"), "absolute Maildir");
	ok(line("/", DOTQMAIL_MAILDIR, "/"), "the root");
	ok(line("./m", DOTQMAIL_MBOX, "./m"), "mbox");
	ok(line(".", DOTQMAIL_MBOX, "."), "a dot");
	ok(line("|a b ", DOTQMAIL_PROGRAM, "a b"), "command");
	ok(line("|", DOTQMAIL_PROGRAM, ""), "empty command");
	ok(line("&a@b", DOTQMAIL_FORWARD, "a@b"), "forward");
	ok(line("a@b\r", DOTQMAIL_FORWARD, "a@b"), "forward by its letter");
	ok(line("&", DOTQMAIL_FORWARD, ""), "empty forward");
	ok(line("+list", DOTQMAIL_LIST, "+list"), "+list");
	ok(line("+lists", DOTQMAIL_OTHER, "+lists"), "another +");
}

static int
word(char const *s, char const *expected)
{
	struct dotqmail_line l = { DOTQMAIL_PROGRAM, s, strlen(s) };
	char const *w = 0;
	size_t n = 0;

	if (!dotqmail_mailboxes(&l, &w, &n))
		return !expected;
	return expected && n == strlen(expected) && !memcmp(w, expected, n);
}

static void
mailboxes(void)
{
	ok(word(" /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox",
	    "bounce-no-mailbox"), "vpopmail's line");
	ok(word("/vdelivermail\t''\ta@b", "a@b"), "tabs, an address");
	ok(word("/x/vdelivermail '' /d/x/", "/d/x/"), "a path");
	ok(word("vdelivermail '' delete", 0), "no path");
	ok(word("/vdelivermail '' ", 0), "no word");
	ok(word("/vdelivermail ''x", 0), "no blank");
	ok(word("/vdelivermail x delete", 0), "another first argument");
	ok(word("/vdelivermail '' a b", 0), "two words");
	ok(word("/vdelivermail '' a;b", 0), "a shell's work");
	ok(word("/vdelivermail '' $(a)", 0), "a substitution");
	ok(word("x /vdelivermail '' delete", 0), "another command");
	ok(word("/vdelivermailx '' delete", 0), "another program");
	ok(word("", 0), "nothing");
	ok(word("/vdelivermail", 0), "alone");
}

int
main(void)
{
	names();
	lines();
	mailboxes();
	return tap_done();
}
