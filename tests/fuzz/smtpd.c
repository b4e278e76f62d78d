/* One SMTP session out of the fuzzer's bytes.  The first byte chooses how the
 * rest arrives and who the client is.
 *
 * Whatever the client sends: replies are whole lines of printable characters
 * that begin with a code, no message stays open, an envelope holds nothing
 * but its records, and the same bytes in small pieces give the same session.
 *
 * tests/fuzz/build smtpd smtpd/dialogue.c smtpd/argument.c \
 *     smtpd/transaction.c smtpd/auth.c smtpd/starttls.c \
 *     smtpd/receive.c smtpd/data.c smtpd/policy.c
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/limits.h"
#include "tests/unit/smtpfake.h"

extern int LLVMFuzzerInitialize(int *, char ***);
extern int LLVMFuzzerTestOneInput(unsigned char const *, size_t);

static void
must(int good)
{
	if (!good)
		abort();
}

static void
put(char const *file, char const *content)
{
	must(openwritenclose_unsafe(file, content, strlen(content)));
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char dir[] = "/tmp/fuzz-smtpd.XXXXXX";
	int here = open(".", O_RDONLY | O_DIRECTORY);

	(void)argc;
	(void)argv;
	PROG = "smtpd";
	setenv("POSTERN_SESSION", "s-1", 1);
	must(mkdtemp(dir) && chdir(dir) == 0 && mkdir("control", 0700) == 0);
	put("control/me", "here.example\n");
	put("control/databytes", "20000\n");
	put("control/rcpthosts", "here.example\nbackup.example\n");
	put("control/badmailfrom", "@evil.example\n");
	setenv("SMTPAUTH", "+cram", 1);
	setenv("PLAINTEXTAUTH", "", 1);
	must(policy_start(&fake_policy) == 1 &&
	    policy_size(&fake_policy) == 1 && policy_lists(&fake_policy) == 1 &&
	    policy_auth(&fake_policy) == 1 && policy_users(&fake_policy) == 1 &&
	    policy_localiphost(&fake_policy) == 1);
	fake_policy.knows_more = 1;
	must(fchdir(here) == 0);
	rm_rf(dir);
	return 0;
}

static void
check_replies(void)
{
	char const *s = fake.out.s, *end = s + fake.out.len;

	while (s < end) {
		char const *lf = memchr(s, '\n', end - s);

		must(lf && lf - s >= 5 && lf - s < 512 && lf[-1] == '\r');
		must(*s >= '2' && *s <= '5' && (s[3] == ' ' || s[3] == '-'));
		for (; s < lf - 1; s++)
			must(*s >= 32 && *s < 127);
		s = lf + 1;
	}
}

/* The envelope holds "F" sender NUL and "T" recipient NUL, nothing else. */
static int
check_envelope(struct backend *b, stralloc const *e)
{
	size_t i = 0, n;

	must(e->len > 2 && e->len <= LIMIT_ENVELOPE);
	for (; i < e->len; i += n + 2) {
		must(e->s[i] == (i ? 'T' : 'F'));
		n = strnlen(e->s + i + 1, e->len - i - 1);
		must(i + n + 1 < e->len && n <= LIMIT_ADDRESS);
		must(!i || n);
	}
	return fake_close(b, e);
}

/* What follows STARTTLS in one piece is refused, and in another is not there
 * yet: two sessions. */
static int
encrypts(unsigned char how)
{
	return (how & 12) == 12;
}

static void
session(unsigned char how, char const *s, size_t n, size_t piece)
{
	fake_reset();
	fake_users();
	fake.piece = piece;
	fake.back.close = check_envelope;
	fake.client.relay = how & 1 ? "" : 0;
	fake.then = how & 2 ? ETIMEDOUT : 0;
	fake.refusal = how & 4 ? "554 no\rgood" : 0;
	fake.client.host = how & 8 ? 0 : "h\033st";
	fake.back.starttls = encrypts(how) ? fake_starttls : 0;
	fake_run(s, n);
	must(!fake.open);
	check_replies();
}

int
LLVMFuzzerTestOneInput(unsigned char const *s, size_t n)
{
	stralloc out = STRALLOC_ZERO, queued = STRALLOC_ZERO;

	if (!n)
		return 0;
	session(*s, (char const *)s + 1, n - 1, 0);
	must(stralloc_copy(&out, &fake.out) &&
	    stralloc_copy(&queued, &fake.queued));
	session(*s, (char const *)s + 1, n - 1, 1 + (*s >> 4));
	if (!encrypts(*s)) {
		must(out.len == fake.out.len && queued.len == fake.queued.len);
		must(!out.len || !memcmp(out.s, fake.out.s, out.len));
		must(!queued.len ||
		    !memcmp(queued.s, fake.queued.s, queued.len));
	}
	stralloc_free(&out);
	stralloc_free(&queued);
	return 0;
}
