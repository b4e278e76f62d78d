#include "users/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/djbunix.h>

#include "lib/mailbox.h"
#include "lib/vpasswd.h"

enum { MOST = 65536 };		/* bytes of a file */

#define NUMBER(name) { #name, offsetof(struct limits, name) }

static struct {
	char const *key;
	size_t at;
} const numbers[] = {
	NUMBER(maxpopaccounts), NUMBER(maxaliases), NUMBER(maxforwards),
	NUMBER(quota), NUMBER(maxmsgcount),
	NUMBER(default_quota), NUMBER(default_maxmsgcount)
};

static struct {
	char const *key;
	unsigned long flag;
} const flags[] = {
	{ "disable_password_changing", MAILBOX_NOPASSWD },
	{ "disable_pop", MAILBOX_NOPOP },
	{ "disable_webmail", MAILBOX_NOWEBMAIL },
	{ "disable_imap", MAILBOX_NOIMAP },
	{ "disable_external_relay", MAILBOX_NORELAY },
	{ "disable_dialup", MAILBOX_NODIALUP },
	{ "disable_smtp", MAILBOX_NOSMTP },
	{ "disable_spamassassin", MAILBOX_NOSPAMASSASSIN },
	{ "delete_spam", MAILBOX_DELETESPAM },
	{ "disable_maildrop", MAILBOX_NOMAILDROP }
};

unsigned long
limits_flag(char const *key)
{
	size_t i;

	for (i = 0; i < sizeof flags / sizeof *flags; i++)
		if (strcmp(flags[i].key, key) == 0)
			return flags[i].flag;
	return 0;
}

static int
take(struct limits *l, char const *key, char const *value)
{
	unsigned long flag = limits_flag(key);
	long long u;
	char *end;
	size_t i;

	/* the key of a flag alone sets it */
	errno = 0;
	u = *value ? strtoll(value, &end, 10) : 1;
	if (*value && (errno || end == value || *end)) {
		errno = EPROTO;
		return -1;
	}
	if (flag)
		l->flags = u ? l->flags | flag : l->flags & ~flag;
	for (i = 0; *value && i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(numbers[i].key, key) == 0)
			memcpy((char *)l + numbers[i].at, &u, sizeof u);
	return 1;
}

static int
is_known(char const *key)
{
	size_t i;

	for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (strcmp(numbers[i].key, key) == 0)
			return 1;
	return limits_flag(key) != 0;
}

static int
parse(stralloc const *text, struct limits *out)
{
	struct limits l = LIMITS_NONE;
	char const *line;
	char copy[256], *value;
	size_t pos = 0, n;

	while (vpasswd_line(text->s, text->len, &pos, &line, &n)) {
		if (!n || *line == '#' || n >= sizeof copy)
			continue;
		memcpy(copy, line, n);
		copy[n] = 0;
		value = copy + strcspn(copy, ": \t");
		if (*value)
			*value++ = 0;
		value += strspn(value, ": \t");
		value[strcspn(value, " \t\r")] = 0;
		if (is_known(copy) && take(&l, copy, value) == -1)
			return -1;
	}
	*out = l;
	return 1;
}

static int
slurp_small(int fd, stralloc *text)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -1;
	if (!S_ISREG(st.st_mode) || st.st_size > MOST) {
		errno = EFBIG;
		return -1;
	}
	return slurp(text, fd) ? 1 : -1;
}

int
limits_read(int dir, struct limits *out)
{
	int const flag = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	static struct limits const none = LIMITS_NONE;
	stralloc text = STRALLOC_ZERO;
	int e, r, fd = openat(dir, LIMITS_FILE, flag);

	if (fd == -1 && errno == ENOENT)
		fd = open(LIMITS_DEFAULT, flag);
	if (fd == -1) {
		*out = none;
		return errno == ENOENT ? 1 : -1;
	}
	r = slurp_small(fd, &text);
	if (r == 1)
		r = parse(&text, out);
	e = errno;
	close(fd);
	stralloc_free(&text);
	errno = e;
	return r;
}

int
limits_set(stralloc *text, char const *key, char const *value)
{
	stralloc out = STRALLOC_ZERO;
	char const *line;
	size_t pos = 0, n, len = strlen(key);
	int good = 1;

	while (good && vpasswd_line(text->s, text->len, &pos, &line, &n)) {
		if (n >= len && !memcmp(line, key, len) &&
		    (n == len || memchr(": \t", line[len], 3)))
			continue;
		good = stralloc_catb(&out, line, n) &&
		    stralloc_append(&out, '\n');
	}
	good = good && stralloc_cats(&out, key) && stralloc_cats(&out, ": ") &&
	    stralloc_cats(&out, value) && stralloc_append(&out, '\n');
	stralloc_free(text);
	*text = out;
	return good ? 1 : -1;
}

static void
quota(long long bytes, long long count, char *out, size_t n)
{
	*out = 0;
	if (bytes > 0 && count > 0)
		snprintf(out, n, "%lldS,%lldC", bytes, count);
	else if (bytes > 0)
		snprintf(out, n, "%lldS", bytes);
	else if (count > 0)
		snprintf(out, n, "%lldC", count);
}

void
limits_domain_quota(struct limits const *l, char *out, size_t n)
{
	quota(l->quota < 1LL << 40 ? l->quota * 1048576 : 0, l->maxmsgcount,
	    out, n);
}

void
limits_user_quota(struct limits const *l, char *out, size_t n)
{
	quota(l->default_quota, l->default_maxmsgcount, out, n);
}
