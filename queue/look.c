#include "queue/look.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/smtpaddress.h"
#include "queue/listing.h"

static int queue = -1, home = -1;

int
look_start(void)
{
	home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	queue = open("queue", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return home == -1 || queue == -1 ? -1 : 1;
}

int
look_queue(void)
{
	return queue;
}

int
look_seconds(char const *s, uint64_t *out)
{
	uint64_t u;
	size_t n = uint64_scan(s, &u);

	if (!n || u > UINT32_MAX || (s[n] && s[n + 1]))
		return 0;
	switch (s[n]) {
	case 'd':
		u *= 24;
		/* fall through */
	case 'h':
		u *= 60;
		/* fall through */
	case 'm':
		u *= 60;
		/* fall through */
	case 's':
	case 0:
		*out = u;
		return 1;
	default:
		return 0;
	}
}

static int
add_id(struct choice *c, char const *s, size_t n)
{
	uint64_t id;

	return msgfile_id(s, n, &id) == 1 &&
	    genalloc_append(uint64_t, &c->ids, &id);
}

/* Ids at the beginning of lines: what import, list and others print. */
static int
read_ids(struct choice *c)
{
	char line[1024];

	while (fgets(line, sizeof line, stdin)) {
		size_t n = strcspn(line, " \t:\n");

		if (n && !add_id(c, line, n))
			return 0;
	}
	return !ferror(stdin);
}

static char const *
value_of(char const *word, char const *name)
{
	size_t n = strlen(name);

	return strncmp(word, name, n) == 0 ? word + n : 0;
}

int
look_word(struct choice *c, char const *word)
{
	char const *v;

	if (strcmp(word, "all") == 0)
		c->all = 1;
	else if (strcmp(word, "held") == 0)
		c->held = 1;
	else if (strcmp(word, "-") == 0)
		return read_ids(c);
	else if ((v = value_of(word, "from=")))
		c->from = v;
	else if ((v = value_of(word, "to=")))
		c->to = v;
	else if ((v = value_of(word, "domain=")))
		c->domain = v;
	else if ((v = value_of(word, "reason=")))
		c->reason = v;
	else if ((v = value_of(word, "older=")))
		return look_seconds(v, &c->older);
	else if ((v = value_of(word, "newer=")))
		return look_seconds(v, &c->newer);
	else
		return add_id(c, word, strlen(word));
	return 1;
}

int
look_chosen(struct choice const *c)
{
	return c->all || c->ids.len || c->from || c->to || c->domain ||
	    c->older || c->newer || c->held || c->reason;
}

int
look_ids(struct choice const *c, genalloc *ids, char const **dir)
{
	int r;

	if (c->ids.len)
		return genalloc_copy(uint64_t, ids, &c->ids) ? 1 : -1;
	*dir = "queue";
	if (fchdir(queue) == -1)
		return -1;
	r = listing_read(ids, dir);
	return fchdir(home) == -1 ? -1 : r;
}

static void
take_apart(struct look *l)
{
	size_t pos = 0, n;
	char const *value;
	char letter;

	l->sender = "";
	l->recipients = 0;
	l->held = 0;
	while (msgfile_next(&l->env, &pos, &letter, &value, &n)) {
		if (letter == 'F')
			l->sender = value;
		if (letter == 'h')
			l->held = *value == 'H';
		l->recipients += letter == 'T';
	}
}

int
look_at(struct look *l, uint64_t id, char const **why)
{
	char path[MSGFILE_PATH];
	int r;

	l->id = id;
	*why = 0;
	msgfile_path(path, id);
	l->fd = openat(queue, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK);
	if (l->fd == -1)
		return errno == ENOENT ? 0 : -1;
	r = msgfile_read(l->fd, &l->file, &l->env, why);
	if (r == 1)
		take_apart(l);
	else
		look_done(l);
	return r;
}

void
look_done(struct look *l)
{
	int e = errno;

	if (l->fd != -1)
		close(l->fd);
	l->fd = -1;
	errno = e;
}

char const *
look_recipient(struct look const *l, size_t *pos, size_t *at)
{
	char const *value;
	char letter;
	size_t n;

	for (*at = *pos; msgfile_next(&l->env, pos, &letter, &value, &n);
	    *at = *pos)
		if (letter == 'T')
			return value;
	return 0;
}

static int
fits(char const *pattern, char const *s)
{
	return !pattern || fnmatch(pattern, s, FNM_CASEFOLD) == 0;
}

int
look_fits_recipient(struct choice const *c, char const *address)
{
	size_t n = strlen(address), at = smtpaddress_at(address, n);

	return fits(c->to, address) &&
	    fits(c->domain, address + at + (at < n));
}

int
look_fits(struct choice const *c, struct look const *l)
{
	uint64_t now = time(0), birth = l->file.birth / 1000000;
	uint64_t age = now > birth ? now - birth : 0;
	size_t pos = 0, at;
	char const *to;

	if (!fits(c->from, l->sender) || (c->held && !l->held) ||
	    (c->older && age < c->older) || (c->newer && age >= c->newer))
		return 0;
	if (!c->to && !c->domain)
		return 1;
	while ((to = look_recipient(l, &pos, &at)))
		if (look_fits_recipient(c, to))
			return 1;
	return 0;
}
