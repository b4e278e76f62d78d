#include "users/usage.h"

#include <string.h>
#include <strings.h>

#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/smtpaddress.h"

enum { DAY = 86400, NUMBERS = 4 };

struct count {
	uint32_t messages, recipients;
};

/* A slot's number modulo USAGE_DAY is its place; those after "last" and a day
 * before it are empty. */
struct entry {
	char name[USAGE_NAME + 1];	/* "": free */
	uint64_t last;			/* number of the newest slot */
	uint64_t told;			/* when usage_first_time said so */
	struct count count[USAGE_DAY];
};

static struct entry table[USAGE_USERS];

int
usage_name_ok(char const *user, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if ((unsigned char)user[i] <= 32 || user[i] == 127)
			return 0;
	return n && n <= USAGE_NAME;
}

/* Of that name; or, for somebody new, a free one, or the one that was silent
 * for longest. */
static struct entry *
find(char const *user, size_t n, struct entry **room)
{
	struct entry *best = table;
	unsigned int i;

	for (i = 0; i < USAGE_USERS; i++) {
		struct entry *e = table + i;

		if (!strncmp(e->name, user, n) && !e->name[n])
			return e;
		if (*best->name && (!*e->name || e->last < best->last))
			best = e;
		/* they fill up from the start */
		if (!*e->name && !*best->name)
			break;
	}
	if (room)
		*room = best;
	return 0;
}

/* Empties the slots that time has passed over.  A clock that has gone back
 * stands still here until it has caught up. */
static void
advance(struct entry *e, uint64_t slot)
{
	uint64_t i;

	if (slot <= e->last)
		return;
	if (slot - e->last >= USAGE_DAY)
		memset(e->count, 0, sizeof e->count);
	else
		for (i = e->last + 1; i <= slot; i++)
			memset(e->count + i % USAGE_DAY, 0, sizeof *e->count);
	e->last = slot;
}

static void
sum(struct entry const *e, struct usage *out)
{
	unsigned int i;

	memset(out, 0, sizeof *out);
	for (i = 0; i < USAGE_DAY; i++) {
		struct count const *c = e->count +
		    (e->last + USAGE_DAY - i) % USAGE_DAY;

		out->messages_day += c->messages;
		out->recipients_day += c->recipients;
		if (i + 1 == USAGE_HOUR) {
			out->messages_hour = out->messages_day;
			out->recipients_hour = out->recipients_day;
		}
	}
}

static int
beyond(uint32_t have, uint32_t more, uint32_t most)
{
	return most != (uint32_t)USAGE_UNLIMITED &&
	    (have > most || more > most - have);
}

int
usage_add(char const *user, size_t n, uint32_t count,
    struct usage const *most, uint64_t now, char const **why, int *recipients)
{
	struct entry *room = 0, *e = find(user, n, &room);
	uint64_t slot = now / USAGE_SLOT;
	struct usage have;

	if (!e) {
		e = room;
		memset(e, 0, sizeof *e);
		memcpy(e->name, user, n);
	}
	advance(e, slot);
	sum(e, &have);
	*recipients = 0;
	if (beyond(have.messages_hour, 1, most->messages_hour))
		*why = "too many messages within an hour";
	else if (beyond(have.messages_day, 1, most->messages_day))
		*why = "too many messages within a day";
	else {
		*recipients = 1;
		if (beyond(have.recipients_hour, count, most->recipients_hour))
			*why = "too many recipients within an hour";
		else if (beyond(have.recipients_day, count,
		    most->recipients_day))
			*why = "too many recipients within a day";
		else {
			e->count[e->last % USAGE_DAY].messages++;
			e->count[e->last % USAGE_DAY].recipients += count;
			return 1;
		}
	}
	return 0;
}

int
usage_first_time(char const *user, size_t n, uint64_t now)
{
	struct entry *e = find(user, n, 0);

	if (!e || (e->told && now < e->told + DAY))
		return 0;
	e->told = now;
	return 1;
}

int
usage_clear(char const *user, size_t n)
{
	struct entry *e = n ? find(user, n, 0) : 0;

	if (!e)
		return 0;
	/* the name stays, so that the table has no holes */
	memset(e->count, 0, sizeof e->count);
	e->told = 0;
	return 1;
}

int
usage_each(unsigned int *pos, uint64_t now, char const **name,
    struct usage *out)
{
	for (; *pos < USAGE_USERS && *table[*pos].name; ++*pos) {
		struct entry *e = table + *pos;

		advance(e, now / USAGE_SLOT);
		sum(e, out);
		if (!out->messages_day)
			continue;
		*name = e->name;
		++*pos;
		return 1;
	}
	return 0;
}

static int
put(stralloc *out, char const *before, uint64_t u)
{
	char fmt[UINT64_FMT];

	return stralloc_cats(out, before) &&
	    stralloc_catb(out, fmt, uint64_fmt(fmt, u));
}

/* name SP told {SP slot ":" messages ":" recipients} LF */
static int
save_entry(stralloc *out, struct entry const *e)
{
	unsigned int i;

	if (!stralloc_cats(out, e->name) || !put(out, " ", e->told))
		return -1;
	for (i = 0; i < USAGE_DAY && i <= e->last; i++) {
		struct count const *c = e->count + (e->last - i) % USAGE_DAY;

		if (c->messages && (!put(out, " ", e->last - i) ||
		    !put(out, ":", c->messages) ||
		    !put(out, ":", c->recipients)))
			return -1;
	}
	return stralloc_append(out, '\n') ? 1 : -1;
}

int
usage_save(stralloc *out, uint64_t now)
{
	unsigned int pos = 0;
	char const *name;
	struct usage u;

	while (usage_each(&pos, now, &name, &u))
		if (save_entry(out, table + pos - 1) == -1)
			return -1;
	return 1;
}

/* A number, and what must stand in front of it.  1, 0. */
static int
get(char const **s, char before, uint64_t *out)
{
	size_t n;

	if (**s != before || (*s)[1] < '0' || (*s)[1] > '9')
		return 0;
	n = uint64_scan(*s + 1, out);
	*s += n + 1;
	return n != 0;
}

static int
load_entry(char const *s, uint64_t now)
{
	size_t n = strcspn(s, " ");
	struct entry *e = 0;
	uint64_t slot, messages, recipients, told;

	if (!usage_name_ok(s, n) || find(s, n, &e))
		return 0;
	memset(e, 0, sizeof *e);
	memcpy(e->name, s, n);
	s += n;
	if (!get(&s, ' ', &told))
		return 0;
	e->told = told > now ? now : told;
	/* nothing from the future: the clock was wrong then, or is now */
	e->last = now / USAGE_SLOT;
	while (*s) {
		if (!get(&s, ' ', &slot) || !get(&s, ':', &messages) ||
		    !get(&s, ':', &recipients))
			return 0;
		if (slot > e->last || e->last - slot >= USAGE_DAY)
			continue;
		e->count[slot % USAGE_DAY].messages = messages;
		e->count[slot % USAGE_DAY].recipients = recipients;
	}
	return 1;
}

int
usage_load(char const *s, size_t n, uint64_t now)
{
	char line[8192];
	char const *lf;
	size_t len;

	for (; n; s += len + 1, n -= len + 1) {
		lf = memchr(s, '\n', n);
		len = lf ? (size_t)(lf - s) : n;
		if (!lf || len >= sizeof line)
			return 0;
		memcpy(line, s, len);
		line[len] = 0;
		if (!load_entry(line, now))
			return 0;
	}
	return 1;
}

/* 3: the user himself; 2: his domain; 1: anybody; 0: not he. */
static int
rank(char const *who, size_t len, char const *user, size_t n)
{
	size_t at = smtpaddress_at(user, n);

	if (len == n && !strncasecmp(who, user, n))
		return 3;
	if (len == n - at && *who == '@' && !strncasecmp(who, user + at, len))
		return 2;
	return len == 1 && *who == '*';
}

static int
parse(char const *s, struct usage *out)
{
	uint32_t *const number[NUMBERS] = { &out->messages_hour,
	    &out->messages_day, &out->recipients_hour, &out->recipients_day };
	unsigned int i;

	for (i = 0; i < NUMBERS; i++) {
		size_t n = strspn(s, " \t");

		s += n;
		if (!n)
			return 0;
		if (*s == '-') {
			*number[i] = USAGE_UNLIMITED;
			s++;
			continue;
		}
		n = uint32_scan(s, number[i]);
		if (!n || strspn(s, "0123456789") != n)
			return 0;
		s += n;
	}
	return !s[strspn(s, " \t")];
}

int
usage_limits(char const *user, size_t n, struct usage *out)
{
	static struct usage const generous = { 200, 1000, 1000, 5000 };
	stralloc list = STRALLOC_ZERO;
	int r = control_list("control/userlimits", &list), best = 0, sound = 1;
	size_t i;

	*out = generous;
	if (r == -1)
		return -1;
	for (i = 0; i < list.len; i += strlen(list.s + i) + 1) {
		char const *s = list.s + i;
		size_t len = strcspn(s, " \t");
		struct usage u;
		int is = rank(s, len, user, n);

		if (!parse(s + len, &u))
			sound = 0;
		else if (is > best) {
			best = is;
			*out = u;
		}
	}
	stralloc_free(&list);
	return sound;
}
