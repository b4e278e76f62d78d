#include "scanq/spamd.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/control.h"

enum {
	LIMIT = 500000,		/* spamc's */
	SECONDS = 30,
	REPLY = 4096
};

/* 1; 0 no score; -1. */
static int
read_score(char const *file, long *out)
{
	stralloc v = STRALLOC_ZERO;
	int r = control_line(file, &v);

	*out = LONG_MAX;
	if (r != -1)
		r = r == 0 || spamdreply_score(v.s, v.len, out);
	stralloc_free(&v);
	return r;
}

int
spamd_settings(struct spamd *s, char const **why)
{
	struct talk_server server;
	size_t i;
	int r = control_list("control/spamd", &s->list);

	*why = "control/spamd: not a path or address:port";
	if (r == -1)
		return -1;
	for (i = 0; i < s->list.len; i += strlen(s->list.s + i) + 1)
		if (!talk_server(&server, s->list.s + i))
			return 0;
	s->state = s->list.len ? SPAMD_NOT_ASKED : SPAMD_OFF;
	if (s->state == SPAMD_OFF)
		return 1;
	*why = "control/spamquarantine or spamrefuse: not a score";
	r = read_score("control/spamquarantine", &s->quarantine);
	if (r == 1)
		r = read_score("control/spamrefuse", &s->refuse);
	if (r != 1)
		return r;
	*why = "control/spamlimit or spamtimeout";
	s->limit = LIMIT;
	s->seconds = SECONDS;
	return control_uint("control/spamlimit", &s->limit) == -1 ||
	    control_uint("control/spamtimeout", &s->seconds) == -1 ? -1 : 1;
}

/* One question over one connection.  1, 0. */
static int
ask(struct spamd *s, int fd, char const *data, size_t n)
{
	char head[80], answer[REPLY];
	int k = snprintf(head, sizeof head,
	    "CHECK SPAMC/1.5\r\nContent-length: %zu\r\n\r\n", n);
	ssize_t got;

	if (!talk_send(&s->talk, fd, head, (size_t)k, -1) ||
	    !talk_send(&s->talk, fd, data, n, -1) ||
	    shutdown(fd, SHUT_WR) == -1) {
		talk_trouble(&s->talk, "unable to send", errno);
		return 0;
	}
	got = talk_hear(&s->talk, fd, answer, sizeof answer);
	if (got == -1) {
		talk_trouble(&s->talk, "no answer", errno);
		return 0;
	}
	if (spamdreply(answer, (size_t)got, &s->reply))
		return 1;
	talk_misunderstood(&s->talk, answer, (size_t)got);
	return 0;
}

void
spamd_check(struct spamd *s, char const *data, size_t n)
{
	struct talk_server server;
	size_t i;
	int fd;

	if (n > s->limit) {
		s->state = SPAMD_TOO_LARGE;
		return;
	}
	s->state = SPAMD_FAILED;
	talk_deadline(&s->talk, s->seconds);
	for (i = 0; i < s->list.len && s->state == SPAMD_FAILED;
	    i += strlen(s->list.s + i) + 1) {
		talk_server(&server, s->list.s + i);
		fd = talk_dial(&s->talk, &server);
		if (fd == -1)
			continue;
		if (ask(s, fd, data, n))
			s->state = SPAMD_ASKED;
		close(fd);
	}
}

size_t
spamd_format(char text[24], long score)
{
	long v = score < 0 ? -score : score;
	int n = snprintf(text, 24, "%s%ld.%02ld", score < 0 ? "-" : "",
	    v / 100, v % 100);

	return text[n - 1] == '0' ? (size_t)n - 1 : (size_t)n;
}
