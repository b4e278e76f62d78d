#include "rules/proxyheader.h"

#include <string.h>
#include <sys/socket.h>

static unsigned char const signature[12] = "\r\n\r\n\0\r\nQUIT\n";
static char const name[6] = "PROXY ";

enum {
	LINE_MAX_V1 = 107,	/* 2.1: with CR LF */
	FIXED_V2 = 16,
	TCP4 = 0x11,
	TCP6 = 0x21
};

static int
begins(unsigned char const *s, size_t n, void const *with, size_t len)
{
	return memcmp(s, with, n < len ? n : len) == 0;
}

int
proxyheader_length(unsigned char const *s, size_t n, size_t *len)
{
	unsigned char const *lf;

	if (begins(s, n, name, sizeof name)) {
		lf = memchr(s, '\n', n);
		if (lf)
			*len = lf + 1 - s;
		if (lf ? *len > LINE_MAX_V1 : n >= LINE_MAX_V1)
			return -1;
		return lf != 0;
	}
	if (!begins(s, n, signature, sizeof signature))
		return -1;
	if (n < FIXED_V2)
		return 0;
	*len = FIXED_V2 + (s[14] << 8 | s[15]);
	return *len > PROXYHEADER_MAX ? -1 : 1;
}

/* The next word of s[*at..n), which ends before a blank or at n. */
static char const *
word(char const *s, size_t n, size_t *at, size_t *len)
{
	char const *w = s + *at, *blank = memchr(w, ' ', n - *at);

	*len = blank ? (size_t)(blank - w) : n - *at;
	*at += *len + (blank != 0);
	return w;
}

static int
scan_address(char const *s, size_t n, size_t *at, int four,
    struct ipaddr *out)
{
	size_t len;
	char const *w = word(s, n, at, &len);

	/* ::ffff:192.0.2.1 is an IPv4 address under TCP6, too */
	return ipaddr_scan(w, len, out) && (!memchr(w, ':', len)) == four;
}

static int
scan_port(char const *s, size_t n, size_t *at, unsigned int *out)
{
	size_t len, i;
	char const *w = word(s, n, at, &len);
	unsigned int u = 0;

	if (len < 1 || len > 5 || (len > 1 && *w == '0'))
		return 0;
	for (i = 0; i < len; i++) {
		if (w[i] < '0' || w[i] > '9')
			return 0;
		u = u * 10 + (w[i] - '0');
	}
	*out = u;
	return u <= 65535;
}

/* "TCP4 192.0.2.7 192.0.2.1 56324 25", without CR LF */
static int
parse1(char const *s, size_t n, struct connection *c)
{
	struct connection new = *c;
	size_t at = 0, len;
	char const *family = word(s, n, &at, &len);
	int four;

	if (len == 7 && memcmp(family, "UNKNOWN", 7) == 0)
		return 1;
	if (len != 4 || memcmp(family, "TCP", 3) != 0 ||
	    (family[3] != '4' && family[3] != '6'))
		return 0;
	four = family[3] == '4';
	if (!scan_address(s, n, &at, four, &new.remote) ||
	    !scan_address(s, n, &at, four, &new.local) ||
	    !scan_port(s, n, &at, &new.remote_port) ||
	    !scan_port(s, n, &at, &new.local_port) || at != n ||
	    s[n - 1] == ' ')
		return 0;
	*c = new;
	return 1;
}

static void
take4(struct ipaddr *a, unsigned char const *four)
{
	static unsigned char const mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(a->b, mapped, 12);
	memcpy(a->b + 12, four, 4);
}

static unsigned int
port_at(unsigned char const *s)
{
	return s[0] << 8 | s[1];
}

/* 2.2: command, family, length, addresses, extensions */
static int
parse2(unsigned char const *s, size_t n, struct connection *c)
{
	enum { LOCAL = 0x20, PROXY = 0x21, LEN4 = 12, LEN6 = 36 };
	unsigned char const *a = s + FIXED_V2;
	size_t len = n - FIXED_V2;

	if (s[12] == LOCAL)
		return 1;
	if (s[12] != PROXY)
		return 0;
	if (s[13] == TCP4 && len >= LEN4) {
		take4(&c->remote, a);
		take4(&c->local, a + 4);
		c->remote_port = port_at(a + 8);
		c->local_port = port_at(a + 10);
		return 1;
	}
	if (s[13] == TCP6 && len >= LEN6) {
		memcpy(c->remote.b, a, 16);
		memcpy(c->local.b, a + 16, 16);
		c->remote_port = port_at(a + 32);
		c->local_port = port_at(a + 34);
		return 1;
	}
	/* unspecified, or no TCP: the connection speaks for itself */
	return s[13] != TCP4 && s[13] != TCP6;
}

int
proxyheader_parse(unsigned char const *s, size_t n, struct connection *c)
{
	if (n >= FIXED_V2 && begins(s, n, signature, sizeof signature))
		return parse2(s, n, c);
	if (n < sizeof name + 2 || s[n - 2] != '\r')
		return 0;
	return parse1((char const *)s + sizeof name, n - sizeof name - 2, c);
}
