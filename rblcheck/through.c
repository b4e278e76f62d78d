#include "rblcheck/through.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/limits.h"
#include "lib/spawn.h"

enum {
	/* RFC 5321 4.5.3.2.6: what a client waits after a message */
	PATIENCE = 600,
	REPLY_LINES = 100,
	/* servers that one client may start */
	STARTS = 10
};

extern char **environ;

/* The whole of a reply of several lines. */
static int
fetch(struct through *t, stralloc *reply)
{
	char const *s;
	unsigned int i;
	size_t n;

	io_deadline(&t->io, PATIENCE);
	reply->len = 0;
	for (i = 0; i < REPLY_LINES; i++) {
		if (io_line(&t->io, &s, &n, LIMIT_COMMAND) != 1 || n < 3)
			return -1;
		if (s[n-1] == '\r')
			n--;
		if (!stralloc_catb(reply, s, n) ||
		    !stralloc_catb(reply, "\r\n", 2))
			return -1;
		if (n < 4 || s[3] != '-')
			return 1;
	}
	return -1;
}

int
through_command(struct through *t, char const *s, size_t n, stralloc *reply)
{
	io_deadline(&t->io, PATIENCE);
	if (io_put(&t->io, s, n) == -1 || io_puts(&t->io, "\r\n") == -1 ||
	    io_flush(&t->io) == -1)
		return -1;
	return fetch(t, reply);
}

static int
start(struct through *t, char const *const *server)
{
	int s[2];
	struct spawn_fd fds[2];

	if (t->starts == STARTS ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == -1)
		return -1;
	t->starts++;
	fds[0].from = fds[1].from = s[1];
	fds[0].to = 0;
	fds[1].to = 1;
	/* set and empty: it may send mail, whoever asks */
	setenv("RBLSMTPD", "", 1);
	t->pid = spawn(server, (char const *const *)environ, fds, 2);
	close(s[1]);
	if (t->pid == -1) {
		t->pid = 0;
		close(s[0]);
		return -1;
	}
	io_init(&t->io, s[0], s[0]);
	return 1;
}

static int
good(stralloc const *reply)
{
	return *reply->s == '2';
}

static int
hello(struct through *t, char const *helo, stralloc *reply)
{
	stralloc line = STRALLOC_ZERO;
	int r = -1;

	if (stralloc_cats(&line, "HELO ") &&
	    stralloc_cats(&line, helo))
		r = through_command(t, line.s, line.len, reply);
	stralloc_free(&line);
	return r;
}

int
through_open(struct through *t, char const *const *server, char const *helo,
    char const *mail, stralloc *reply)
{
	int r;

	if (t->pid)
		return 1;
	t->recipients = 0;
	if (start(t, server) == -1)
		return -1;
	r = fetch(t, reply);
	if (r == 1 && good(reply))
		r = hello(t, helo, reply);
	if (r == 1 && good(reply))
		r = through_command(t, mail, strlen(mail), reply);
	if (r == 1 && good(reply))
		return 1;
	through_close(t);
	return r == 1 ? 0 : -1;
}

/* Where in CRLF.CRLF the copy is; it starts behind a CRLF.  Only that ends a
 * message: see SMTP smuggling in the manual. */
static unsigned int
progress(unsigned int seen, char c)
{
	static char const end[] = "\r\n.\r\n";

	if (c == end[seen])
		return seen + 1;
	return c == '\r' ? 1 : 0;
}

int
through_message(struct through *t, io *client, stralloc *reply)
{
	unsigned int seen = 2;
	size_t n;
	int r;

	io_deadline(client, PATIENCE);
	while (seen < 5) {
		r = io_fill(client);
		if (r != 1)
			return 0;
		for (n = client->head; n < client->tail && seen < 5; n++)
			seen = progress(seen, client->in_buf[n]);
		io_deadline(&t->io, PATIENCE);
		if (io_put(&t->io, client->in_buf + client->head,
		    n - client->head) == -1)
			return -1;
		client->head = n;
	}
	if (io_flush(&t->io) == -1)
		return -1;
	return fetch(t, reply);
}

void
through_close(struct through *t)
{
	if (!t->pid)
		return;
	/* the end of its input: a message that is not whole is not queued.
	 * It may take its time to leave; nobody waits for that. */
	close(t->io.in);
	t->pid = 0;
}
