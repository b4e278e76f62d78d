#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/exitcode.h"

static int
trouble(char const *file, char const *what)
{
	fprintf(stderr, "certinfo: fatal: %s: %s\n", file, what);
	return EXIT_TEMP;
}

/* The DNS names (RFC 6125: of these alone, if there are any). */
static void
names(X509 *x)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, 0, 0);
	int i;

	for (i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		unsigned char const *s;
		int n, k;

		if (g->type != GEN_DNS)
			continue;
		s = ASN1_STRING_get0_data(g->d.dNSName);
		n = ASN1_STRING_length(g->d.dNSName);
		printf("name ");
		for (k = 0; k < n && k < 255; k++)
			putchar(s[k] <= 32 || s[k] > 126 ? '?' : s[k]);
		putchar('\n');
	}
	GENERAL_NAMES_free(all);
}

/* What a TLSA record "3 1 1" holds: SHA-256 of the public key (RFC 6698). */
static int
key_hash(X509 *x)
{
	unsigned char *der = 0, hash[EVP_MAX_MD_SIZE];
	unsigned int n, i;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);

	if (len <= 0 || !EVP_Digest(der, len, hash, &n, EVP_sha256(), 0)) {
		OPENSSL_free(der);
		return 0;
	}
	printf("key-sha256 ");
	for (i = 0; i < n; i++)
		printf("%02x", hash[i]);
	putchar('\n');
	OPENSSL_free(der);
	return 1;
}

/* Prints what others see in the first certificate of a file.
 *
 * Runs as: whoever may read the file
 * Reads:   the file
 * Writes:  standard output
 * Trusts:  nobody
 * Trusted by: doctor, dnsrecords, mailctl
 */
int
main(int argc, char **argv)
{
	FILE *f;
	X509 *x;
	int days, seconds;

	if (argc != 2) {
		fprintf(stderr, "certinfo: usage: certinfo file\n");
		return EXIT_USAGE;
	}
	f = fopen(argv[1], "re");
	if (!f)
		return trouble(argv[1], "unable to open");
	x = PEM_read_X509(f, 0, 0, 0);
	fclose(f);
	if (!x)
		return trouble(argv[1], "no certificate in it");
	if (!ASN1_TIME_diff(&days, &seconds, 0, X509_get0_notAfter(x)))
		return trouble(argv[1], "no date in it");
	printf("days %d\n", days);
	if (X509_NAME_cmp(X509_get_subject_name(x),
	    X509_get_issuer_name(x)) == 0)
		printf("self-signed\n");
	names(x);
	if (!key_hash(x))
		return trouble(argv[1], "no key in it");
	X509_free(x);
	return fflush(stdout) ? EXIT_TEMP : EXIT_DONE;
}
