/* Lists and what follows from their answers, without DNS; and the
 * conversation with a refused client, without a network. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rblcheck/answers.h"
#include "rblcheck/blocked.h"
#include "rblcheck/lists.h"
#include "tests/unit/tap.h"

static struct lists lists;
static struct answers answers;

static int
add(enum lists_kind kind, char const *s)
{
	char const *why;

	return lists_add(&lists, kind, s, &why);
}

static void
start(int enough)
{
	memset(&lists, 0, sizeof lists);
	memset(&answers, 0, sizeof answers);
	answers.lists = &lists;
	answers.enough = enough;
}

static void
say(char const *line)
{
	answers_line(&answers, line, strlen(line));
}

/* 'p' pass, '4', '5' refuse, '?' not yet */
static char
verdict(void)
{
	struct verdict v;

	if (answers_verdict(&answers, &v) == 0)
		return '?';
	return v.block ? v.bounce ? '5' : '4' : 'p';
}

static int
asks(char const *ip, char const *want)
{
	struct ipaddr a;
	stralloc what = STRALLOC_ZERO, out = STRALLOC_ZERO;
	int r;

	start(1);
	add(LISTS_BLOCK, "l.x");
	ipaddr_scan(ip, strlen(ip), &a);
	r = lists_address(&a, &what) == 1 &&
	    lists_question(&lists.at[0], what.s, &out) == 1 &&
	    strcmp(out.s, want) == 0;
	stralloc_free(&what);
	stralloc_free(&out);
	return r;
}

static int
judged(char const *definition, char const *code)
{
	struct ipaddr a;

	start(1);
	if (add(LISTS_BLOCK, definition) != 1 ||
	    !ipaddr_scan(code, strlen(code), &a))
		return -1;
	return lists_judge(&lists.at[0], &a);
}

static void
test_definitions(void)
{
	start(1);
	ok(add(LISTS_BLOCK, "l.x=127.0.0.2-4,127.0.*.9 weight=-3 bounce "
	    "closed message=a b") == 1 && lists.at[0].weight == -3 &&
	    lists.at[0].bounce && lists.at[0].closed &&
	    strcmp(lists.at[0].message, "a b") == 0 && lists.at[0].codes == 2,
	    "all there is in a definition");
	ok(add(LISTS_BLOCK, "l.x:see: x") == 1 &&
	    strcmp(lists.at[1].message, "see: x") == 0,
	    "message behind a colon");
	ok(add(LISTS_BLOCK, "allow") == 0 && add(LISTS_BLOCK, "a..b") == 0 &&
	    add(LISTS_BLOCK, "a.b.") == 0 && add(LISTS_BLOCK, "a.b=") == 0 &&
	    add(LISTS_BLOCK, "a.b=1.2.3.256") == 0 &&
	    add(LISTS_BLOCK, "a.b weight=1001") == 0 &&
	    add(LISTS_BLOCK, "a.b=1.2.3.4,") == 0, "mistakes");
	ok(lists.n == 2, "a mistake adds nothing");
	ok(asks("192.0.2.7", "7.2.0.192.l.x"), "IPv4");
	ok(asks("::ffff:192.0.2.7", "7.2.0.192.l.x"), "IPv4 in IPv6");
	ok(asks("2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
	    "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.l.x"), "IPv6");
}

static void
test_codes(void)
{
	ok(judged("l.x", "127.0.0.2") == LISTS_LISTED, "any code lists");
	ok(judged("l.x=127.0.0.4-9", "127.0.0.2") == LISTS_NOT, "not that one");
	ok(judged("l.x", "8.8.8.8") == LISTS_ERROR, "8.8.8.8 never lists");
	ok(judged("l.x=*.*.*.*", "8.8.8.8") == LISTS_ERROR,
	    "whatever the codes say");
	ok(judged("l.x=*.*.*.*", "127.255.255.254") == LISTS_ERROR,
	    "nor does a refusal to answer");
	ok(judged("l.x", "::1") == LISTS_ERROR, "nor IPv6");
}

static void
test_answers(void)
{
	start(1);
	add(LISTS_BLOCK, "a.x");
	add(LISTS_BLOCK, "b.x");
	answers.ms = 5;
	say("1 a 1.a.x nxdomain - 1.a.x");
	say("3 a 1.b.x answer - 1.b.x 127.0.0.2");
	answers.ms = 40;
	say("4 txt 1.b.x answer - 1.b.x \"no\"");
	answers.ms = 90;
	say("2 txt 1.a.x nxdomain - 1.a.x");
	answers_close(&answers, "timeout");
	ok(answers.of[0].ms == 5 && answers.of[1].ms == 40,
	    "a list has answered with the last thing that matters");

	start(1);
	add(LISTS_BLOCK, "a.x");
	say("0 a 1.a.x answer - 1.a.x 127.0.0.2");
	say("3 a 1.b.x answer - 1.b.x 127.0.0.2");
	say("1x a 1.a.x answer - 1.a.x 127.0.0.2");
	say("1 a 1.a.x answer -");
	ok(answers.of[0].a == ANSWER_PENDING &&
	    answers.of[1].a == ANSWER_PENDING,
	    "answers to questions that nobody asked");
	say("2 txt 1.a.x answer - 1.a.x  x");
	ok(answers.of[0].txt == ANSWER_NOT && !answers.of[0].text.len,
	    "a text that is none");

	start(1);
	add(LISTS_BLOCK, "a.x=127.0.0.2");
	say("1 a 1.a.x answer - 1.a.x 127.255.255.254 127.0.0.9");
	ok(verdict() == 'p' && answers.of[0].error &&
	    strcmp(answers.of[0].code, "127.255.255.254") == 0,
	    "a code that does not count hides no error");
}

static void
test_verdicts(void)
{
	start(1);
	add(LISTS_BLOCK, "a.x");
	add(LISTS_BLOCK, "b.x bounce");
	ok(verdict() == '?', "nothing is known yet");
	say("3 a 1.b.x answer - 1.b.x 127.0.0.2");
	say("4 txt 1.b.x answer - 1.b.x \"no\"");
	ok(verdict() == '?', "the first list comes first");
	say("1 a 1.a.x nxdomain - 1.a.x");
	ok(verdict() == '5', "the second decides");

	start(1);
	add(LISTS_BLOCK, "a.x");
	add(LISTS_BLOCK, "b.x bounce");
	say("1 a 1.a.x failed - servfail");
	say("3 a 1.b.x answer - 1.b.x 127.0.0.2");
	ok(verdict() == '?', "the text is still to come");
	answers.ms = 700;
	answers_close(&answers, "timeout");
	ok(verdict() == '4', "nothing for good after a failure");
	ok(answers.of[1].ms == 700, "and the text did not come");

	start(1);
	add(LISTS_ALLOW, "a.x");
	add(LISTS_BLOCK, "b.x closed");
	answers_close(&answers, "timeout");
	ok(verdict() == 'p', "an allow list that is down allows");

	start(3);
	add(LISTS_BLOCK, "a.x weight=2");
	add(LISTS_BLOCK, "b.x weight=2");
	say("1 a 1.a.x answer - 1.a.x 127.0.0.2");
	say("2 txt 1.a.x nodata - 1.a.x");
	say("3 a 1.b.x answer - 1.b.x 127.255.255.254");
	ok(verdict() == 'p', "not enough");
}

static void
test_nonsense(void)
{
	start(1);
	add(LISTS_BLOCK, "a.x");
	say("");
	say("1");
	say("0 a x answer - x 127.0.0.2");
	say("3 a x answer - x 127.0.0.2");
	say("18446744073709551617 a x answer - x 127.0.0.2");
	say("-1 a x answer - x 127.0.0.2");
	ok(verdict() == '?', "lines that dnsq does not write");
	say("1 a x answer - x 127.0.0.300 x \"");
	say("2 txt x answer - x \"");
	ok(verdict() == 'p', "values that are no addresses");
}

/* A client made of a string. */
struct client {
	char const *s;
	stralloc out;
};

static ssize_t
client_recv(io *i, char *s, size_t max)
{
	struct client *c = i->ctx;
	size_t n = strlen(c->s);

	if (n > max)
		n = max;
	if (n > 3)
		n = 3;	/* in pieces */
	memcpy(s, c->s, n);
	c->s += n;
	return n;
}

static int
client_send(io *i, char const *s, size_t n)
{
	struct client *c = i->ctx;

	return stralloc_catb(&c->out, s, n) ? 1 : -1;
}

static uint64_t
client_now(io *i)
{
	(void)i;
	return 1;
}

static unsigned int refusals;

static void
refused(struct blocked const *b)
{
	(void)b;
	refusals++;
}

static int
talks(char const *in, char const *out, unsigned int logged)
{
	static io i;
	struct client c = { in, STRALLOC_ZERO };
	struct blocked b = { .reply = "451 no", .refused = refused };
	int r;

	io_init(&i, -1, -1);
	i.recv = client_recv;
	i.send = client_send;
	i.now = client_now;
	i.ctx = &c;
	refusals = 0;
	blocked_session(&i, &b);
	r = stralloc_0(&c.out) && strcmp(c.out.s, out) == 0 &&
	    refusals == logged;
	stralloc_free(&c.out);
	return r;
}

#define OK "250 rblsmtpd.local\r\n"
#define NO "451 no\r\n"
#define HI "220 rblsmtpd.local\r\n"
#define BYE "221 rblsmtpd.local\r\n"

static void
test_conversation(void)
{
	ok(talks("", HI, 1), "a client that says nothing");
	ok(talks("helo x\nQUIT\nhelo\n", HI OK BYE, 1), "nothing after quit");
	ok(talks("mail from:<a>\r\nrcpt to:<b>\r\nRCPT TO:c\r\ndata\r\n",
	    HI OK NO NO NO, 2), "every recipient is refused");
	ok(talks("rcpt to:<postmaster>\r\n", HI NO, 1), "the postmaster too");
	ok(talks("\r\n\n x\r\nnoop\r\n", HI NO NO NO OK, 1),
	    "what is no command");
}

int
main(void)
{
	test_definitions();
	test_codes();
	test_answers();
	test_verdicts();
	test_nonsense();
	test_conversation();
	return tap_done();
}
