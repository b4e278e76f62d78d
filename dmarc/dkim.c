#include "dmarc/dkim.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <opendkim/dkim.h>
#include <openssl/crypto.h>

#include "lib/clock.h"

enum {
	HEADER_MOST = 1048576,	/* dmarcq's and dkimsign's limit */
	PIECE = 65536,
	KEYS_MOST = 1		/* RFC 6376 3.6.2.2: records of one name */
};

static DKIM_LIB *lib;

/* How long a body is in canonical form (RFC 6376 3.4.3, 3.4.4): the library
 * does not say it where l= ends the counting.
 */
struct measure {
	ssize_t n;
	ssize_t lines;		/* ends of lines that are held back */
	int blank;		/* white space is held back */
};

static struct reader {
	int fd;
	struct ask *ask;
	DKIM *dkim;
	char *head;
	size_t len, line;	/* of head; where its last line starts */
	struct measure simple, relaxed;
} m;

static DKIM_CBSTAT
find_key(DKIM *d, DKIM_SIGINFO *sig, u_char *buf, size_t max)
{
	char name[PROTOCOL_DOMAIN + 2];
	int n = snprintf(name, sizeof name, "%s._domainkey.%s",
	    dkim_sig_getselector(sig), dkim_sig_getdomain(sig));

	(void)d;
	if (n < 0 || n > PROTOCOL_DOMAIN)
		return DKIM_CBSTAT_NOTFOUND;
	switch (ask(m.ask, "txt", name)) {
	case ASK_FOUND:
		break;
	case ASK_TROUBLE:
		dkim_sig_seterror(sig, DKIM_SIGERROR_KEYFAIL);
		return DKIM_CBSTAT_TRYAGAIN;
	default:
		return DKIM_CBSTAT_NOTFOUND;
	}
	if (m.ask->values > KEYS_MOST || m.ask->len[0] >= max)
		return DKIM_CBSTAT_NOTFOUND;
	memcpy(buf, m.ask->value[0], m.ask->len[0] + 1);
	return DKIM_CBSTAT_CONTINUE;
}

/* Those that are too many cost nobody anything. */
static DKIM_CBSTAT
choose(DKIM *d, DKIM_SIGINFO **sigs, int n)
{
	int i;

	(void)d;
	for (i = PROTOCOL_SIGNATURES; i < n; i++)
		dkim_sig_ignore(sigs[i]);
	return DKIM_CBSTAT_CONTINUE;
}

int
dkim_start(void)
{
	/* keys are asked for when the body is there, all in one place */
	u_int bits = 1024, flags = DKIM_LIBFLAGS_DELAYSIGPROC;

	/* a check may open no file: not OpenSSL's settings either */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, 0);
	lib = dkim_init(0, 0);
	return lib && dkim_set_key_lookup(lib, find_key) == DKIM_STAT_OK &&
	    dkim_set_prescreen(lib, choose) == DKIM_STAT_OK &&
	    dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags,
	    sizeof flags) == DKIM_STAT_OK &&
	    /* RFC 8301 3.2 */
	    dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_MINKEYBITS, &bits,
	    sizeof bits) == DKIM_STAT_OK ? 1 : -1;
}

/* ---- the message */

static ssize_t
more(char *s, size_t max)
{
	struct pollfd p = { m.fd, POLLIN, 0 };
	uint64_t now = clock_ms();

	if (now >= m.ask->until)
		return -1;
	return poll(&p, 1, (int)(m.ask->until - now)) == 1 ?
	    read(m.fd, s, max) : -1;
}

static void
count(struct measure *b, char c, int relaxed)
{
	if (c == '\n') {
		b->lines++;
		b->blank = 0;
	} else if (relaxed && (c == ' ' || c == '\t')) {
		b->blank = 1;
	} else {
		b->n += 2 * b->lines + b->blank + 1;
		b->lines = b->blank = 0;
	}
}

static ssize_t
whole(struct measure const *b, int relaxed)
{
	return b->n || !relaxed ? b->n + 2 : 0;
}

/* LF becomes CR LF, as it was on the wire. */
static int
put_body(char const *s, size_t n)
{
	static u_char out[2 * PIECE];
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		count(&m.simple, s[i], 0);
		count(&m.relaxed, s[i], 1);
		if (s[i] == '\n')
			out[k++] = '\r';
		out[k++] = (u_char)s[i];
	}
	return !k || dkim_body(m.dkim, out, k) == DKIM_STAT_OK ? 1 : -1;
}

/* One field, s[0..n), its last LF left out. */
static int
put_field(char const *s, size_t n)
{
	u_char *out = malloc(2 * n + 1);
	size_t i, k = 0;
	DKIM_STAT r;

	if (!out)
		return -1;
	for (i = 0; i < n; i++) {
		if (s[i] == '\n')
			out[k++] = '\r';
		out[k++] = (u_char)s[i];
	}
	r = dkim_header(m.dkim, out, k);
	free(out);
	/* a line that is no field is no reason to know nothing of the rest */
	return r == DKIM_STAT_OK || r == DKIM_STAT_SYNTAX ? 1 : -1;
}

static int
put_fields(void)
{
	size_t start = 0, i;
	char *lf;

	while (start < m.len) {
		i = start;
		do {
			lf = memchr(m.head + i, '\n', m.len - i);
			i = lf ? (size_t)(lf + 1 - m.head) : m.len;
		} while (i < m.len && (m.head[i] == ' ' || m.head[i] == '\t'));
		if (put_field(m.head + start, i - start - (lf != 0)) == -1)
			return -1;
		start = i;
	}
	return 1;
}

/* Looks for the empty line in head[line..len).  1 *rest is behind it; 0 */
static int
head_ends(size_t *rest)
{
	char *lf;
	size_t n;

	while ((lf = memchr(m.head + m.line, '\n', m.len - m.line))) {
		n = (size_t)(lf - (m.head + m.line));
		if (n == 0 || (n == 1 && m.head[m.line] == '\r')) {
			*rest = m.line + n + 1;
			return 1;
		}
		m.line += n + 1;
	}
	return 0;
}

/* Header into m.head; what was read of the body stands behind it from *rest
 * to *end.  1, 0 it is too long, -1.
 */
static int
read_head(size_t *rest, size_t *end)
{
	ssize_t r;

	m.head = malloc(HEADER_MOST + PIECE);
	if (!m.head)
		return -1;
	while ((r = more(m.head + m.len, PIECE)) > 0) {
		m.len += (size_t)r;
		if (head_ends(rest)) {
			*end = m.len;
			m.len = m.line;
			return 1;
		}
		if (m.len > HEADER_MOST)
			return 0;
	}
	*rest = *end = m.len;
	return r == 0 ? 1 : -1;
}

static int
has_signature(void)
{
	static char const name[] = "dkim-signature";
	size_t i, n = sizeof name - 1;
	char *lf;

	for (i = 0; i + n < m.len; i = (size_t)(lf + 1 - m.head)) {
		if (!strncasecmp(m.head + i, name, n))
			return 1;
		lf = memchr(m.head + i, '\n', m.len - i);
		if (!lf)
			break;
	}
	return 0;
}

static int
read_body(size_t rest, size_t end)
{
	static char buf[PIECE];
	char last = '\n';
	size_t k;
	ssize_t r;

	for (; rest < end; rest += k) {
		k = end - rest < PIECE ? end - rest : PIECE;
		if (put_body(m.head + rest, k) == -1)
			return -1;
		last = m.head[rest + k - 1];
	}
	while ((r = more(buf, sizeof buf)) > 0) {
		if (put_body(buf, (size_t)r) == -1)
			return -1;
		last = buf[r - 1];
	}
	/* remote puts it there, too */
	return r == -1 || (last != '\n' && put_body("\n", 1) == -1) ? -1 : 1;
}

/* ---- results */

/* l= that leaves something unsigned: whoever likes may add to the message. */
static int
is_partial(DKIM_SIGINFO *sig)
{
	dkim_canon_t head, body = DKIM_CANON_SIMPLE;
	ssize_t length = -1;
	int relaxed;

	if (dkim_sig_getcanonlen(m.dkim, sig, 0, 0, &length) != DKIM_STAT_OK ||
	    length == -1)
		return 0;
	dkim_sig_getcanons(sig, &head, &body);
	relaxed = body == DKIM_CANON_RELAXED;
	return length < whole(relaxed ? &m.relaxed : &m.simple, relaxed);
}

static char
of_error(int e, char *why)
{
	switch (e) {
	case DKIM_SIGERROR_KEYFAIL:
		return RESULT_TEMPERROR;
	case DKIM_SIGERROR_EXPIRED:
		*why = WHY_EXPIRED;
		return RESULT_PERMERROR;
	case DKIM_SIGERROR_NOKEY:
	case DKIM_SIGERROR_KEYREVOKED:
	case DKIM_SIGERROR_KEYDECODE:
	case DKIM_SIGERROR_KEYTOOSMALL:
	case DKIM_SIGERROR_DNSSYNTAX:
	case DKIM_SIGERROR_KEYVERSION:
	case DKIM_SIGERROR_KEYTYPEMISSING:
	case DKIM_SIGERROR_KEYTYPEUNKNOWN:
	case DKIM_SIGERROR_KEYUNKNOWNHASH:
	case DKIM_SIGERROR_KEYHASHMISMATCH:
	case DKIM_SIGERROR_NOTEMAILKEY:
		*why = WHY_KEY;
		return RESULT_PERMERROR;
	case DKIM_SIGERROR_BADSIG:
		return RESULT_FAIL;
	case DKIM_SIGERROR_OK:
	case DKIM_SIGERROR_UNKNOWN:
		return RESULT_NEUTRAL;
	default:
		return RESULT_PERMERROR;
	}
}

static char
judge(DKIM_SIGINFO *sig, char *why)
{
	dkim_alg_t alg = DKIM_SIGN_UNKNOWN;
	int flags = (int)dkim_sig_getflags(sig), e = dkim_sig_geterror(sig);

	*why = WHY_NOTHING;
	if (!(flags & DKIM_SIGFLAG_PASSED) || e != DKIM_SIGERROR_OK)
		return of_error(e, why);
	if (dkim_sig_getbh(sig) != DKIM_SIGBH_MATCH) {
		*why = WHY_BODY;
		return RESULT_FAIL;
	}
	if (is_partial(sig)) {
		*why = WHY_LENGTH;
		return RESULT_POLICY;
	}
	if (dkim_sig_getsignalg(sig, &alg) != DKIM_STAT_OK ||
	    alg == DKIM_SIGN_RSASHA1) {
		*why = WHY_SHA1;
		return RESULT_POLICY;
	}
	return RESULT_PASS;
}

/* Odd names are nobody's: nothing could be found there. */
static void
put_name(char *to, size_t max, u_char const *from)
{
	char const *s = from ? (char const *)from : "";
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	snprintf(to, max, "%s", s[n] || n >= max ? "" : s);
}

static int
collect(struct findings *out)
{
	DKIM_SIGINFO **sigs;
	struct signature *s;
	int n = 0, i;

	if (dkim_getsiglist(m.dkim, &sigs, &n) != DKIM_STAT_OK || !n)
		return -1;
	for (i = 0; i < n && i < PROTOCOL_SIGNATURES; i++) {
		s = out->signature + out->signatures++;
		s->result = judge(sigs[i], &s->why);
		put_name(s->domain, sizeof s->domain,
		    dkim_sig_getdomain(sigs[i]));
		put_name(s->selector, sizeof s->selector,
		    dkim_sig_getselector(sigs[i]));
		if (!*s->domain && s->result == RESULT_PASS)
			s->result = RESULT_NEUTRAL;
	}
	return 1;
}

int
dkim_check(struct ask *a, int fd, struct findings *out)
{
	DKIM_STAT r;
	size_t rest, end;
	int k;

	m.fd = fd;
	m.ask = a;
	k = read_head(&rest, &end);
	if (k == -1)
		return -1;
	if (k == 0 || !has_signature())
		return 1;
	m.dkim = dkim_verify(lib, (u_char *)"-", 0, &r);
	if (!m.dkim || put_fields() == -1)
		return -1;
	r = dkim_eoh(m.dkim);
	if (r == DKIM_STAT_OK && read_body(rest, end) == -1)
		return -1;
	if (r == DKIM_STAT_OK)
		dkim_eom(m.dkim, 0);
	if (collect(out) == -1) {	/* none of them could be read */
		out->signature[0].result = RESULT_PERMERROR;
		out->signature[0].why = WHY_NOTHING;
		out->signatures = 1;
	}
	return 1;
}
