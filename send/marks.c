#include "send/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/packet.h"

enum { UNDER_WAY = 64 };	/* requests sent ahead of their answers */

static void
append(struct mark_list *l, struct mark *k)
{
	k->next = 0;
	*l->tail = k;
	l->tail = &k->next;
}

static struct mark *
take(struct mark_list *l)
{
	struct mark *k = l->head;

	l->head = k->next;
	if (!l->head)
		l->tail = &l->head;
	return k;
}

/* All of from, in front of to. */
static void
prepend(struct mark_list *to, struct mark_list *from)
{
	if (!from->head)
		return;
	*from->tail = to->head;
	if (!to->head)
		to->tail = from->tail;
	to->head = from->head;
	from->head = 0;
	from->tail = &from->head;
}

void
marks_init(struct marks *m)
{
	m->sock = -1;
	m->pending = m->asked_n = 0;
	m->todo.head = m->asked.head = m->failed.head = 0;
	m->todo.tail = &m->todo.head;
	m->asked.tail = &m->asked.head;
	m->failed.tail = &m->failed.head;
}

int
marks_ask(struct marks *m, char kind, uint32_t message, uint64_t id,
    char const *rest, size_t n, uint64_t ticket)
{
	struct mark *k = malloc(sizeof *k + 3 + UINT64_FMT + n);

	if (!k)
		return -1;
	k->message = message;
	k->id = id;
	k->kind = kind;
	k->ticket = ticket;
	k->packet[0] = kind;
	k->packet[1] = ' ';
	k->n = 2 + uint64_fmt(k->packet + 2, id);
	k->packet[k->n++] = 0;
	if (n)
		memcpy(k->packet + k->n, rest, n);
	k->n += n;
	append(&m->todo, k);
	m->pending++;
	return 1;
}

static int
away(struct marks *m)
{
	int e = errno;

	if (m->sock != -1)
		close(m->sock);
	m->sock = -1;
	prepend(&m->todo, &m->asked);
	m->asked_n = 0;
	errno = e;
	return -1;
}

static int
connect_queued(struct marks *m)
{
	m->sock = packet_connect("socket/queue/queued");
	if (m->sock == -1)
		return -1;
	return fcntl(m->sock, F_SETFL, O_NONBLOCK) == -1 ? away(m) : 1;
}

int
marks_send(struct marks *m)
{
	if (!m->todo.head)
		return 1;
	if (m->sock == -1 && connect_queued(m) == -1)
		return -1;
	while (m->todo.head && m->asked_n < UNDER_WAY) {
		struct mark *k = m->todo.head;

		if (packet_send(m->sock, k->packet, k->n, -1) == -1)
			return errno == EAGAIN ? 0 : away(m);
		append(&m->asked, take(&m->todo));
		m->asked_n++;
	}
	return 1;
}

/* "+", or "-" and an errno. */
static int
understand(char *s, size_t n, int *err)
{
	unsigned int e;

	if (n == 1 && *s == '+') {
		*err = 0;
		return 1;
	}
	if (n < 2 || n > 8 || *s != '-')
		return 0;
	s[n] = 0;
	if (!uint0_scan(s + 1, &e))
		return 0;
	*err = e ? (int)e : EIO;
	return 1;
}

int
marks_answer(struct marks *m, struct mark **out, int *err)
{
	char s[16];
	size_t n = 0;
	int r;

	if (m->sock == -1)
		return 0;
	r = packet_recv(m->sock, s, sizeof s - 1, &n, 0);
	if (r == -1 && errno == EAGAIN)
		return 0;
	if (r == 1 && n && s[n - 1] == 0)
		n--;
	if (r != 1 || !m->asked.head || !understand(s, n, err)) {
		if (r == 0)
			errno = ECONNRESET;
		else if (r == 1)
			errno = EPROTO;
		return away(m);
	}
	*out = take(&m->asked);
	m->asked_n--;
	m->pending--;
	return 1;
}

void
marks_later(struct marks *m, struct mark *k)
{
	append(&m->failed, k);
	m->pending++;
}

void
marks_again(struct marks *m)
{
	prepend(&m->todo, &m->failed);
}

int
marks_idle(struct marks const *m)
{
	return !m->todo.head && !m->asked.head;
}
