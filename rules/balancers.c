#include "rules/balancers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <skalibs/types.h>

#include "rules/proxyheader.h"

enum {
	MOST_NETWORKS = 64,
	PATIENCE = 5000		/* ms; the header comes with the connection */
};

struct waiting {
	struct connection c;
	uint64_t deadline;
	size_t n;
	unsigned char header[PROXYHEADER_MAX];
};

static struct {
	struct ipaddr network[MOST_NETWORKS];
	unsigned int bits[MOST_NETWORKS];
	unsigned int networks;
	struct waiting *waiting;	/* never touched until used */
	unsigned int n;
} table;

static int
add_network(char const *s, size_t n)
{
	char const *slash = memchr(s, '/', n);
	size_t len = slash ? (size_t)(slash - s) : n;
	struct ipaddr a;
	unsigned int bits, all;

	if (table.networks == MOST_NETWORKS || !ipaddr_scan(s, len, &a))
		return 0;
	all = ipaddr_is4(&a) ? 32 : 128;
	bits = all;
	if (slash && (uint_scan(slash + 1, &bits) != n - len - 1 ||
	    n == len + 1 || bits > all))
		return 0;
	table.network[table.networks] = a;
	table.bits[table.networks++] = bits;
	return 1;
}

int
balancers_list(char const *list)
{
	size_t n;

	for (;; list += n + 1) {
		n = strcspn(list, ",");
		if (!add_network(list, n))
			return 0;
		if (!list[n])
			return 1;
	}
}

int
balancers_init(unsigned int most)
{
	if (!table.networks)
		return 1;
	table.waiting = calloc(most, sizeof *table.waiting);
	return table.waiting ? 1 : -1;
}

int
balancers_has(struct connection const *c)
{
	unsigned int i;

	for (i = 0; i < table.networks; i++)
		if (ipaddr_within(&c->remote, table.network + i,
		    table.bits[i]))
			return 1;
	return 0;
}

void
balancers_add(struct connection const *c, uint64_t now)
{
	struct waiting *w = table.waiting + table.n++;

	w->c = *c;
	w->deadline = now + PATIENCE;
	w->n = 0;
}

unsigned int
balancers_waiting(void)
{
	return table.n;
}

void
balancers_poll(struct pollfd *p, uint64_t *until)
{
	unsigned int i;

	for (i = 0; i < table.n; i++) {
		p[i].fd = table.waiting[i].c.fd;
		p[i].events = POLLIN;
		if (table.waiting[i].deadline < *until)
			*until = table.waiting[i].deadline;
	}
}

/* Takes bytes of the header off the socket, and no more: the rest is the
 * program's.  1 it is whole, 0 not yet, -1 it will not be. */
static int
advance(struct waiting *w)
{
	ssize_t r = recv(w->c.fd, w->header + w->n, PROXYHEADER_MAX - w->n,
	    MSG_PEEK | MSG_DONTWAIT);
	size_t seen, len = 0;
	int known;

	if (r == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (r <= 0)
		return -1;
	seen = w->n + r;
	known = proxyheader_length(w->header, seen, &len);
	if (known == -1)
		return -1;
	if (known && len < seen)
		seen = len;
	r = recv(w->c.fd, w->header + w->n, seen - w->n, MSG_DONTWAIT);
	if (r != (ssize_t)(seen - w->n))
		return -1;
	w->n = seen;
	return known && seen == len;
}

void
balancers_serve(struct pollfd const *p, uint64_t now,
    void (*ready)(struct connection *), void (*refused)(struct connection *))
{
	unsigned int i, n = table.n;
	int r;

	/* from the end: the last one takes the place of one that leaves */
	for (i = n; i--; ) {
		struct waiting *w = table.waiting + i;
		struct connection c;

		r = p[i].revents ? advance(w) : 0;
		if (r == 0 && now >= w->deadline)
			r = -1;
		if (r == 1 && !proxyheader_parse(w->header, w->n, &w->c))
			r = -1;
		if (r == 0)
			continue;
		c = w->c;
		if (w != table.waiting + --table.n)
			*w = table.waiting[table.n];
		if (r == 1)
			ready(&c);
		else
			refused(&c);
	}
}
