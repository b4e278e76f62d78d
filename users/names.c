#include "users/names.h"

#include <stdlib.h>
#include <string.h>

#include <skalibs/genalloc.h>
#include <skalibs/stralloc.h>

#include "users/dotfiles.h"

struct names {
	genalloc owners;	/* struct names_owner */
	struct names_owner const **sorted;	/* the same, by by_local */
	size_t count;
};

static int
by_local(void const *a, void const *b)
{
	struct names_owner const *x = *(struct names_owner *const *)a;
	struct names_owner const *y = *(struct names_owner *const *)b;

	return x->n != y->n ? (x->n > y->n) - (x->n < y->n) :
	    memcmp(x->local, y->local, x->n);
}

static int
sort(struct names *t)
{
	struct names_owner const *all =
	    genalloc_s(struct names_owner, &t->owners);
	size_t i;

	t->count = genalloc_len(struct names_owner, &t->owners);
	t->sorted = malloc((t->count + 1) * sizeof *t->sorted);
	if (!t->sorted)
		return -1;
	for (i = 0; i < t->count; i++)
		t->sorted[i] = &all[i];
	qsort(t->sorted, t->count, sizeof *t->sorted, by_local);
	return 1;
}

/* The first of those whose name is s[0..n), or what would follow it. */
static size_t
first_of(struct names const *t, char const *s, size_t n)
{
	struct names_owner const want = { .local = s, .n = n }, *w = &want;
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (by_local(&t->sorted[mid], &w) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct names *
names_new(void)
{
	return calloc(1, sizeof(struct names));
}

int
names_add(struct names *t, struct names_owner const *o)
{
	struct names_owner own = *o;
	char *local = malloc(o->n + 1);

	own.home = strdup(o->home);
	own.dash = strdup(o->dash);
	own.ext = strdup(o->ext);
	if (!local || !own.home || !own.dash || !own.ext)
		return -1;
	memcpy(local, o->local, o->n);
	local[o->n] = 0;
	own.local = local;
	return genalloc_append(struct names_owner, &t->owners, &own) ? 1 : -1;
}

/* How strongly o claims the name: 0 not at all. */
static size_t
claim(struct names_owner const *o, char const *s, size_t n)
{
	enum { USER = 2, WILDCARD = 4096, EXACT = 8192 };

	if (o->kind == NAMES_ALIAS)
		return 1;
	if (n < o->n || memcmp(s, o->local, o->n))
		return 0;
	if (o->kind == NAMES_EXACT)
		return n == o->n ? EXACT : 0;
	if (o->kind == NAMES_WILDCARD)
		return WILDCARD + o->n;
	return n == o->n || s[o->n] == '-' ? USER + o->n : 0;
}

/* Is o the one that mail for that name goes to?  Who else claims it has a
 * beginning of it for a name.
 */
static int
owns(struct names const *t, struct names_owner const *o, char const *s,
    size_t n)
{
	size_t i, k, mine = claim(o, s, n);

	for (k = 0; mine && k <= n; k++)
		for (i = first_of(t, s, k); i < t->count &&
		    t->sorted[i]->n == k &&
		    !memcmp(t->sorted[i]->local, s, k); i++)
			if (claim(t->sorted[i], s, n) > mine)
				return 0;
	return mine != 0;
}

struct writing {
	struct names *t;
	struct names_owner const *o;
	struct cdbmaker *m;
	stralloc key;
};

/* Key: mark, the owner's own name and dash, then s. */
static int
record(struct writing *w, char mark, char const *dash, char const *s,
    size_t n, char const *value)
{
	if (n + w->o->n + 1 > 1000)	/* no address is that long */
		return 1;
	if (!stralloc_copyb(&w->key, &mark, 1) ||
	    !stralloc_catb(&w->key, w->o->local, w->o->n) ||
	    !stralloc_cats(&w->key, dash) || !stralloc_catb(&w->key, s, n))
		return -1;
	if (!owns(w->t, w->o, w->key.s + 1, w->key.len - 1))
		return 1;
	return cdbmaker_add(w->m, w->key.s, w->key.len, value, 1);
}

/* One file of an owner of many names: ext is the owner's prefix, rest what the
 * file's name has behind the dash.
 */
static int
file(struct writing *w, char const *ext, char const *rest, int *any)
{
	static char const word[] = "default";
	enum { LEN = sizeof word - 1 };
	char const *dash = w->o->kind == NAMES_USER ? "-" : "";
	size_t len = strlen(ext), n = strlen(rest), cut;

	if (n >= len && !memcmp(rest, ext, len) &&
	    record(w, '=', dash, rest + len, n - len, "y") == -1)
		return -1;
	if (n < LEN || memcmp(rest + n - LEN, word, LEN))
		return 1;
	cut = n - LEN;
	if (cut && rest[cut-1] != '-')
		return 1;
	if (cut <= len && !memcmp(rest, ext, cut))
		*any = 1;
	else if (cut > len && !memcmp(rest, ext, len))
		return record(w, '+', dash, rest + len, cut - len, "y");
	return 1;
}

/* Names with that owner's dash among what dotfiles_list found, each given to
 * file().
 */
static int
files(struct writing *w, char const *dash, stralloc const *list)
{
	char const *ext = w->o->kind == NAMES_WILDCARD ? w->o->ext : "";
	size_t i, n, len = strlen(dash);
	int any = 0;

	for (i = 0; i < list->len; i += n) {
		char const *s = list->s + i;

		n = strlen(s) + 1;
		if (n > len && !memcmp(s, dash, len) && n > 1 &&
		    file(w, ext, s + len, &any) == -1)
			return -1;
	}
	return record(w, '+', w->o->kind == NAMES_USER ? "-" : "", "", 0,
	    any ? "y" : "n");
}

/* One name: is there a file for it, by itself or as "default"? */
static int
exact(struct writing *w, stralloc const *list)
{
	struct names_owner const *o = w->o;
	size_t i, n, len = strlen(o->dash), extlen = strlen(o->ext);
	int found = !*o->dash;	/* no dash: default delivery serves it */

	for (i = 0; !found && i < list->len; i += n) {
		char const *s = list->s + i;
		size_t cut;

		n = strlen(s) + 1;
		if (strncmp(s, o->dash, len))
			continue;
		s += len;
		cut = strlen(s);
		if (cut == extlen && !memcmp(s, o->ext, cut))
			found = 1;
		else if (cut >= 7 && !strcmp(s + cut - 7, "default")) {
			cut -= 7;
			found = (!cut || s[cut-1] == '-') && cut <= extlen &&
			    !memcmp(s, o->ext, cut);
		}
	}
	return record(w, '=', "", "", 0, found ? "y" : "n");
}

static int
owner(struct writing *w, stralloc *list)
{
	struct names_owner const *o = w->o;

	if (o->kind == NAMES_WILDCARD && !*o->dash)
		return record(w, '+', "", "", 0, "y");
	if (o->kind == NAMES_USER &&
	    record(w, '=', "", "", 0, o->hidden ? "n" : "y") == -1)
		return -1;
	list->len = 0;
	if (!o->hidden && !(o->kind == NAMES_EXACT && !*o->dash) &&
	    dotfiles_list(o->home, o->uid, o->gid, list) == -1)
		return -1;
	if (o->kind == NAMES_EXACT)
		return exact(w, list);
	return files(w, o->kind == NAMES_WILDCARD ? o->dash : "-", list);
}

int
names_write(struct names *t, struct cdbmaker *m)
{
	struct writing w = { t, 0, m, STRALLOC_ZERO };
	struct names_owner const *all =
	    genalloc_s(struct names_owner, &t->owners);
	stralloc list = STRALLOC_ZERO;
	size_t i;
	int r = sort(t);

	for (i = 0; r == 1 && i < t->count; i++) {
		w.o = &all[i];
		r = owner(&w, &list);
	}
	dotfiles_end();
	stralloc_free(&list);
	stralloc_free(&w.key);
	return r;
}
