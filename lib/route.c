#include "lib/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/control.h"
#include "lib/smtpaddress.h"

static size_t
hash(char const *s, size_t n)
{
	size_t h = 5381;

	while (n--) {
		unsigned char c = *s++;

		h = h * 33 ^ (c >= 'A' && c <= 'Z' ? c + 32 : c);
	}
	return h;
}

static void
map_free(struct route_map *m)
{
	stralloc_free(&m->text);
	free(m->slot);
	m->slot = 0;
	m->slots = 0;
}

/* The slot where the key is, or would be.  A key ends at end or at NUL. */
static size_t
place(struct route_map const *m, char const *key, size_t n, char const *end)
{
	size_t i = hash(key, n) & (m->slots - 1);

	for (; m->slot[i]; i = (i + 1) & (m->slots - 1)) {
		char const *have = m->text.s + m->slot[i] - 1;

		if (strcspn(have, end) == n && strncasecmp(have, key, n) == 0)
			break;
	}
	return i;
}

/* Keys are whole entries, or, with end ":", what stands before the colon; an
 * entry without a colon is then nothing.  Of equal keys the last counts.
 */
static int
map_index(struct route_map *m, char const *end)
{
	size_t i, len, entries = 0;

	for (i = 0; i < m->text.len; i += strlen(m->text.s + i) + 1)
		entries++;
	if (!entries)
		return 1;
	for (m->slots = 4; m->slots < entries * 2; m->slots *= 2)
		;
	m->slot = calloc(m->slots, sizeof *m->slot);
	if (!m->slot)
		return -1;
	for (i = 0; i < m->text.len; i += len + 1) {
		char const *s = m->text.s + i;
		size_t n = strcspn(s, end);

		len = strlen(s);
		if (*end && n == len)
			continue;
		m->slot[place(m, s, n, end)] = i + 1;
	}
	return 1;
}

/* The entry behind the key, or 0. */
static char const *
map_get(struct route_map const *m, char const *key, size_t n, char const *end)
{
	size_t i;

	if (!m->slots)
		return 0;
	i = place(m, key, n, end);
	return m->slot[i] ? m->text.s + m->slot[i] - 1 + n : 0;
}

static int
map_load(struct route_map *m, char const *file, char const *end)
{
	if (control_list(file, &m->text) == -1)
		return -1;
	return map_index(m, end);
}

/* control/locals; where there is no such file, control/me. */
static int
locals_load(struct route_map *m, char const **file)
{
	int r = control_list(*file = "control/locals", &m->text);

	if (r == 0 && access("control/locals", F_OK) == -1) {
		if (errno != ENOENT)
			return -1;
		r = control_line(*file = "control/me", &m->text);
		if (r == 1 && !stralloc_0(&m->text))
			r = -1;
	}
	return r == -1 ? -1 : map_index(m, "");
}

static int
domains_load(struct route *r)
{
	return locals_load(&r->locals, &r->file) == -1 ? -1 :
	    map_load(&r->virtualdomains, r->file = "control/virtualdomains",
	    ":");
}

static int
rewriting_load(struct route *r)
{
	int got = map_load(&r->percenthack, r->file = "control/percenthack",
	    "");

	if (got == 1)
		got = control_line_or_me(r->file = "control/envnoathost",
		    &r->envnoathost);
	/* qmail-send's default of last resort */
	if (got == 0)
		got = stralloc_copys(&r->envnoathost, "envnoathost") ? 1 : -1;
	return got;
}

static int
load(struct route *r, int rewriting)
{
	struct route new = ROUTE_ZERO;
	int e, got = domains_load(&new);

	if (got == 1 && rewriting)
		got = rewriting_load(&new);
	if (got == 1) {
		route_free(r);
		*r = new;
		return 1;
	}
	e = errno;
	r->file = new.file;
	route_free(&new);
	errno = e;
	return -1;
}

int
route_load(struct route *r)
{
	return load(r, 1);
}

int
route_load_domains(struct route *r)
{
	return load(r, 0);
}

void
route_free(struct route *r)
{
	map_free(&r->locals);
	map_free(&r->virtualdomains);
	map_free(&r->percenthack);
	stralloc_free(&r->envnoathost);
}

/* "a%b@c" is "a@b" for a c in control/percenthack, as often as it applies. */
static size_t
percenthack(struct route const *r, stralloc *addr, size_t at)
{
	while (map_get(&r->percenthack, addr->s + at + 1, addr->len - at - 1,
	    "")) {
		size_t percent = at;

		while (percent && addr->s[percent - 1] != '%')
			percent--;
		if (!percent)
			break;
		addr->len = at;
		at = percent - 1;
		addr->s[at] = '@';
	}
	return at;
}

/* What to put in front: asked for are the address, its domain, each suffix of
 * that from a dot on, and the empty name.
 */
static char const *
prepend(struct route const *r, stralloc const *addr, size_t at)
{
	size_t i;

	for (i = 0; i <= addr->len; i = i ? i + 1 : at + 1) {
		char const *found;

		if (i > at + 1 && i < addr->len && addr->s[i] != '.')
			continue;
		found = map_get(&r->virtualdomains, addr->s + i, addr->len - i,
		    ":");
		if (found)
			return found[1] ? found + 1 : 0;
	}
	return 0;
}

int
route_address(struct route const *r, char const *s, size_t n, stralloc *out,
    size_t *prefix)
{
	size_t at = smtpaddress_at(s, n);
	char const *before;

	if (!stralloc_copyb(out, s, n))
		return -1;
	if (at == n && (!stralloc_catb(out, "@", 1) ||
	    !stralloc_cat(out, &r->envnoathost)))
		return -1;
	at = percenthack(r, out, at);
	if (map_get(&r->locals, out->s + at + 1, out->len - at - 1, "")) {
		*prefix = 0;
		return 1;
	}
	before = prepend(r, out, at);
	if (!before)
		return 0;
	n = strlen(before);
	if (!stralloc_insertb(out, 0, "-", 1) ||
	    !stralloc_insertb(out, 0, before, n))
		return -1;
	*prefix = n + 1;
	return 1;
}
