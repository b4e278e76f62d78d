/* A hostile server for remote, out of the fuzzer's bytes.  The first byte
 * chooses the message and how the rest arrives; '|' is where the server waits.
 *
 * Whatever it says: there is a verdict; its words come out printable and
 * short; what goes out has no CR or LF alone; a message counts as taken only
 * when it has gone out whole.
 *
 * tests/fuzz/build smtpreply remote/reply.c remote/wire.c remote/server.c \
 *     remote/auth.c remote/transaction.c remote/content.c remote/report.c
 */
#include "tests/unit/smtpserver.h"

#include "lib/limits.h"

extern int LLVMFuzzerTestOneInput(unsigned char const *, size_t);

static void
must(int good)
{
	if (!good)
		abort();
}

static void
check_text(stralloc const *t)
{
	size_t i;

	must(t->len <= LIMIT_REPORT);
	for (i = 0; i < t->len; i++)
		must(t->s[i] == '\n' || (t->s[i] >= 32 && t->s[i] < 127));
}

static void
check_wire(void)
{
	char const *s = fake.out.s;
	size_t i, n = fake.out.len;

	for (i = 0; i < n; i++)
		must((s[i] == '\n') == (i && s[i-1] == '\r') &&
		    (s[i] != '\r' || i + 1 < n));
	/* no message goes out where TLS is a must and was not had */
	if (fake.tls.level == TLS_MUST && fake.no_tls)
		for (i = 0; i + 4 < n; i++)
			must(memcmp(s + i, "MAIL", 4) != 0);
	/* a K only when the message has gone out */
	if (fake.report.letter == 'K')
		must(n >= 5 && !memcmp(s + n - 5, "\r\n.\r\n", 5));
}

static void
session(unsigned char how, char const *s, size_t n, size_t piece)
{
	static char const *const bodies[] = {
		"", "a\n.\r\n.\n", "\r.\r", "h\303\251 \0 x"
	};
	struct smtproute const route = { .port = 25, .user = "u",
	    .user_len = how >> 2 & 1, .password = "p", .password_len = 1,
	    .policy = how & 8 ? SMTPROUTES_PLAINTEXT : 0 };
	char const *body = bodies[how & 3];
	stralloc text = STRALLOC_ZERO;
	size_t i;
	int r;

	fake_start(s, n, body, strlen(body));
	fake.piece = piece;
	fake.tls.level = how >> 5 & 1 ? TLS_MUST : TLS_MAY;
	fake.tls.at_once = (how & 0x60) == 0x60;
	fake.no_tls = how >> 7;
	report_add(&fake.report, "1", "a@b.example");
	report_add(&fake.report, "2", "x y@b.example");
	r = fake_run(&route, how & 16 ? "" : "s@s.example");
	must(fake.report.letter && strchr("KZD", fake.report.letter));
	must(fake.report.letter != 'K' || r >= 0);
	for (i = 0; i < fake.report.n; i++) {
		must(strchr("KZD", report_for(&fake.report, i, &text)) != 0);
		check_text(&text);
	}
	check_wire();
	stralloc_free(&text);
}

int
LLVMFuzzerTestOneInput(unsigned char const *s, size_t n)
{
	if (!n)
		return 0;
	session(*s, (char const *)s + 1, n - 1, 0);
	session(*s, (char const *)s + 1, n - 1, 1 + (*s >> 5));
	return 0;
}
