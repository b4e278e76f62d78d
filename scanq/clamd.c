#include "scanq/clamd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/types.h>

enum { CHUNK = 65536 };		/* of a stream; what clamd reads at once */

int
clamd_servers(struct clamd *c, stralloc const *list, char const **bad)
{
	size_t i;

	memset(c, 0, sizeof *c);
	c->version_fd = -1;
	c->version_of = CLAMD_SERVERS;
	for (i = 0; i < list->len; i += strlen(list->s + i) + 1) {
		*bad = list->s + i;
		if (c->servers == CLAMD_SERVERS ||
		    !talk_server(&c->server[c->servers].at, list->s + i))
			return 0;
		c->servers++;
	}
	return 1;
}

static int
send_stream(struct clamd *c, int fd, char const *data, size_t n)
{
	char head[4];
	size_t k;

	if (!talk_send(&c->talk, fd, "zINSTREAM", 10, -1))
		return 0;
	while (n) {
		k = n < CHUNK ? n : CHUNK;
		uint32_pack_big(head, (uint32_t)k);
		if (!talk_send(&c->talk, fd, head, 4, -1) ||
		    !talk_send(&c->talk, fd, data, k, -1))
			return 0;
		data += k;
		n -= k;
	}
	memset(head, 0, 4);
	return talk_send(&c->talk, fd, head, 4, -1);
}

static int
keep_name(stralloc *name, char const *s, size_t n)
{
	size_t i;

	if (!stralloc_copyb(name, s, n < 200 ? n : 200))
		return -1;
	for (i = 0; i < name->len; i++)
		if (name->s[i] <= 32 || name->s[i] > 126)
			name->s[i] = '?';
	return 1;
}

static void
ask_version(struct clamd *c)
{
	if (c->version_fd != -1)
		close(c->version_fd);
	c->version_of = c->current;
	c->version_fd = talk_dial(&c->talk, &c->server[c->current].at);
	if (c->version_fd != -1 &&
	    !talk_send(&c->talk, c->version_fd, "zVERSION", 9, -1)) {
		close(c->version_fd);
		c->version_fd = -1;
	}
}

/* One question over one connection. */
static enum clamd_verdict
ask(struct clamd *c, struct clamd_server *s, int pass, char const *data,
    size_t n, stralloc *name)
{
	enum clamd_verdict v = CLAMD_UNKNOWN;
	char answer[CLAMD_REPLY];
	char const *found;
	size_t len;
	ssize_t got;
	int fd = talk_dial(&c->talk, &s->at), sent;

	if (fd == -1)
		return v;
	/* the byte behind the command is the one that carries it */
	sent = pass != -1 ? talk_send(&c->talk, fd, "zFILDES\0", 9, pass) :
	    send_stream(c, fd, data, n);
	if (!sent)
		talk_trouble(&c->talk, "unable to send", errno);
	else if (c->version_of != c->current)
		ask_version(c);		/* while it scans */
	if (sent || errno == EPIPE || errno == ECONNRESET) {
		got = talk_hear(&c->talk, fd, answer, sizeof answer);
		if (got == -1) {
			talk_trouble(&c->talk, "no answer", errno);
		} else {
			v = clamdreply(answer, (size_t)got, pass != -1,
			    &found, &len);
			/* a verdict on a part of it is none */
			if (v == CLAMD_CLEAN && !sent)
				v = CLAMD_UNKNOWN;
			if (v == CLAMD_UNKNOWN)
				talk_misunderstood(&c->talk, answer,
				    (size_t)got);
		}
	}
	if (v == CLAMD_FOUND && keep_name(name, found, len) == -1) {
		talk_trouble(&c->talk, "out of memory", errno);
		v = CLAMD_UNKNOWN;
	}
	close(fd);
	return v;
}

static enum clamd_verdict
ask_server(struct clamd *c, struct clamd_server *s, int fd,
    char const *data, size_t n, stralloc *name)
{
	enum clamd_verdict v;

	if (s->at.path && fd != -1 && !s->no_fildes) {
		v = ask(c, s, fd, data, n, name);
		/* AppArmor, a list of allowed commands: it did answer */
		if (v != CLAMD_UNKNOWN || c->talk.error)
			return v;
		s->no_fildes = 1;
	}
	return ask(c, s, -1, data, n, name);
}

enum clamd_verdict
clamd_scan(struct clamd *c, int fd, char const *data, size_t n,
    stralloc *name)
{
	enum clamd_verdict v = CLAMD_UNKNOWN;

	c->talk.answer[0] = 0;
	talk_trouble(&c->talk, "no server", 0);
	if (fd != -1 && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
		fd = -1;
	/* one that has failed is not asked again for this message */
	for (; c->current < c->servers; c->current++) {
		if (!talk_milliseconds(&c->talk)) {
			talk_trouble(&c->talk, "out of time", ETIMEDOUT);
			break;
		}
		v = ask_server(c, c->server + c->current, fd, data, n, name);
		if (v != CLAMD_UNKNOWN)
			break;
	}
	return v;
}

int
clamd_version(struct clamd *c, stralloc *out)
{
	char answer[CLAMD_REPLY];
	ssize_t n;
	size_t i;

	if (c->current >= c->servers)
		return 0;
	if (c->version_of != c->current)
		ask_version(c);
	if (c->version_fd == -1)
		return 0;
	n = talk_hear(&c->talk, c->version_fd, answer, sizeof answer);
	close(c->version_fd);
	c->version_fd = -1;
	if (n < 8 || memcmp(answer, "ClamAV ", 7) ||
	    memchr(answer, 0, (size_t)n) != answer + n - 1)
		return 0;
	for (i = 0; i < (size_t)n - 1; i++)
		if (answer[i] < 32 || answer[i] > 126)
			answer[i] = '?';
	return stralloc_copyb(out, answer, n < 120 ? (size_t)n - 1 : 120) &&
	    stralloc_0(out);
}
