/* pwhash: compare and make password hashes (crypt(3)), for one caller.
 *
 * Requests on descriptor 0, each field NUL-terminated, answers on 1:
 *
 *	v hash password   "y" it is the password; "n" it is not
 *	c hash password secret challenge
 *	                  the same; "y" also if it is what CRAM-MD5 or APOP
 *	                  make of secret and challenge
 *	h password        "h" and a new hash, NUL; "e": none could be made
 *
 * Ends at the end of input.  It is a program of its own because libcrypt
 * needs the C library of the distribution, and so that hashing never holds up
 * anything else.
 *
 * Runs as: its caller (authd, or a tool of the administrator).  Reads:
 * descriptor 0.  Writes: descriptor 1.  Trusts: its caller.  Trusted by: its
 * caller, for the answer.
 */
#include <crypt.h>
#include <errno.h>
#include <md5.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { EXIT_USAGE = 100, EXIT_TEMP = 111, REQUEST = 2048 };

static char request[REQUEST];
static size_t have;		/* bytes of request */
static struct crypt_data work;

/* The end of the field that starts at "from", or 0 if it is not there yet. */
static char *
field_end(size_t from)
{
	return from < have ? memchr(request + from, 0, have - from) : 0;
}

static int
more(void)
{
	ssize_t r;

	if (have == sizeof request)
		_exit(EXIT_USAGE);
	do
		r = read(0, request + have, sizeof request - have);
	while (r == -1 && errno == EINTR);
	if (r == -1)
		_exit(EXIT_TEMP);
	have += r;
	return r != 0;
}

/* The n fields behind the letter; their total length, or 0 at the end. */
static size_t
read_fields(char **field, int n)
{
	size_t at = 2;
	char *end;
	int i;

	for (i = 0; i < n; i++) {
		while (!(end = field_end(at)))
			if (!more())
				return 0;
		field[i] = request + at;
		at = end - request + 1;
	}
	return at;
}

static void
answer(char const *s, size_t n)
{
	ssize_t r;

	while (n) {
		r = write(1, s, n);
		if (r == -1 && errno != EINTR)
			_exit(EXIT_TEMP);
		if (r > 0) {
			s += r;
			n -= r;
		}
	}
}

/* Equal, in a time that does not tell where they differ. */
static int
same(char const *a, char const *b)
{
	size_t n = strlen(b), i;
	unsigned char differ = strlen(a) != n;

	for (i = 0; i < n && a[i]; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

static char
compare(char const *hash, char const *password)
{
	char const *s = crypt_r(password, hash, &work);

	return s && *s != '*' && *hash && same(s, hash) ? 'y' : 'n';
}

/* HMAC-MD5 (RFC 2104), in hexadecimal: RFC 2195. */
static void
cram(char const *secret, char const *challenge, char *hex)
{
	uint8_t key[MD5_BLOCK_LENGTH] = { 0 }, pad[MD5_BLOCK_LENGTH];
	uint8_t inner[MD5_DIGEST_LENGTH];
	size_t n = strlen(secret), i;
	MD5_CTX m;

	MD5Init(&m);
	if (n > sizeof key) {
		MD5Update(&m, (uint8_t const *)secret, n);
		MD5Final(key, &m);
		MD5Init(&m);
	} else
		memcpy(key, secret, n);
	for (i = 0; i < sizeof key; i++)
		pad[i] = key[i] ^ 0x36;
	MD5Update(&m, pad, sizeof pad);
	MD5Update(&m, (uint8_t const *)challenge, strlen(challenge));
	MD5Final(inner, &m);
	for (i = 0; i < sizeof key; i++)
		pad[i] = key[i] ^ 0x5c;
	MD5Init(&m);
	MD5Update(&m, pad, sizeof pad);
	MD5Update(&m, inner, sizeof inner);
	MD5End(&m, hex);
}

/* RFC 1939 7 */
static void
apop(char const *secret, char const *challenge, char *hex)
{
	MD5_CTX m;

	MD5Init(&m);
	MD5Update(&m, (uint8_t const *)challenge, strlen(challenge));
	MD5Update(&m, (uint8_t const *)secret, strlen(secret));
	MD5End(&m, hex);
}

/* The work on the hash is done in any case: what it costs tells nothing. */
static char
respond(char const *hash, char const *password, char const *secret,
    char const *challenge)
{
	char hex[MD5_DIGEST_STRING_LENGTH];
	int good = compare(hash, password) == 'y';

	if (!*secret || !*challenge)
		return good ? 'y' : 'n';
	cram(secret, challenge, hex);
	good |= same(password, hex);
	apop(secret, challenge, hex);
	good |= same(password, hex);
	return good ? 'y' : 'n';
}

static void
make(char const *password)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	char const *s = crypt_gensalt_rn(0, 0, 0, 0, setting, sizeof setting);

	if (s)
		s = crypt_r(password, s, &work);
	if (!s || *s == '*') {
		answer("e", 1);
		return;
	}
	answer("h", 1);
	answer(s, strlen(s) + 1);
}

/* How many fields there are behind that letter; 0: no such request. */
static int
fields_of(char letter)
{
	return letter == 'v' ? 2 : letter == 'c' ? 4 : letter == 'h' ? 1 : 0;
}

static void
serve(void)
{
	char *field[4], c;
	size_t n;
	int fields;

	while (have >= 2 || more()) {
		if (have < 2)
			continue;
		fields = fields_of(request[0]);
		if (!fields || request[1])
			_exit(EXIT_USAGE);
		n = read_fields(field, fields);
		if (!n)
			return;
		if (fields == 1)
			make(field[0]);
		else {
			c = fields == 2 ? compare(field[0], field[1]) :
			    respond(field[0], field[1], field[2], field[3]);
			answer(&c, 1);
		}
		explicit_bzero(&work, sizeof work);
		memmove(request, request + n, have - n);
		explicit_bzero(request + have - n, n);
		have -= n;
	}
}

int
main(void)
{
	struct rlimit none = { 0, 0 };

	/* no core with passwords in it, no child, no debugger */
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_NPROC, &none);
	prctl(PR_SET_DUMPABLE, 0);
	serve();
	return 0;
}
