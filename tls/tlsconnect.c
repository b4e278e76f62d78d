/* tlsconnect: the client's side of TLS on a connection that is there already.
 *
 * Descriptor 0 is the connection, descriptor 1 a stream socket: the clear
 * side.  The first line on that is the result:
 *
 *	+PROTOCOL CIPHER HOW	and what follows is the server's
 *	-reason			and the end
 *
 * HOW: "unverified", "ca", or "dane".  When its caller closes the clear side,
 * what was said still goes out, for a few seconds.
 *
 * Runs as:    its caller (remote), with no rights but those two descriptors
 *             once the certificates of authorities are read
 * Reads:      descriptors 0 and 1
 * Writes:     descriptors 0 and 1
 * Trusts:     its arguments; nothing that comes over the connection
 * Trusted by: its caller, for the result
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/sandbox.h"
#include "tls/stream.h"

enum { SECONDS = 300, MOST = 64 };
/* all in one file: OpenSSL looks into a directory only later, when none can be
 * opened any more */
#define AUTHORITIES "/etc/ssl/certs/ca-certificates.crt"

struct wish {
	long seconds;
	char const *server;	/* its name, for SNI; and DANE's base */
	char const *names[MOST], *tlsa[MOST];
	size_t n_names, n_tlsa;
	int verify;		/* by the authorities that this host trusts */
};

static void
die(char const *what)
{
	dprintf(2, "tlsconnect: fatal: %s\n", what);
	exit(EXIT_TEMP);
}

static void
say(char const *s)
{
	size_t n = strlen(s);
	ssize_t r;

	for (; n; s += r, n -= r) {
		r = write(1, s, n);
		if (r == -1)
			exit(EXIT_TEMP);
	}
}

static void
fail(char const *reason)
{
	char line[256];

	snprintf(line, sizeof line, "-%.200s\n", reason);
	say(line);
	exit(EXIT_DONE);
}

static void
usage(void)
{
	dprintf(2, "tlsconnect: usage: tlsconnect [-v] [-t seconds] "
	    "[-s server] [-n name]... [-d tlsa]...\n");
	exit(EXIT_PERM);
}

static void
parse(struct wish *w, int argc, char **argv)
{
	char *end;
	int c;

	w->seconds = SECONDS;
	while ((c = getopt(argc, argv, "vt:s:n:d:")) != -1) {
		if (c == 'v')
			w->verify = 1;
		else if (c == 't') {
			w->seconds = strtol(optarg, &end, 10);
			if (*end || w->seconds < 1)
				usage();
		} else if (c == 's')
			w->server = optarg;
		else if (c == 'n' && w->n_names < MOST)
			w->names[w->n_names++] = optarg;
		else if (c == 'd' && w->n_tlsa < MOST)
			w->tlsa[w->n_tlsa++] = optarg;
		else if (c == '?')
			usage();
	}
	if (optind != argc || (w->n_tlsa && w->verify))
		usage();
}

static int
load_authorities(SSL_CTX *ctx)
{
	char const *file = getenv("SSL_CERT_FILE");

	return SSL_CTX_load_verify_file(ctx, file ? file : AUTHORITIES);
}

static SSL_CTX *
context(struct wish const *w)
{
	SSL_CTX *ctx;

	/* this program's own settings, not those of openssl.cnf */
	if (!OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG |
	    OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
	    0) || !(ctx = SSL_CTX_new(TLS_client_method())))
		die("unable to start OpenSSL");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	/* where any certificate will do, a weak one is better than none */
	SSL_CTX_set_security_level(ctx, w->verify || w->n_tlsa ? 2 : 1);
	if (w->verify && load_authorities(ctx) != 1)
		die("unable to read the certificates of authorities");
	if (w->n_tlsa && SSL_CTX_dane_enable(ctx) <= 0)
		die("unable to start OpenSSL's DANE");
	return ctx;
}

/* "usage:selector:matching:hexadecimal".  1; 0 it cannot be used. */
static int
add_tlsa(SSL *ssl, char const *s)
{
	unsigned char *data;
	long n;
	int r;

	if (strlen(s) < 7 || s[1] != ':' || s[3] != ':' || s[5] != ':')
		return 0;
	data = OPENSSL_hexstr2buf(s + 6, &n);
	r = data && SSL_dane_tlsa_add(ssl, s[0] - '0', s[2] - '0', s[4] - '0',
	    data, n) == 1;
	OPENSSL_free(data);
	return r;
}

static void
expect_names(SSL *ssl, struct wish const *w)
{
	size_t i;

	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (i = 0; i < w->n_names; i++) {
		X509_VERIFY_PARAM *p = SSL_get0_param(ssl);

		if (X509_VERIFY_PARAM_set1_ip_asc(p, w->names[i]) != 1 &&
		    SSL_add1_host(ssl, w->names[i]) != 1)
			die("unable to set a name");
	}
}

static SSL *
connection(SSL_CTX *ctx, struct wish const *w)
{
	SSL *ssl = SSL_new(ctx);
	size_t i;
	int usable = 0;

	if (!ssl || SSL_set_fd(ssl, 0) != 1)
		die("unable to start a connection");
	if (w->n_tlsa) {
		if (SSL_dane_enable(ssl, w->server) <= 0)
			die("unable to start DANE");
		/* RFC 7672 3.1.1: the key alone decides, whatever its name */
		SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
		for (i = 0; i < w->n_tlsa; i++)
			usable |= add_tlsa(ssl, w->tlsa[i]);
		if (!usable)
			fail("no TLSA record is usable");
	} else if (w->server && SSL_set_tlsext_host_name(ssl, w->server) != 1)
		die("unable to set the server's name");
	expect_names(ssl, w);
	if (w->verify || w->n_tlsa)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, 0);
	return ssl;
}

static void
confine(void)
{
	tzset();	/* which reads a file, when a date is looked at */
	if (fcntl(0, F_SETFL, O_NONBLOCK) == -1 ||
	    fcntl(1, F_SETFL, O_NONBLOCK) == -1)
		die("unable to use its descriptors");
	if (sandbox_no_new_privs() == -1 || sandbox_paths(0, 0) == -1 ||
	    sandbox_stream() == -1)
		die("unable to confine itself");
}

static void
refused(SSL *ssl)
{
	long verdict = SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE ?
	    X509_V_OK : SSL_get_verify_result(ssl);
	unsigned long e = ERR_peek_error();
	char const *reason = e ? ERR_reason_error_string(e) : 0;

	if (verdict != X509_V_OK)
		fail(X509_verify_cert_error_string(verdict));
	fail(reason ? reason : "the connection ended");
}

static void
handshake(SSL *ssl, struct wish const *w)
{
	long until = (long)clock_seconds() + w->seconds;
	int r;

	for (;;) {
		ERR_clear_error();
		r = SSL_connect(ssl);
		if (r == 1)
			return;
		r = stream_wait(ssl, r, 0, until);
		if (r == -1)
			fail("the handshake took too long");
		if (r == 0)
			refused(ssl);
	}
}

static void
tell(SSL *ssl, struct wish const *w)
{
	char line[128];

	snprintf(line, sizeof line, "+%s %s %s\n", SSL_get_version(ssl),
	    SSL_get_cipher_name(ssl),
	    w->n_tlsa ? "dane" : w->verify ? "ca" : "unverified");
	say(line);
}

int
main(int argc, char **argv)
{
	static struct wish wish;
	SSL *ssl;

	signal(SIGPIPE, SIG_IGN);
	parse(&wish, argc, argv);
	ssl = connection(context(&wish), &wish);
	confine();
	handshake(ssl, &wish);
	tell(ssl, &wish);
	stream_run(ssl, 0, 1);
	return EXIT_DONE;
}
