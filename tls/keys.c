#include "tls/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/keyfile.h"

#define DEFAULT "default.pem"

struct list {
	char *name[KEYS_MOST];
	size_t n;
};

static char const unusable[] = "unable to use a certificate";

/* what OpenSSL says */
static void
tell_openssl(char const *file)
{
	char const *why = ERR_reason_error_string(ERR_peek_last_error());

	keyfile_warn(unusable, file,
	    why ? why : "not a key and its certificate");
	ERR_clear_error();
}

static int
wanted(char const *name)
{
	size_t n = strlen(name);

	return *name != '.' && n > 4 && strcmp(name + n - 4, ".pem") == 0;
}

/* The default first, the others in the order of their names. */
static int
compare(void const *a, void const *b)
{
	char const *const *x = a, *const *y = b;
	int p = strcmp(*x, DEFAULT) == 0, q = strcmp(*y, DEFAULT) == 0;

	return p || q ? q - p : strcmp(*x, *y);
}

static void
list_free(struct list *l)
{
	while (l->n)
		free(l->name[--l->n]);
}

/* 1, -1 with errno */
static int
list_read(struct list *l, int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? 0 : fdopendir(fd);
	struct dirent *e;
	int r = 1;

	if (!d) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	while (r == 1 && (errno = 0, e = readdir(d)) != 0) {
		if (!wanted(e->d_name))
			continue;
		errno = E2BIG;
		if (l->n == KEYS_MOST ||
		    !(l->name[l->n] = strdup(e->d_name)))
			r = -1;
		else
			l->n++;
	}
	if (errno && !e)
		r = -1;
	closedir(d);
	qsort(l->name, l->n, sizeof *l->name, compare);
	return r;
}

static int
use_key(SSL_CTX *ctx, BIO *in)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, 0, keyfile_no_password,
	    0);
	int r = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;

	EVP_PKEY_free(key);
	return r ? 1 : -1;
}

/* The first certificate is the server's, the others are its chain. */
static int
use_chain(SSL_CTX *ctx, BIO *in, char const *name)
{
	X509 *cert = PEM_read_bio_X509(in, 0, keyfile_no_password, 0);
	int r = cert && SSL_CTX_use_certificate(ctx, cert) == 1;

	if (r && X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		keyfile_warn("a certificate has expired", name, "renew it");
	X509_free(cert);
	while (r && (cert = PEM_read_bio_X509(in, 0, keyfile_no_password,
	    0)) != 0) {
		if (SSL_CTX_add0_chain_cert(ctx, cert) != 1) {
			X509_free(cert);
			r = 0;
		}
	}
	/* "no start line" is the end of the file */
	if (r && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		r = 0;
	if (r)
		ERR_clear_error();
	return r ? 1 : -1;
}

static int
use(SSL_CTX *ctx, char const *s, size_t n, char const *name)
{
	BIO *key = BIO_new_mem_buf(s, (int)n);
	BIO *chain = BIO_new_mem_buf(s, (int)n);
	int r = key && chain && use_chain(ctx, chain, name) == 1 &&
	    use_key(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;

	BIO_free(key);
	BIO_free(chain);
	return r ? 1 : -1;
}

/* RFC 6066 3: which certificate, by the name that the client wants. */
static int
choose(SSL *ssl, int *alert, void *keys)
{
	struct keys *k = keys;
	char const *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	unsigned int i;

	(void)alert;
	for (i = 0; name && i < k->n; i++) {
		if (X509_check_host(SSL_CTX_get0_certificate(k->each[i]),
		    name, 0, 0, 0) != 1)
			continue;
		SSL_set_SSL_CTX(ssl, k->each[i]);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

/* What every session keeps to. */
static int
set_up(SSL_CTX *ctx, char const *ciphers, struct keys *k)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	    SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	/* no cache: tickets, which any process can open */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TICKETS_PERIOD);
	SSL_CTX_set_tlsext_servername_callback(ctx, choose);
	SSL_CTX_set_tlsext_servername_arg(ctx, k);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1 &&
	    SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
	    SSL_CTX_set_cipher_list(ctx, ciphers) == 1 ? 1 : -1;
}

/* 1; -1, told. */
static int
use_file(SSL_CTX *ctx, int dir, char const *name)
{
	char *s = malloc(KEYS_SIZE);
	size_t n;
	int r;

	if (!s)
		return keyfile_warn(unusable, name, 0);
	r = keyfile_read(dir, name, s, KEYS_SIZE, &n);
	if (r == 1) {
		r = use(ctx, s, n, name);
		if (r == -1)
			tell_openssl(name);
		explicit_bzero(s, n);
	}
	free(s);
	return r;
}

/* 1 added, 0 not fit for use, -1 nothing is: both told */
static int
add(struct keys_source const *from, char const *name, struct keys *k)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || set_up(ctx, from->ciphers, k) == -1) {
		tell_openssl("control/tlsciphers");
		SSL_CTX_free(ctx);
		return -1;
	}
	if (use_file(ctx, from->dir, name) == -1) {
		SSL_CTX_free(ctx);
		return 0;
	}
	k->each[k->n++] = ctx;
	return 1;
}

static int
add_all(struct keys_source const *from, struct list *l, int strict,
    struct keys *k)
{
	size_t i;
	int r;

	for (i = 0; i < l->n; i++) {
		r = add(from, l->name[i], k);
		if (r == -1 || (r == 0 && strict))
			return -1;
	}
	return k->n ? 1 : -1;
}

int
keys_load(struct keys_source const *from, int strict, struct keys *out)
{
	struct list l = { .n = 0 };
	int r = list_read(&l, from->dir);

	out->n = 0;
	if (r == -1)
		keyfile_warn(unusable, ".", 0);
	else if (!l.n)
		r = 0;
	if (r == 1) {
		r = add_all(from, &l, strict, out);
		if (r != 1)
			keys_free(out);
	}
	list_free(&l);
	return r;
}

void
keys_free(struct keys *k)
{
	while (k->n)
		SSL_CTX_free(k->each[--k->n]);
}

int
keys_tickets(struct keys *k, struct tickets *t)
{
	unsigned int i;

	for (i = 0; i < k->n; i++)
		if (SSL_CTX_set_tlsext_ticket_keys(k->each[i], t->key,
		    TICKETS_KEY) != 1)
			return -1;
	return 1;
}
