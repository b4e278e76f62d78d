#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/stralloc.h>

#include "pop3d/session.h"
#include "tests/unit/tap.h"

static struct {
	char const *in;
	size_t left, piece, used;	/* bytes; of one recv; recvs */
	stralloc out;
	unsigned int sends;
	uint64_t seconds, slow;	/* the time; how long one send takes */
	void (*between)(void);	/* once, before the second piece */
} wire;

static ssize_t
wire_recv(io *i, char *s, size_t max)
{
	size_t n = wire.piece < max ? wire.piece : max;

	(void)i;
	if (wire.between && wire.used++ == 1)
		wire.between();
	if (n > wire.left)
		n = wire.left;
	memcpy(s, wire.in, n);
	wire.in += n;
	wire.left -= n;
	return n;
}

static int
wire_send(io *i, char const *s, size_t n)
{
	wire.sends++;
	wire.seconds += wire.slow;
	if (wire.seconds >= i->deadline) {
		errno = ETIMEDOUT;
		return -1;
	}
	return stralloc_catb(&wire.out, s, n) ? 1 : -1;
}

static uint64_t
wire_now(io *i)
{
	(void)i;
	return wire.seconds;
}

/* Talks over the Maildir "m"; the answers behind the first "+OK". */
static char const *
talk(char const *in, size_t n, size_t piece)
{
	static struct maildrop d;
	static io i;

	memset(&d, 0, sizeof d);
	memset(&i, 0, sizeof i);
	d.dir = d.fresh = d.cur = -1;
	i.recv = wire_recv;
	i.send = wire_send;
	i.now = wire_now;
	wire.in = in;
	wire.left = n;
	wire.piece = piece;
	wire.out.len = 0;
	wire.sends = wire.used = 0;
	if (maildrop_open(&d, "m") != 1 || maildrop_list(&d) != 1)
		return "no Maildir";
	session_run(&i, &d, 60);
	maildrop_close(&d);
	if (!stralloc_0(&wire.out))
		return "no memory";
	return wire.out.len > 5 ? wire.out.s + 5 : "";
}

static int
answers(char const *in, char const *want)
{
	size_t n = strlen(in), piece;

	for (piece = n; piece; piece = piece > 7 ? piece / 2 : piece - 1)
		if (strcmp(talk(in, n, piece), want) != 0) {
			printf("# piece %zu: %s\n", piece, wire.out.s);
			return 0;
		}
	return 1;
}

static void
file(char const *name, char const *s, size_t n)
{
	openwritenclose_unsafe(name, s, n);
}

#define FILE_(name, s) file(name, s, sizeof(s) - 1)

static int
exists(char const *path)
{
	return access(path, F_OK) == 0;
}

static void
fresh(void)
{
	rm_rf("m");
	mkdir("m", 0700);
	mkdir("m/new", 0700);
	mkdir("m/cur", 0700);
	mkdir("m/tmp", 0700);
	FILE_("m/new/20.b", "A: 1\n\n.dot\n..two\nno end");
	FILE_("m/cur/10.a:2,S", "A: 2\n\n1\n2\n3\n");
	FILE_("m/new/.hidden", "x");
}

static void
bad_arguments(void)
{
	static char const *const words[] = {
		"RETR 0", "RETR 3", "RETR -1", "RETR 4294967297", "RETR",
		"RETR 18446744073709551617", "RETR 1x", "RETR +1", "DELE 99",
		"TOP 1", "TOP 1 18446744073709551616", "TOP 1 -1", "LIST 0",
		"UIDL 3", "FOO", "", "RETR 1 2", "TOP 3 0"
	};
	char line[64];
	size_t i;
	int good = 1;

	for (i = 0; i < sizeof words / sizeof *words; i++) {
		snprintf(line, sizeof line, "%s\r\n", words[i]);
		if (strncmp(talk(line, strlen(line), 64), "-ERR", 4) != 0) {
			printf("# %s\n", words[i]);
			good = 0;
		}
	}
	ok(good, "bad numbers and commands are refused");
}

static void
contents(void)
{
	char const *r;

	ok(answers("RETR 2\r\n",
	    "+OK\r\nA: 1\r\n\r\n..dot\r\n...two\r\nno end\r\n.\r\n"),
	    "leading dots are stuffed, the last line ends");
	ok(answers("TOP 1 0\r\n", "+OK\r\nA: 2\r\n\r\n.\r\n"), "TOP 0");
	ok(answers("TOP 1 2\r\n", "+OK\r\nA: 2\r\n\r\n1\r\n2\r\n.\r\n"),
	    "TOP 2");
	ok(answers("TOP 1 9999999\r\n",
	    "+OK\r\nA: 2\r\n\r\n1\r\n2\r\n3\r\n.\r\n"), "TOP of all");
	FILE_("m/cur/05.n", "x\0y\n\r\r\n\rz\r\n\n");
	r = talk("RETR 1\r\n", 8, 8);
	ok(wire.out.len == 5 + 5 + 14 + 3 + 1 &&
	    !memcmp(r, "+OK\r\nx\0y\r\n\r\r\n\rz\r\n\r\n.\r\n", 22),
	    "NUL and CR stay, CR LF is not doubled");
	ok(answers("LIST 1\r\n", "+OK 1 14\r\n"), "sizes are octets as sent");
	unlink("m/cur/05.n");
	FILE_("m/cur/05.n", "");
	ok(answers("RETR 1\r\nLIST 1\r\n", "+OK\r\n.\r\n+OK 1 0\r\n"),
	    "an empty file");
	unlink("m/cur/05.n");
}

static void
lists(void)
{
	ok(answers("STAT\r\nLIST\r\nUIDL\r\nLAST\r\n", "+OK 2 46\r\n"
	    "+OK\r\n1 17\r\n2 29\r\n.\r\n"
	    "+OK\r\n1 10.a\r\n2 20.b\r\n.\r\n+OK 0\r\n"),
	    "STAT, LIST, UIDL: in order of time");
	ok(answers("DELE 1\r\nSTAT\r\nLIST\r\nLAST\r\nDELE 1\r\nRETR 1\r\n"
	    "RSET\r\nSTAT\r\nLAST\r\n", "+OK\r\n+OK 1 29\r\n"
	    "+OK\r\n2 29\r\n.\r\n+OK 1\r\n-ERR message is deleted\r\n"
	    "-ERR message is deleted\r\n+OK\r\n+OK 2 46\r\n+OK 0\r\n"),
	    "DELE, RSET, LAST");
	ok(answers("stat\nnOOp \r\n", "+OK 2 46\r\n+OK\r\n"),
	    "case, a bare LF, and a blank behind do not matter");
	FILE_("m/new/30.c,S=1,W=77", "x\n");
	FILE_("m/new/31.c,S=1,W=x", "x\n");
	FILE_("m/new/32.c,S=1,W=99999999999999999999", "x\n");
	ok(answers("LIST 3\r\nLIST 4\r\nLIST 5\r\n",
	    "+OK 3 77\r\n+OK 4 3\r\n+OK 5 3\r\n"),
	    "a size in the name is taken, a bad one is not");
	unlink("m/new/30.c,S=1,W=77");
	unlink("m/new/31.c,S=1,W=x");
	unlink("m/new/32.c,S=1,W=99999999999999999999");
}

static void
unique_ids(void)
{
	char name[128];
	char const *r;

	snprintf(name, sizeof name, "m/new/30.%060d,S=1,W=3", 0);
	file(name, "x\n", 2);
	r = talk("UIDL 3\r\n", 8, 8);
	ok(strlen(r) == 6 + 63 + 2, "a long name is cut at its comma");
	unlink(name);
	snprintf(name, sizeof name, "m/new/30.%090d", 0);
	file(name, "x\n", 2);
	r = talk("UIDL 3\r\n", 8, 8);
	ok(strlen(r) == 6 + 64 + 2, "a longer one is hashed");
	unlink(name);
	FILE_("m/new/30.a\rb\x80", "x\n");
	r = talk("UIDL 3\r\n", 8, 8);
	ok(strlen(r) == 6 + 64 + 2, "so is one with bytes that POP3 forbids");
	unlink("m/new/30.a\rb\x80");
}

static void
leaving(void)
{
	ok(answers("DELE 1\r\nDELE 2\r\n", "+OK\r\n+OK\r\n") &&
	    exists("m/new/20.b") && exists("m/cur/10.a:2,S"),
	    "without QUIT nothing changes");
	talk("DELE 1\r\nQUIT\r\n", 14, 14);
	ok(!exists("m/cur/10.a:2,S"), "QUIT removes what was deleted");
	ok(!exists("m/new/20.b") && exists("m/cur/20.b:2,"),
	    "QUIT moves new to cur");
	ok(exists("m/new/.hidden"), "dot files are left alone");
	fresh();
	talk("QUIT\r\nSTAT\r\n", 12, 12);
	ok(strcmp(wire.out.s, "+OK\r\n+OK\r\n") == 0, "QUIT is the end");
}

static void
strange_files(void)
{
	fresh();
	symlink("/etc/passwd", "m/new/01.link");
	mkfifo("m/new/02.fifo", 0600);
	mkdir("m/new/03.dir", 0700);
	ok(strncmp(talk("RETR 1\r\n", 8, 8), "-ERR [SYS/TEMP]", 15) == 0 &&
	    strncmp(talk("RETR 2\r\n", 8, 8), "-ERR [SYS/TEMP]", 15) == 0 &&
	    strncmp(talk("RETR 3\r\n", 8, 8), "-ERR [SYS/TEMP]", 15) == 0,
	    "neither link nor fifo nor directory is read");
	fresh();
	FILE_("m/cur/20.b:2,", "A: 1\n\nx\n");
	ok(answers("STAT\r\nRETR 2\r\n",
	    "+OK 2 28\r\n+OK 11 octets\r\nA: 1\r\n\r\nx\r\n.\r\n"),
	    "a message seen in new and in cur is one");
}

/* Twins with another name between them, if flags were part of the order. */
static void
flags_are_no_part_of_a_name(void)
{
	fresh();
	FILE_("m/new/20.b2", "x\n");
	FILE_("m/cur/20.b:2,S", "A: 1\n\nx\n");
	ok(answers("UIDL\r\n", "+OK\r\n1 10.a\r\n2 20.b\r\n3 20.b2\r\n.\r\n"),
	    "flags change neither order nor identity");
}

/* Between two pieces of input the world changes. */
static void
rename_all(void)
{
	rename("m/cur/10.a:2,S", "m/cur/10.a:2,RS");
	rename("m/new/20.b", "m/cur/20.b:2,");
}

static void
other_sessions(void)
{
	fresh();
	wire.between = rename_all;
	ok(strcmp(talk("STAT\r\nTOP 1 0\r\nTOP 2 0\r\n", 26, 6),
	    "+OK 2 46\r\n+OK\r\nA: 2\r\n\r\n.\r\n"
	    "+OK\r\nA: 1\r\n\r\n.\r\n") == 0,
	    "renamed messages are found");
	fresh();
	wire.between = rename_all;
	talk("NOOP\r\nDELE 1\r\nDELE 2\r\nQUIT\r\n", 28, 6);
	ok(!exists("m/cur/10.a:2,RS") && !exists("m/cur/20.b:2,"),
	    "renamed messages are removed");
	wire.between = 0;
}

/* Sizes that stand in no name are read once. */
static void
remembered_sizes(void)
{
	char name[64], list[16] = "LIST 100\r\n";
	size_t n = strlen(list);
	int i;

	rm_rf("m");
	fresh();
	for (i = 100; i < 300; i++) {
		snprintf(name, sizeof name, "m/cur/%d.x:2,", i);
		file(name, "1\n2\n", 4);
	}
	talk("DELE 150\r\nSTAT\r\nQUIT\r\n", 22, 64);
	ok(exists("m/pop3sizes"), "many sizes are written down");
	/* nobody may do this to a Maildir: it shows who reads */
	rename("m/cur/197.x:2,", "m/cur/197.x:2,S");
	FILE_("m/cur/197.x:2,S", "longer than it was\n");
	ok(strcmp(talk(list, n, 64), "+OK 100 6\r\n") == 0,
	    "and believed, whatever the flags are");
	FILE_("m/pop3sizes", "x\n5 zzz\n77 197.x\n7 100.x\n\n9 18446744073709");
	ok(strcmp(talk(list, n, 64), "+OK 100 77\r\n") == 0 &&
	    strcmp(talk("LIST 3\r\n", 8, 64), "+OK 3 6\r\n") == 0,
	    "lines out of order are passed over");
	unlink("m/pop3sizes");
	symlink("/etc/passwd", "m/pop3sizes");
	ok(strcmp(talk(list, n, 64), "+OK 100 20\r\n") == 0,
	    "without that file the message is read");
	rm_rf("m");
	fresh();
}

/* Whoever reads, however slowly, gets it all; whoever does not is left. */
static void
slow_clients(void)
{
	static char large[300000];
	size_t i;

	for (i = 0; i < sizeof large; i++)
		large[i] = i % 60 ? 'x' : '\n';
	fresh();
	file("m/new/30.c", large, sizeof large);
	wire.slow = 40;		/* of 60 that it may wait */
	talk("RETR 3\r\nNOOP\r\n", 14, 100);
	ok(wire.out.len > sizeof large + 20 &&
	    strcmp(wire.out.s + wire.out.len - 11, "\r\n.\r\n+OK\r\n") == 0,
	    "a slow client gets a large message");
	wire.slow = 70;
	talk("RETR 3\r\nNOOP\r\n", 14, 100);
	ok(wire.out.len < 100, "one that does not read does not");
	wire.slow = 0;
}

/* QUIT says +OK only if all that was to go has gone. */
static void
quit_looks_again(void)
{
	static struct maildrop d = MAILDROP_ZERO;
	unsigned int i;

	fresh();
	ok(maildrop_open(&d, "m") == 1 && maildrop_list(&d) == 1 &&
	    d.count == 2, "a Maildir of two");
	unlink("m/cur/10.a:2,S");
	for (i = 0; i < MAILDROP_REFRESH; i++)
		if (maildrop_file(&d, 0) != -1)
			break;
	ok(i == MAILDROP_REFRESH, "a message that is gone was looked for");
	rename("m/new/20.b", "m/cur/20.b:2,S");
	d.msg[1].deleted = 1;
	ok(maildrop_commit(&d) == 1 && !exists("m/cur/20.b:2,S"),
	    "and one that has moved is removed all the same");
	maildrop_close(&d);
}

static void
hostile(void)
{
	static char long_line[9000], nul[] = "ST\0AT\r\nNOOP\r\n";
	static char many[2000];
	size_t i;

	fresh();
	memset(long_line, 'x', sizeof long_line);
	memcpy(long_line + sizeof long_line - 7, "\nNOOP\r\n", 7);
	ok(strcmp(talk(long_line, sizeof long_line, 100),
	    "-ERR line too long\r\n+OK\r\n") == 0, "a long line is one error");
	ok(strcmp(talk(nul, sizeof nul - 1, 100),
	    "-ERR syntax error\r\n+OK\r\n") == 0, "NUL is an error");
	for (i = 0; i < sizeof many; i++)
		many[i] = "x\r\n"[i % 3];
	talk(many, sizeof many, 100);
	ok(strstr(wire.out.s, "too many mistakes") != 0, "mistakes end it");
	talk("NOOP\r\nNOOP\r\nSTAT\r\n", 18, 100);
	ok(wire.sends <= 2, "pipelined commands are answered together");
}

int
main(void)
{
	char dir[] = "/tmp/pop3session.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) == -1)
		return 111;
	fresh();
	lists();
	unique_ids();
	contents();
	bad_arguments();
	leaving();
	strange_files();
	flags_are_no_part_of_a_name();
	other_sessions();
	remembered_sizes();
	slow_clients();
	quit_looks_again();
	hostile();
	chdir("/");
	rm_rf(dir);
	return tap_done();
}
