#include "remote/settings.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/smtpaddress.h"

enum {
	CONNECT = 60, PATIENCE = 1200,	/* qmail-remote's */
	MESSAGES = 100, SECONDS = 300	/* RFC 5321 4.5.3.2: 5 min are usual */
};

static int
number(char const *file, unsigned int value, unsigned int *out,
    char const **culprit)
{
	int r = control_uint(file, &value);

	*culprit = file;
	if (r == -1)
		return -1;
	*out = value ? value : 1;
	return 1;
}

static int
list(char const *file, stralloc *out, char const **culprit)
{
	stralloc new = STRALLOC_ZERO;
	int r = control_list(file, &new);

	*culprit = file;
	if (r == -1)
		return -1;
	stralloc_free(out);
	*out = new;
	return 1;
}

/* "messages [seconds]" */
static int
reuse(struct settings *s, char const **culprit)
{
	stralloc line = STRALLOC_ZERO;
	int r = control_line("control/remotereuse", &line);
	size_t n;

	*culprit = "control/remotereuse";
	s->messages = MESSAGES;
	s->seconds = SECONDS;
	if (r == 1 && stralloc_0(&line)) {
		n = uint_scan(line.s, &s->messages);
		r = n ? 1 : -1;
		n += strspn(line.s + n, " \t");
		if (r == 1 && line.s[n] && !uint0_scan(line.s + n, &s->seconds))
			r = -1;
		if (r == -1)
			errno = EINVAL;
	}
	stralloc_free(&line);
	return r == -1 ? -1 : 1;
}

static int
helo(struct settings *s, char const **culprit)
{
	int r;

	*culprit = "control/me";
	s->helo.len = 0;
	r = control_line_or_me("control/helohost", &s->helo);
	if (r == 1)
		r = stralloc_0(&s->helo) ? 1 : -1;
	/* a blank or worse would make another command of it */
	if (r == 1 && strpbrk(s->helo.s, " \t\r\n")) {
		errno = EINVAL;
		r = -1;
	}
	return r;
}

int
settings_read(struct settings *s, uint64_t now, char const **file)
{
	int r;

	if (s->read_at && s->read_at == now)
		return 1;
	s->read_at = 0;
	s->mtasts = 0;
	*file = "control/mtasts";
	if (control_uint(*file, &s->mtasts) == -1)
		return -1;
	r = helo(s, file);
	if (r != 1)
		return r;
	if (list("control/smtproutes", &s->smtproutes, file) == -1 ||
	    list("control/authsenders", &s->authsenders, file) == -1 ||
	    list("control/outgoingip", &s->outgoingip, file) == -1 ||
	    list("control/moreipme", &s->moreipme, file) == -1 ||
	    list("control/notipme", &s->notipme, file) == -1 ||
	    number("control/timeoutconnect", CONNECT, &s->connect, file) == -1
	    || number("control/timeoutremote", PATIENCE, &s->patience, file)
	    == -1 || reuse(s, file) == -1)
		return -1;
	s->read_at = now;
	return 1;
}

static int
within(char const *entry, struct ipaddr const *a)
{
	size_t n = strcspn(entry, "/");
	struct ipaddr net;
	unsigned int bits, most;

	if (!ipaddr_scan(entry, n, &net))
		return 0;
	bits = most = ipaddr_is4(&net) ? 32 : 128;
	if (entry[n] && (!uint0_scan(entry + n + 1, &bits) || bits > most))
		return 0;
	return ipaddr_within(a, &net, bits);
}

int
settings_has(stralloc const *l, struct ipaddr const *a)
{
	size_t i;

	for (i = 0; i < l->len; i += strlen(l->s + i) + 1)
		if (within(l->s + i, a))
			return 1;
	return 0;
}

/* The address of a line "domain:address"; a line without a domain is for all,
 * and so is one with an empty domain.  How well it fits: 0, 1, 2.
 */
static int
fits(char const *line, char const *domain, struct ipaddr *a)
{
	size_t n = strlen(line), key;

	if (ipaddr_scan(line, n, a))
		return 1;
	key = strcspn(line, ":");
	if (key == n || !ipaddr_scan(line + key + 1, n - key - 1, a))
		return 0;
	if (!key)
		return 1;
	return strlen(domain) == key && !strncasecmp(line, domain, key) ?
	    2 : 0;
}

int
settings_outgoing(struct settings const *s, char const *sender, int four,
    struct ipaddr *out)
{
	static struct ipaddr const any4 = { { [10] = 0xff, [11] = 0xff } };
	static struct ipaddr const any6 = { { 0 } };
	size_t n = strlen(sender), at = smtpaddress_at(sender, n), i;
	int best = 0;

	for (i = 0; i < s->outgoingip.len;
	    i += strlen(s->outgoingip.s + i) + 1) {
		struct ipaddr a;
		int fit = fits(s->outgoingip.s + i, at < n ? sender + at + 1 :
		    "", &a);

		if (fit > best && ipaddr_is4(&a) == !!four) {
			best = fit;
			*out = a;
		}
	}
	return best && memcmp(out, &any4, sizeof any4) &&
	    memcmp(out, &any6, sizeof any6);
}
