/* What dmarcq reads of a header and of dmarcd's answer, what dmarcd mends in a
 * record of SPF, and what it reads of dnsq.
 *
 *	tests/fuzz/build dmarc dmarc/forged.c dmarc/result.c dmarc/macro.c \
 *	    dmarc/ask.c
 *	/tmp/fuzz-dmarc -max_total_time=60
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dmarc/forged.h"
#include "dmarc/macro.h"
#include "dmarc/result.h"
#include "lib/clock.h"

#define US "mx.example.com"

static void
must(int good)
{
	if (!good)
		abort();
}

/* The same places, however the header comes; each is a field of that name. */
static void
header(char const *s, size_t n)
{
	static struct forged a, b;
	size_t i, k;

	forged_begin(&a, US, sizeof US - 1);
	forged_begin(&b, US, sizeof US - 1);
	must(forged_feed(&a, s, n) == 1 && forged_end(&a) == 1);
	for (i = 0; i < n; i++)
		must(forged_feed(&b, s + i, 1) == 1);
	must(forged_end(&b) == 1);
	k = genalloc_len(off_t, &a.places);
	must(k == genalloc_len(off_t, &b.places));
	for (i = 0; i < k; i++) {
		off_t at = genalloc_s(off_t, &a.places)[i];

		must(at == genalloc_s(off_t, &b.places)[i]);
		must((size_t)at + sizeof FORGED_NAME - 1 < n);
		must(!strncasecmp(s + at, FORGED_NAME, sizeof FORGED_NAME - 1));
	}
	genalloc_free(off_t, &a.places);
	genalloc_free(off_t, &b.places);
}

static void
answer(char const *s, size_t n)
{
	struct facts q = { "192.0.2.1", "h", "a@b.example", "b.example" };
	struct findings f;
	stralloc out = STRALLOC_ZERO;
	size_t i;

	memset(&f, 0, sizeof f);
	if (result_read(s, n, &f) != 1)
		return;
	must(result_field(&out, US, &q, &f, 0) == 1);
	/* one field, and nothing behind it */
	for (i = 0; i < out.len; i++) {
		must(out.s[i] == '\n' || out.s[i] == '\t' ||
		    (out.s[i] >= 32 && out.s[i] < 127));
		must(out.s[i] != '\n' || i + 1 == out.len ||
		    out.s[i + 1] == '\t');
	}
	stralloc_free(&out);
}

static void
record(char const *s, size_t n)
{
	struct facts f = { "192.0.2.1", "h.example", "a-b@example.com", "" };
	char *copy = malloc(n + 8);
	size_t k;

	memcpy(copy, "v=spf1 ", 7);
	memcpy(copy + 7, s, n);
	copy[n + 7] = 0;
	n = strlen(copy);
	k = macro_mend(copy, n, "c.example.com", &f);
	must(k <= n && strlen(copy) == k);
	free(copy);
}

/* An answer that begins as it should, and goes on somehow. */
static void
lines(char const *s, size_t n)
{
	static struct ask a;
	unsigned int i;
	int p[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	must(write(p[1], "1 ", 2) == 2 && write(p[1], s, n) == (ssize_t)n);
	shutdown(p[1], SHUT_WR);
	a.fd = p[0];
	a.until = clock_ms() + 1000;
	a.asked = 0;
	a.have = a.used = 0;
	must((ask(&a, "txt", "x.example") == ASK_FOUND) == (a.values != 0));
	for (i = 0; i < a.values; i++)
		must(a.value[i] >= a.buf && a.value[i] + a.len[i] <
		    a.buf + a.have && a.value[i][a.len[i]] == 0);
	close(p[0]);
	close(p[1]);
}

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t n);

int
LLVMFuzzerTestOneInput(uint8_t const *data, size_t n)
{
	char const *s = (char const *)data;

	header(s, n);
	answer(s, n);
	record(s, n);
	lines(s, n);
	return 0;
}
