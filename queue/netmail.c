#include "queue/netmail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/date822.h"
#include "lib/limits.h"
#include "lib/log.h"
#include "lib/message.h"

int
netmail_limit(uint64_t *max)
{
	char const *s = getenv("DATABYTES");
	unsigned int u = 0;

	*max = 0;
	if (s) {
		if (uint640_scan(s, max))
			return 1;
		errno = EINVAL;
		return -1;
	}
	if (control_uint("control/databytes", &u) == -1)
		return -1;
	*max = u;
	return 1;
}

void
netmail_refuse(struct netmail *m, char const *why)
{
	if (!m->refused)
		m->refused = why;
}

static int
put_env(stralloc *out, char const *name, char const *otherwise)
{
	char const *s = getenv(name);

	if (!s || !*s)
		s = otherwise;
	return message_safe(out, s, strnlen(s, LOG_VALUE));
}

/* "Received: from host (ip)\n  by us with QMQP; date\n" */
static int
received(stralloc *out, char const *protocol)
{
	char date[DATE822_LEN];
	size_t n = date822(date, time(0));

	return stralloc_cats(out, "Received: from ") &&
	    put_env(out, "TCPREMOTEHOST", "unknown") == 1 &&
	    stralloc_cats(out, " (") &&
	    put_env(out, "TCPREMOTEIP", "unknown") == 1 &&
	    stralloc_cats(out, ")\n  by ") &&
	    put_env(out, "TCPLOCALHOST", "unknown") == 1 &&
	    stralloc_cats(out, " with ") && stralloc_cats(out, protocol) &&
	    stralloc_cats(out, "; ") && stralloc_catb(out, date, n) &&
	    stralloc_cats(out, "\n");
}

void
netmail_begin(struct netmail *m, char const *protocol)
{
	stralloc head = STRALLOC_ZERO;

	m->refused = 0;
	m->bytes = 0;
	m->recipients = 0;
	m->envelope.len = 0;
	m->open = enqueue_open(&m->q) == 1;
	if (!received(&head, protocol))
		netmail_refuse(m, "Zout of memory (#4.3.0)");
	else if (m->open)
		enqueue_put(&m->q, head.s, head.len);
	stralloc_free(&head);
}

void
netmail_put(struct netmail *m, char const *s, size_t n)
{
	m->bytes += n;
	if (m->max && m->bytes > m->max)
		netmail_refuse(m, "Dsorry, that message size exceeds my "
		    "databytes limit (#5.3.4)");
	if (m->open && !m->refused)
		enqueue_put(&m->q, s, n);
}

static int
address(struct netmail *m, char letter, char const *s, size_t n)
{
	if (n > LIMIT_ADDRESS || memchr(s, 0, n)) {
		netmail_refuse(m, "Daddress is too long, or no address "
		    "(#5.1.3)");
		return 0;
	}
	if (m->envelope.len + n + 2 > LIMIT_ENVELOPE) {
		netmail_refuse(m, "Dtoo many recipients (#5.5.3)");
		return 0;
	}
	if (!stralloc_catb(&m->envelope, &letter, 1) ||
	    !stralloc_catb(&m->envelope, s, n) || !stralloc_0(&m->envelope)) {
		netmail_refuse(m, "Zout of memory (#4.3.0)");
		return 0;
	}
	return 1;
}

int
netmail_sender(struct netmail *m, char const *s, size_t n)
{
	return address(m, 'F', s, n);
}

int
netmail_recipient(struct netmail *m, char const *s, size_t n)
{
	if (!address(m, 'T', s, n))
		return 0;
	m->recipients++;
	return 1;
}

static void
log_it(struct netmail const *m, char const *verdict)
{
	char const *ip = getenv("TCPREMOTEIP");

	log_start("info", *verdict == 'K' ? "accepted" : "refused");
	if (ip)
		log_string("ip", ip);
	if (m->envelope.len)
		log_path("from", m->envelope.s + 1,
		    strlen(m->envelope.s + 1));
	log_number("recipients", m->recipients);
	log_number("size", m->bytes);
	if (*verdict != 'K')
		log_string("reason", verdict + 1);
	log_end();
}

/* "451 text" becomes "Ztext". */
static char const *
failed(struct netmail *m)
{
	char const *s = enqueue_reply(&m->q);

	snprintf(m->text, sizeof m->text, "%c%.250s", *s == '5' ? 'D' : 'Z',
	    strlen(s) > 4 ? s + 4 : "");
	return m->text;
}

static char const *
queue_it(struct netmail *m)
{
	if (enqueue_close(&m->q, &m->envelope) != QUEUE_OK)
		return failed(m);
	snprintf(m->text, sizeof m->text, "Kok %llu qp %lu",
	    (unsigned long long)time(0), (unsigned long)m->q.pid);
	return m->text;
}

char const *
netmail_end(struct netmail *m)
{
	char const *verdict;

	if (!m->refused && !m->recipients)
		netmail_refuse(m, "Dno recipient (#5.5.4)");
	if (m->open && m->refused)
		enqueue_abort(&m->q);
	if (m->refused)
		verdict = m->refused;
	else if (!m->open)
		verdict = failed(m);
	else
		verdict = queue_it(m);
	m->open = 0;
	log_it(m, verdict);
	return verdict;
}

void
netmail_drop(struct netmail *m)
{
	if (m->open)
		enqueue_abort(&m->q);
	m->open = 0;
}
