#include "scanq/leaves.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>

static struct leaf *
find(struct leaves *l, uint32_t part, unsigned int alt)
{
	size_t i;

	for (i = 0; i < LEAVES_OPEN; i++)
		if (l->leaf[i].open && l->leaf[i].part == part &&
		    l->leaf[i].alt == alt)
			return l->leaf + i;
	return 0;
}

static void
begin(struct leaves *l, struct walk_event const *e)
{
	struct leaf *f;
	size_t i;

	for (i = 0; i < LEAVES_OPEN && l->leaf[i].open; i++)
		;
	if (i == LEAVES_OPEN || find(l, e->part, e->alt)) {
		l->error = EPROTO;	/* the walker keeps to its limits */
		return;
	}
	f = l->leaf + i;
	f->open = 1;
	f->part = e->part;
	f->alt = e->alt;
	f->encoding = e->code;
	f->text = l->text && l->part == e->part;
	f->head.len = 0;
	f->fd = -1;
	f->size = 0;
	if (l->hashes)
		sha256_init(&f->hash);
}

static int
to_file(struct leaf *f)
{
	f->fd = memfd_create("leaf", MFD_CLOEXEC);
	return f->fd != -1 &&
	    allwrite(f->fd, f->head.s, f->head.len) == f->head.len;
}

static void
data(struct leaves *l, struct walk_event const *e)
{
	struct leaf *f = find(l, e->part, e->alt);
	int good = 1;

	if (!f) {
		l->error = EPROTO;
		return;
	}
	f->size += e->n;
	if (l->hashes)
		sha256_update(&f->hash, e->s, e->n);
	if (f->fd == -1 && f->head.len + e->n > LEAVES_MEMORY)
		good = to_file(f);
	if (good && f->fd == -1)
		good = stralloc_catb(&f->head, e->s, e->n);
	else if (good)
		good = allwrite(f->fd, e->s, e->n) == e->n;
	if (!good)
		l->error = errno;
}

static void
end(struct leaves *l, struct walk_event const *e)
{
	struct leaf *f = find(l, e->part, e->alt);

	if (!f) {
		l->error = EPROTO;
		return;
	}
	if (!l->error)
		l->take(l->ctx, f, e->code);
	if (f->fd != -1)
		close(f->fd);
	f->open = 0;
}

void
leaves_event(struct leaves *l, struct walk_event const *e)
{
	switch (e->type) {
	case WALK_PART:
		l->part = e->part;
		/* RFC 2045 5.2: plain text where nothing is declared */
		l->text = !e->n ||
		    (e->n >= 5 && !memcmp(e->s, "text/", 5));
		break;
	case WALK_LEAF: begin(l, e); break;
	case WALK_DATA: data(l, e); break;
	case WALK_END: end(l, e); break;
	default: break;
	}
}

void
leaves_hash(struct leaf const *l, char out[65])
{
	static char const hex[] = "0123456789abcdef";
	SHA256Schedule h = l->hash;
	char sum[32];
	size_t i;

	sha256_final(&h, sum);
	for (i = 0; i < 32; i++) {
		out[2 * i] = hex[(unsigned char)sum[i] >> 4];
		out[2 * i + 1] = hex[sum[i] & 15];
	}
	out[64] = 0;
}
