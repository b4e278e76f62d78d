#include <string.h>

#include "tests/unit/tap.h"
#include "tools/logevent.h"
#include "tools/tally.h"

static struct logevent e;

static int
parse(char const *s)
{
	return logevent_parse(s, strlen(s), &e);
}

static int
is(struct logtext const *t, char const *s)
{
	return logevent_is(t, s);
}

static void
test_ours(void)
{
	ok(parse("listen: ok 24758 mx:127.0.0.1:25 :192.0.2.7::52584 "
	    "session=6b-1.2") && e.kind == LOGEVENT_CONNECT && e.pid == 24758
	    && is(&e.ip, "192.0.2.7") && is(&e.session, "6b-1.2"),
	    "listen lets somebody in");
	ok(parse("listen: deny 0 mx:[2001:db8::1]:25 :[2001:db8::7]::52584 "
	    "session=6b-1.2 too many from address") &&
	    e.kind == LOGEVENT_DENY && is(&e.ip, "2001:db8::7") &&
	    is(&e.reason, "too many from address"), "or does not; IPv6");
	ok(parse("smtpd: info: accepted session=6b-1.2 ip=192.0.2.7 "
	    "helo=x from=<a@b> to=<c@d> user=joe@d size=19 qp=7 id=99") &&
	    e.kind == LOGEVENT_ACCEPTED && is(&e.from, "a@b") &&
	    is(&e.to, "c@d") && is(&e.user, "joe@d") && e.size == 19 &&
	    e.pid == 7 && e.id == 99, "smtpd accepts");
	ok(parse("smtpd: info: refused session=s ip=1.2.3.4 from=<> to=<c@d>"
	    " code=550 reason=no_mailbox") && e.kind == LOGEVENT_REFUSED &&
	    e.has_from && !e.from.n && is(&e.reason, "no_mailbox"),
	    "and refuses");
	ok(parse("queued: info: queued session=s id=1795646472133785000 "
	    "uid=993 pid=5 size=235 from=<x@y> recipients=2") &&
	    e.kind == LOGEVENT_QUEUED && e.id == 1795646472133785000 &&
	    e.number == 2, "queued");
	ok(parse("scanq: info: refused session=s from=<a> to=<b> size=5 ms=2 "
	    "virus=Eicar-Test") && e.kind == LOGEVENT_SCANNED &&
	    is(&e.virus, "Eicar-Test") && is(&e.action, "refused"), "scanq");
	ok(parse("authd: info: refused session=s login=joe@d "
	    "remote=127.0.0.1 service=pop3 reason=wrong-password failures=1")
	    && e.kind == LOGEVENT_LOGIN && is(&e.user, "joe@d") &&
	    is(&e.ip, "127.0.0.1"), "authd");
	ok(parse("smtpd: warning: unable to read file=control/x") == 0 &&
	    is(&e.action, "unable to read"), "another line of ours");
}

static int
takes(enum logevent_said said, char const *list, int ms)
{
	struct logevent_answer a;

	return logevent_answer(&e.text, &a) == 1 && a.said == said &&
	    is(&a.list, list) && a.has_ms == (ms != -1) &&
	    (ms == -1 || a.ms == (uint64_t)ms);
}

static void
test_lists(void)
{
	struct logevent_answer a;

	ok(parse("rblcheck: warning: checked session=s ip=192.0.2.7 "
	    "verdict=block ms=4005 not=a.x/3ms listed=b.x:127.0.0.2/12ms "
	    "error=c.x:127.255.255.254/7ms failed=d.x:timeout/4001ms "
	    "skipped=e.x not=f.x:127.0.0.9") &&
	    e.kind == LOGEVENT_CHECKED && is(&e.ip, "192.0.2.7"),
	    "lists were asked");
	ok(takes(LOGEVENT_NOT, "a.x", 3) &&
	    takes(LOGEVENT_LISTED, "b.x", 12) &&
	    takes(LOGEVENT_ERROR, "c.x", 7) &&
	    takes(LOGEVENT_FAILED, "d.x", 4001) &&
	    takes(LOGEVENT_SKIPPED, "e.x", -1) &&
	    takes(LOGEVENT_NOT, "f.x", -1) &&
	    logevent_answer(&e.text, &a) == 0, "what each said");
	ok(parse("namecheck: info: checked session=s name=listed\\x3d "
	    "verdict=pass ms=5 listed= not=a.x/ms") &&
	    e.kind == LOGEVENT_CHECKED && takes(LOGEVENT_NOT, "a.x", -1) &&
	    logevent_answer(&e.text, &a) == 0, "words that are none");
	ok(parse("smtpd: info: checked listed=a.x") == 0,
	    "another program asks no lists");
}

static void
test_senders(void)
{
	ok(parse("dmarcq: info: checked session=65f1-3 spf=softfail "
	    "dkim=none dmarc=fail policy=reject action=put\\x20off "
	    "author=example.org ip=192.0.2.1 from=<a@example.org> ms=12") &&
	    e.kind == LOGEVENT_SENDER && is(&e.author, "example.org") &&
	    is(&e.outcome, "put\\x20off") &&
	    logevent_result(&e.said[LOGEVENT_SPF]) == LOGEVENT_SOFTFAIL &&
	    logevent_result(&e.said[LOGEVENT_DKIM]) == LOGEVENT_NONE &&
	    logevent_result(&e.said[LOGEVENT_DMARC]) == LOGEVENT_FAIL,
	    "a sender was checked");
	ok(parse("dmarcq: warning: checked spf=perhaps dkim=passing") &&
	    e.kind == LOGEVENT_SENDER &&
	    logevent_result(&e.said[LOGEVENT_SPF]) == LOGEVENT_RESULTS &&
	    logevent_result(&e.said[LOGEVENT_DKIM]) == LOGEVENT_RESULTS &&
	    logevent_result(&e.said[LOGEVENT_DMARC]) == LOGEVENT_RESULTS,
	    "results that are none");
	ok(parse("dmarcq: info: forged results renamed fields=1 ip=::1") == 0 &&
	    parse("dmarcd: info: checked spf=pass") == 0, "other lines");
}

static void
test_send(void)
{
	ok(parse("info msg 5: bytes 235 from <x>y@z> qp 7 uid 993") &&
	    e.kind == LOGEVENT_INFO && e.id == 5 && e.size == 235 &&
	    is(&e.from, "x>y@z") && e.pid == 7, "info msg");
	ok(parse("starting delivery 3: msg 5 to remote z@e.example") &&
	    e.kind == LOGEVENT_START && e.number == 3 && e.id == 5 &&
	    e.remote && is(&e.to, "z@e.example"), "starting delivery");
	ok(parse("delivery 3: deferral: Sorry./") && e.verdict == 'Z' &&
	    parse("delivery 3: failure: x") && e.verdict == 'D' &&
	    parse("delivery 3: report mangled, will defer") &&
	    e.verdict == 'Z' && parse("delivery 3: success: did_1+0+0/") &&
	    e.verdict == 'K' && e.number == 3, "how they end");
	ok(parse("bounce msg 5 qp 81") && e.kind == LOGEVENT_BOUNCE &&
	    e.pid == 81 && !e.number && parse("end msg 5") &&
	    e.kind == LOGEVENT_END &&
	    parse("new msg 5") && e.kind == LOGEVENT_NEW, "the rest");
	ok(parse("bounce msg 5 qp 81 id 9") && e.kind == LOGEVENT_BOUNCE &&
	    e.id == 5 && e.pid == 81 && e.number == 9 &&
	    parse("delay notice msg 5 qp 81 id 9") &&
	    e.kind == LOGEVENT_DELAYED && e.number == 9 &&
	    !parse("bounce msg 5 qp 81 id x"), "which message the bounce is");
}

static void
test_others(void)
{
	ok(parse("tcpserver: ok 9 mx:10.0.0.1:25 host.example:10.0.0.9:joe:"
	    "4711") && e.kind == LOGEVENT_CONNECT && is(&e.ip, "10.0.0.9"),
	    "tcpserver");
	ok(parse("rblsmtpd: 127.0.0.2 pid 5: 451 Listed - for testing") &&
	    e.kind == LOGEVENT_REFUSED && is(&e.ip, "127.0.0.2"), "rblsmtpd");
	ok(parse("simscan:[12]:CLEAN (0.1/5/9):0.2s:hello:10.0.0.9:a@b:c@d")
	    && e.kind == LOGEVENT_SCANNED && is(&e.from, "a@b") &&
	    is(&e.to, "c@d") && !e.virus.n, "simscan");
}

/* Every line, cut anywhere, and with any byte changed: nothing to see but a
 * sanitizer or a crash.
 */
static void
test_junk(void)
{
	static char const *const line[] = {
		"listen: ok 24758 mx:127.0.0.1:25 :[::1]::1 session=6b",
		"smtpd: info: accepted ip=1 from=<a@b> to=<c@d> size=1 qp=7",
		"info msg 5: bytes 235 from <x@y> qp 7 uid 993",
		"starting delivery 3: msg 5 to remote z@e.example",
		"simscan:[12]:CLEAN (0.1/5/9):0.2s:hello:10.0.0.9:a@b:c@d",
		"rblsmtpd: 127.0.0.2 pid 5: 451 Listed"
	};
	char copy[128];
	size_t i, j, n, good = 0;
	int c;

	for (i = 0; i < sizeof line / sizeof *line; i++) {
		n = strlen(line[i]);
		for (j = 0; j < n; j++) {
			memcpy(copy, line[i], n);
			logevent_parse(copy, j, &e);
			for (c = 0; c < 256; c += 5) {
				copy[j] = (char)c;
				good += logevent_parse(copy, n, &e) == 1;
			}
		}
	}
	ok(good > 0, "junk does no harm");
	ok(parse("delivery 99999999999999999999999: success: x") == 0 &&
	    parse("info msg : bytes") == 0 && parse("end msg 5x") == 0,
	    "numbers that are none");
}

static void
test_tally(void)
{
	static struct tally t;
	struct logtext const s = { "a\\x20b\\xzz\\x4", 13 };
	char name[32], plain[32];
	size_t i;

	tally_init(&t, 1000);
	for (i = 0; i < 100; i++)
		tally_add(&t, "often", 5, 1);
	for (i = 0; i < 100000; i++) {
		int n = snprintf(name, sizeof name, "forged%zu", i);

		tally_add(&t, name, (size_t)n, 1);
	}
	ok(t.n <= 1000 && tally_get(&t, "often", 5) &&
	    tally_get(&t, "often", 5)->count[0] == 100,
	    "what counts for much survives a flood of names");
	ok(t.lost > 90000, "those that left are counted");
	tally_sort(&t);
	ok(!strcmp(t.entry[0].name, "often"), "sorted");
	ok(logevent_plain(plain, sizeof plain, &s) == 10 &&
	    !memcmp(plain, "a b\\xzz\\x4", 10), "escapes are taken back");
}

int
main(void)
{
	test_ours();
	test_lists();
	test_senders();
	test_send();
	test_others();
	test_junk();
	test_tally();
	return tap_done();
}
