#include "remote/tlsa.h"

#include <string.h>

#include <skalibs/types.h>

/* The name to ask in this round: where its CNAME leads, then itself. */
static char const *
asked(struct host_name const *h, int round)
{
	if (!h->secure || h->dane)
		return 0;
	if (round == 0)
		return h->base;
	return strcmp(h->base, h->name) ? h->name : 0;
}

static int
ask(struct resolve *n, size_t i, char const *name, unsigned int port)
{
	char tag[UINT_FMT], question[UINT_FMT + 270];
	size_t k = 1, len = strlen(name);

	if (len > 255)
		return 0;
	tag[uint_fmt(tag, i)] = 0;
	question[0] = '_';
	k += uint_fmt(question + k, port);
	memcpy(question + k, "._tcp.", 6);
	memcpy(question + k + 6, name, len + 1);
	return resolve_ask(n, tag, "tlsa", question);
}

/* Records count only if DNSSEC says that they are the domain's. */
static void
take(struct host_name *h, char const *name, struct answer *a)
{
	char *v;

	if (!strcmp(a->result, "nodata") || !strcmp(a->result, "nxdomain"))
		return;
	if (strcmp(a->result, "answer")) {
		h->dane = -1;
		return;
	}
	if (!a->secure)
		return;
	h->dane = 1;
	h->tlsa.len = 0;
	while ((v = resolve_value(a)))
		if (!stralloc_catb(&h->tlsa, v, strlen(v) + 1))
			h->dane = -1;
	if (name != h->base)
		memcpy(h->base, h->name, sizeof h->base);
}

static void
round_of(struct resolve *n, struct host_name *h, size_t count,
    unsigned int port, int round)
{
	struct answer a;
	unsigned int tag;
	size_t i, open = 0;
	char const *name;

	for (i = 0; i < count; i++) {
		name = asked(&h[i], round);
		if (!name)
			continue;
		if (ask(n, i, name, port) == 1)
			open++;
		else
			h[i].dane = -1;
	}
	for (; open; open--) {
		if (resolve_answer(n, &a) == -1)
			break;
		if (!uint0_scan(a.tag, &tag) || tag >= count)
			continue;
		name = asked(&h[tag], round);
		if (name) {
			h[tag].answered = 1;
			take(&h[tag], name, &a);
		}
	}
	/* who has no answer may have records */
	for (i = 0; i < count; i++) {
		if (asked(&h[i], round) && !h[i].answered)
			h[i].dane = -1;
		h[i].answered = 0;
	}
}

void
tlsa_find(struct resolve *n, struct host_name *h, size_t count,
    unsigned int port)
{
	round_of(n, h, count, port, 0);
	round_of(n, h, count, port, 1);
}
