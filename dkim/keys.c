#include "dkim/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/setting.h"

#define LIST "control/dkim"

enum {
	FILE_MOST = 16384,	/* bytes of a key's file */
	KEYS_MOST = 10000,
	BITS_LEAST = 1024, BITS_MOST = 4096	/* RFC 8301 3.2 */
};

/* why: a text, or 0 for errno */
static int
tell(char const *what, char const *file, char const *why)
{
	int e = errno;

	log_start("warning", what);
	log_string("file", file);
	if (why)
		log_string("reason", why);
	else
		log_errno(e);
	log_end();
	return -1;
}

/* A key with a password is none for a server. */
static int
no_password(char *s, int n, int rw, void *what)
{
	(void)s;
	(void)n;
	(void)rw;
	(void)what;
	return -1;
}

/* Whole file into s.  Its length; -1, told. */
static int
slurp(char const *file, char s[FILE_MOST])
{
	int fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char const *why = 0;
	struct stat st;
	ssize_t r = -1;

	if (fd == -1 || fstat(fd, &st) == -1)
		;
	else if (!S_ISREG(st.st_mode) || st.st_size >= FILE_MOST)
		why = "not a file of this kind";
	else
		r = read(fd, s, FILE_MOST);
	if (r == -1)
		tell("unable to read a key", file, why);
	else if (st.st_mode & 077)
		tell("others may read a key", file,
		    "its mode should be 0600");
	if (fd != -1)
		close(fd);
	return (int)r;
}

static int
is_fit(struct key *k)
{
	int bits = EVP_PKEY_get_bits(k->key);

	switch (EVP_PKEY_get_base_id(k->key)) {
	case EVP_PKEY_RSA:
		k->letter = PROTOCOL_RSA;
		return bits >= BITS_LEAST && bits <= BITS_MOST;
	case EVP_PKEY_ED25519:
		k->letter = PROTOCOL_ED25519;
		return 1;
	default:
		return 0;
	}
}

/* Reads the key, and tries it: what OpenSSL loads at the first use must be
 * there before we lock ourselves in.  1; -1, told.
 */
static int
read_key(struct key *k)
{
	static char const digest[PROTOCOL_DIGEST];
	static char const what[] = "unable to use a key";
	char file[PROTOCOL_DOMAIN + PROTOCOL_SELECTOR + 32];
	char s[FILE_MOST], signature[PROTOCOL_SIGNATURE];
	size_t len;
	BIO *in;
	int n;

	snprintf(file, sizeof file, "dkim/%s._domainkey.%s.pem", k->selector,
	    k->domain);
	n = slurp(file, s);
	if (n == -1)
		return -1;
	in = BIO_new_mem_buf(s, n);
	k->key = in ? PEM_read_bio_PrivateKey(in, 0, no_password, 0) : 0;
	BIO_free(in);
	explicit_bzero(s, sizeof s);
	ERR_clear_error();
	if (!k->key)
		return tell(what, file, "not a private key without a password");
	if (!is_fit(k))
		return tell(what, file, "neither RSA with 1024 to 4096 bits "
		    "nor Ed25519");
	if (keys_sign(k, digest, signature, &len) == -1)
		return tell(what, file, "it does not sign");
	return 1;
}

/* Lower case, and nothing that leads out of a directory.  1, 0. */
static int
take_name(char *out, size_t max, char const *s, size_t n)
{
	size_t i;

	if (!n || n > max || *s == '.')
		return 0;
	for (i = 0; i < n; i++) {
		out[i] = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789._-", out[i]))
			return 0;
	}
	out[n] = 0;
	return 1;
}

/* 1; -1, told. */
static int
add_key(struct keys *out, struct key *k)
{
	struct key *more;

	more = out->n < KEYS_MOST ?
	    realloc(out->each, (out->n + 1) * sizeof *more) : 0;
	if (!more)
		return tell("too many keys", LIST, k->domain);
	out->each = more;
	more[out->n++] = *k;
	return 1;
}

/* domain:selector[:selector...] 1; -1, told. */
static int
take_line(struct keys *out, char const *line, int strict)
{
	struct key k;
	size_t n = strcspn(line, ":");
	unsigned int count = 0;

	if (!take_name(k.domain, PROTOCOL_DOMAIN, line, n) || !line[n])
		return tell("not domain:selector", LIST, line);
	while (line[n]) {
		line += n + 1;
		n = strcspn(line, ":");
		k.key = 0;
		if (!take_name(k.selector, PROTOCOL_SELECTOR, line, n) ||
		    ++count > PROTOCOL_KEYS)
			return tell("not a selector, or too many", LIST, line);
		if (read_key(&k) == 1 && add_key(out, &k) == 1)
			continue;
		EVP_PKEY_free(k.key);
		if (strict)
			return -1;
	}
	return 1;
}

int
keys_load(int strict, struct keys *out)
{
	struct keys new = { 0, 0 };
	char line[SETTING_LINE];
	FILE *f = 0;
	int r = setting_open(LIST, &f);

	if (r == -1)
		return tell("unable to read a setting", LIST, 0);
	while (r == 1 && setting_next(f, line))
		if (take_line(&new, line, strict) == -1 && strict)
			r = -1;
	if (f)
		fclose(f);
	if (r == -1) {
		keys_free(&new);
		return -1;
	}
	*out = new;
	return 1;
}

void
keys_free(struct keys *k)
{
	while (k->n)
		EVP_PKEY_free(k->each[--k->n].key);
	free(k->each);
	k->each = 0;
}

struct key const *
keys_next(struct keys const *k, char const *domain, size_t n, size_t *pos)
{
	struct key const *key;

	while (*pos < k->n) {
		key = k->each + (*pos)++;
		if (strlen(key->domain) == n &&
		    !strncasecmp(key->domain, domain, n))
			return key;
	}
	return 0;
}

/* RFC 6376 3.3.1: PKCS #1 1.5 over the hash. */
static int
sign_rsa(EVP_PKEY *key, unsigned char const *digest, unsigned char *out,
    size_t *len)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, 0);
	int r = c && EVP_PKEY_sign_init(c) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) == 1 &&
	    EVP_PKEY_sign(c, out, len, digest, PROTOCOL_DIGEST) == 1;

	EVP_PKEY_CTX_free(c);
	return r ? 1 : -1;
}

/* RFC 8463 3: PureEdDSA of the hash. */
static int
sign_ed25519(EVP_PKEY *key, unsigned char const *digest, unsigned char *out,
    size_t *len)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int r = c && EVP_DigestSignInit(c, 0, 0, 0, key) == 1 &&
	    EVP_DigestSign(c, out, len, digest, PROTOCOL_DIGEST) == 1;

	EVP_MD_CTX_free(c);
	return r ? 1 : -1;
}

int
keys_sign(struct key const *k, char const digest[PROTOCOL_DIGEST],
    char out[PROTOCOL_SIGNATURE], size_t *len)
{
	int r;

	*len = PROTOCOL_SIGNATURE;
	r = (k->letter == PROTOCOL_RSA ? sign_rsa : sign_ed25519)(k->key,
	    (unsigned char const *)digest, (unsigned char *)out, len);
	ERR_clear_error();
	return r;
}
