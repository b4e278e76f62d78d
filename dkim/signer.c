#include "dkim/signer.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/packet.h"

enum {
	ANSWER_SECONDS = 20,
	RESTART = 30,		/* tenths of a second */
	RSA_LEAST = 128,	/* bytes: RFC 8301 3.2 */
	ED25519 = 64
};

int
signer_connect(void)
{
	static struct timespec const pause = { 0, 100000000 };
	unsigned int tries = RESTART;
	int fd;

	while ((fd = packet_connect(PROTOCOL_SOCKET)) == -1 && tries-- &&
	    (errno == ENOENT || errno == ECONNREFUSED))
		nanosleep(&pause, 0);
	if (fd != -1)
		packet_timeout(fd, ANSWER_SECONDS);
	return fd;
}

/* 1; 0 refused; -1. */
static int
ask(int fd, char const *s, size_t n, char answer[PROTOCOL_ANSWER],
    size_t *len)
{
	int r = packet_send(fd, s, n, -1);

	if (r == 1)
		r = packet_recv(fd, answer, PROTOCOL_ANSWER, len, 0);
	if (r == -1)
		return -1;
	if (r == 1 && *len == 1 && answer[0] == 'R')
		return 0;
	if (r == 1 && *len && answer[0] == s[0])
		return 1;
	errno = EPROTO;
	return -1;
}

/* What may stand in a tag s= (RFC 6376 3.1). */
static int
is_selector(char const *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789._-", s[i]))
			return 0;
	return n && n <= PROTOCOL_SELECTOR;
}

int
signer_keys(int fd, char const *domain,
    struct signer_key keys[PROTOCOL_KEYS], unsigned int *n)
{
	char question[1 + PROTOCOL_DOMAIN], answer[PROTOCOL_ANSWER];
	size_t len, i, k;
	int r;

	k = strnlen(domain, PROTOCOL_DOMAIN);
	question[0] = 'K';
	memcpy(question + 1, domain, k);
	r = ask(fd, question, 1 + k, answer, &len);
	if (r != 1)
		return r;
	errno = EPROTO;
	for (*n = 0, i = 1; i < len; i += k + 2, (*n)++) {
		k = strnlen(answer + i + 1, len - i - 1);
		if (*n == PROTOCOL_KEYS || i + 1 + k == len ||
		    (answer[i] != PROTOCOL_RSA &&
		    answer[i] != PROTOCOL_ED25519) ||
		    !is_selector(answer + i + 1, k))
			return -1;
		keys[*n].letter = answer[i];
		memcpy(keys[*n].selector, answer + i + 1, k + 1);
	}
	return 1;
}

int
signer_sign(int fd, struct signer_key const *key, char const *domain,
    char const digest[PROTOCOL_DIGEST], char out[PROTOCOL_SIGNATURE],
    size_t *len)
{
	char question[PROTOCOL_QUESTION], answer[PROTOCOL_ANSWER];
	size_t n = 2, k = strlen(key->selector) + 1;
	int r;

	question[0] = 'S';
	question[1] = key->letter;
	memcpy(question + n, key->selector, k);
	n += k;
	k = strnlen(domain, PROTOCOL_DOMAIN);
	memcpy(question + n, domain, k);
	n += k;
	question[n++] = 0;
	memcpy(question + n, digest, PROTOCOL_DIGEST);
	r = ask(fd, question, n + PROTOCOL_DIGEST, answer, len);
	if (r != 1)
		return r;
	--*len;
	if (key->letter == PROTOCOL_RSA ? *len < RSA_LEAST : *len != ED25519) {
		errno = EPROTO;
		return -1;
	}
	memcpy(out, answer + 1, *len);
	return 1;
}
