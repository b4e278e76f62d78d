#include "queue/orders.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "lib/job.h"
#include "lib/packet.h"

enum {
	WINDOW = 32,		/* orders under way */
	PATIENCE = 30,		/* s: deliveries may take longer */
	TRIES = 500		/* of an order that meets another one's work */
};

static struct {
	uint64_t id;		/* 0: free */
	stralloc packet;
	unsigned int tries;
} under_way[WINDOW];
static size_t count;
static int sock = -1;

int
orders_open(void)
{
	if (sock != -1)
		return 1;
	sock = packet_connect("socket/send/send");
	if (sock == -1)
		return -1;
	return packet_timeout(sock, PATIENCE);
}

int
orders_are_open(void)
{
	return sock != -1;
}

static int
lost(void)
{
	int e = errno;

	close(sock);
	sock = -1;
	errno = e;
	return -1;
}

static int
build(stralloc *out, char kind, uint64_t id, stralloc const *offsets)
{
	out->len = 0;
	return job_put(out, &kind, 1) == 1 && job_number(out, id) == 1 &&
	    (!offsets || stralloc_cat(out, offsets)) ? 1 : -1;
}

/* The next answer.  1; 0 none for PATIENCE seconds; -1. */
static int
hear(char *s, size_t max, size_t *n, size_t *pos, uint64_t *id, uint64_t *err)
{
	int r = packet_recv(sock, s, max, n, 0);

	if (r == -1 && errno == EAGAIN)
		return 0;
	if (r == 0)
		errno = ECONNRESET;
	if (r != 1)
		return lost();
	*pos = 0;
	if (job_field_number(s, *n, pos, id) &&
	    job_field_number(s, *n, pos, err))
		return 1;
	errno = EPROTO;
	return lost();
}

int
orders_ask(char kind, uint64_t id, stralloc *out)
{
	static stralloc packet = STRALLOC_ZERO;
	char s[4096];
	size_t n, pos;
	uint64_t got, err;
	int r;

	if (sock == -1)
		return -1;
	if (build(&packet, kind, id, 0) == -1)
		return -1;
	if (packet_send(sock, packet.s, packet.len, -1) == -1)
		return lost();
	r = hear(s, sizeof s, &n, &pos, &got, &err);
	if (r == 0)
		errno = ETIMEDOUT;
	if (r != 1)
		return lost();
	if (err) {
		errno = err;
		return 0;
	}
	if (!stralloc_copyb(out, s + pos, n - pos)) {
		errno = ENOMEM;
		return -1;
	}
	return 1;
}

static size_t
place(uint64_t id)
{
	size_t i;

	for (i = 0; i < WINDOW && under_way[i].id != id; i++)
		;
	return i;
}

/* All that is under way will be done later. */
static void
leave(orders_told *told, void *ctx)
{
	size_t i;

	for (i = 0; i < WINDOW; i++) {
		if (under_way[i].id)
			told(ctx, under_way[i].id, ETIMEDOUT);
		under_way[i].id = 0;
	}
	count = 0;
}

/* Takes one answer.  1, -1. */
static int
take(orders_told *told, void *ctx)
{
	struct timespec breath = { 0, 20000000 };
	uint64_t id, err;
	size_t n, pos, i;
	char s[4096];
	int r = hear(s, sizeof s, &n, &pos, &id, &err);

	if (r == 0)
		leave(told, ctx);
	if (r != 1)
		return r == 0 ? 1 : -1;
	i = place(id);
	if (!id || i == WINDOW)
		return 1;	/* of one that we left */
	if (err == EBUSY && under_way[i].tries++ < TRIES) {
		nanosleep(&breath, 0);
		return packet_send(sock, under_way[i].packet.s,
		    under_way[i].packet.len, -1) == -1 ? lost() : 1;
	}
	under_way[i].id = 0;
	count--;
	told(ctx, id, err);
	return 1;
}

int
orders_give(char kind, uint64_t id, stralloc const *offsets,
    orders_told *told, void *ctx)
{
	size_t i;

	if (sock == -1)
		return -1;
	while (count == WINDOW)
		if (take(told, ctx) == -1)
			return -1;
	i = place(0);
	if (build(&under_way[i].packet, kind, id, offsets) == -1)
		return -1;
	under_way[i].id = id;
	under_way[i].tries = 0;
	count++;
	return packet_send(sock, under_way[i].packet.s,
	    under_way[i].packet.len, -1) == -1 ? lost() : 1;
}

int
orders_end(orders_told *told, void *ctx)
{
	while (count)
		if (take(told, ctx) == -1)
			return -1;
	return 1;
}

static void
note(void *ctx, uint64_t id, int err)
{
	(void)id;
	*(int *)ctx = err;
}

int
orders_one(char kind, uint64_t id, stralloc const *offsets)
{
	int err = 0;

	return orders_give(kind, id, offsets, note, &err) == -1 ||
	    orders_end(note, &err) == -1 ? -1 : err;
}
