#include "tls/tickets.h"

#include <openssl/sha.h>
#include <string.h>
#include <sys/random.h>

/* A hash of the secret; one letter for each use. */
static void
derive(unsigned char *out, char use, unsigned char const *secret)
{
	unsigned char in[33];

	in[0] = use;
	memcpy(in + 1, secret, 32);
	SHA256(in, sizeof in, out);
	explicit_bzero(in, sizeof in);
}

static void
step(struct tickets *t)
{
	unsigned char hash[3][32];
	char i;

	for (i = 0; i < 3; i++)
		derive(hash[(int)i], 'a' + i, t->secret);
	memcpy(t->key, hash, sizeof t->key);
	derive(hash[0], 'n', t->secret);
	memcpy(t->secret, hash[0], sizeof t->secret);
	explicit_bzero(hash, sizeof hash);
	t->number++;
}

int
tickets_init(struct tickets *t, uint64_t now)
{
	if (getrandom(t->secret, sizeof t->secret, 0) != sizeof t->secret)
		return -1;
	t->number = now / TICKETS_PERIOD - 1;
	step(t);
	return 1;
}

int
tickets_advance(struct tickets *t, uint64_t now)
{
	int r = 0;

	for (; t->number != now / TICKETS_PERIOD; r = 1)
		step(t);
	return r;
}
