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

#include "lib/keyfile.h"
#include "lib/setting.h"

#define LIST "control/dkim"

enum {
	FILE_MOST = 16384,	/* bytes of a key's file */
	KEYS_MOST = 10000,
	BITS_LEAST = 1024, BITS_MOST = 4096	/* RFC 8301 3.2 */
};

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
	size_t len, n;
	BIO *in;

	snprintf(file, sizeof file, "dkim/%s._domainkey.%s.pem", k->selector,
	    k->domain);
	if (keyfile_read(AT_FDCWD, file, s, FILE_MOST, &n) == -1)
		return -1;
	in = BIO_new_mem_buf(s, (int)n);
	k->key = in ?
	    PEM_read_bio_PrivateKey(in, 0, keyfile_no_password, 0) : 0;
	BIO_free(in);
	explicit_bzero(s, sizeof s);
	ERR_clear_error();
	if (!k->key)
		return keyfile_warn(what, file,
		    "not a private key without a password");
	if (!is_fit(k))
		return keyfile_warn(what, file,
		    "neither RSA with 1024 to 4096 bits nor Ed25519");
	if (keys_sign(k, digest, signature, &len) == -1)
		return keyfile_warn(what, file, "it does not sign");
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
		return keyfile_warn("too many keys", LIST, k->domain);
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
		return keyfile_warn("not domain:selector", LIST, line);
	while (line[n]) {
		line += n + 1;
		n = strcspn(line, ":");
		k.key = 0;
		if (!take_name(k.selector, PROTOCOL_SELECTOR, line, n) ||
		    ++count > PROTOCOL_KEYS)
			return keyfile_warn("not a selector, or too many",
			    LIST, line);
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
		return keyfile_warn("unable to read a setting", LIST, 0);
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
