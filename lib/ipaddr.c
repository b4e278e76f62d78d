#include "lib/ipaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <skalibs/fmtscan.h>
#include <skalibs/types.h>

static unsigned char const mapped[12] = { [10] = 0xff, [11] = 0xff };

int
ipaddr_is4(struct ipaddr const *a)
{
	return memcmp(a->b, mapped, sizeof mapped) == 0;
}

static void
set4(struct ipaddr *a, void const *four)
{
	memcpy(a->b, mapped, sizeof mapped);
	memcpy(a->b + 12, four, 4);
}

int
ipaddr_scan(char const *s, size_t n, struct ipaddr *out)
{
	char text[IPADDR_FMT];
	struct in_addr four;

	if (n >= sizeof text || memchr(s, 0, n))
		return 0;
	memcpy(text, s, n);
	text[n] = 0;
	if (memchr(text, ':', n))
		return inet_pton(AF_INET6, text, out->b) == 1;
	if (inet_pton(AF_INET, text, &four) != 1)
		return 0;
	set4(out, &four);
	return 1;
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952
 * 4.2): its start; 8 if there is none.  *len: how many groups. */
static unsigned int
longest_zeros(unsigned int const *g, unsigned int *len)
{
	unsigned int i, j, at = 8;

	*len = 1;
	for (i = 0; i < 8; i = j + 1) {
		for (j = i; j < 8 && !g[j]; j++)
			continue;
		if (j - i > *len) {
			*len = j - i;
			at = i;
		}
	}
	return at;
}

size_t
ipaddr_fmt(char *out, struct ipaddr const *a)
{
	unsigned int g[8], i, at, len;
	size_t n = 0;

	if (ipaddr_is4(a)) {
		n = ip4_fmt(out, (char const *)a->b + 12);
		out[n] = 0;
		return n;
	}
	for (i = 0; i < 8; i++)
		g[i] = a->b[2 * i] << 8 | a->b[2 * i + 1];
	at = longest_zeros(g, &len);
	for (i = 0; i < 8; i++) {
		if (i == at) {
			i += len - 1;
			out[n++] = ':';
			if (i == 7)
				out[n++] = ':';
			continue;
		}
		if (i)
			out[n++] = ':';
		n += uint_xfmt(out + n, g[i]);
	}
	out[n] = 0;
	return n;
}

/* Where the family's own bits begin. */
static unsigned int
first_bit(struct ipaddr const *a)
{
	return ipaddr_is4(a) ? 96 : 0;
}

void
ipaddr_mask(struct ipaddr *a, unsigned int bits)
{
	unsigned int i;

	bits += first_bit(a);
	for (i = bits / 8; i < 16; i++) {
		a->b[i] &= i == bits / 8 ? 0xff00 >> bits % 8 : 0;
	}
}

int
ipaddr_within(struct ipaddr const *a, struct ipaddr const *net,
    unsigned int bits)
{
	struct ipaddr x = *a, y = *net;

	if (ipaddr_is4(a) != ipaddr_is4(net))
		return 0;
	ipaddr_mask(&x, bits);
	ipaddr_mask(&y, bits);
	return memcmp(x.b, y.b, 16) == 0;
}

int
ipaddr_from(struct sockaddr const *sa, struct ipaddr *out, unsigned int *port)
{
	struct sockaddr_in const *four = (struct sockaddr_in const *)sa;
	struct sockaddr_in6 const *six = (struct sockaddr_in6 const *)sa;

	switch (sa->sa_family) {
	case AF_INET:
		set4(out, &four->sin_addr);
		*port = ntohs(four->sin_port);
		return 1;
	case AF_INET6:
		memcpy(out->b, &six->sin6_addr, 16);
		*port = ntohs(six->sin6_port);
		return 1;
	}
	return 0;
}

socklen_t
ipaddr_to(struct ipaddr const *a, unsigned int port,
    struct sockaddr_storage *ss)
{
	struct sockaddr_in *four = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof *ss);
	if (ipaddr_is4(a)) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		memcpy(&four->sin_addr, a->b + 12, 4);
		return sizeof *four;
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	memcpy(&six->sin6_addr, a->b, 16);
	return sizeof *six;
}
