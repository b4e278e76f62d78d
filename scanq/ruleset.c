#include "scanq/ruleset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <skalibs/types.h>

#define TITLE "scanrules 1\n"

enum { KEY_MOST = RULE_LINE + 1 };

int
ruleset_create(struct ruleset_maker *m, char const *file)
{
	m->count = 0;
	m->keys.len = 0;
	m->subjects[0] = 0;
	return cdbmaker_open(&m->cdb, file, 0644);
}

static int
number_key(char *out, uint32_t number)
{
	out[0] = 'r';
	uint32_pack_big(out + 1, number);
	return 5;
}

static void
note_subject(char *subjects, char c)
{
	size_t n = strlen(subjects);

	if (strchr(subjects, c))
		return;
	subjects[n] = c;
	subjects[n + 1] = 0;
}

/* An entry of m->keys: number 4, length 4, letter and key, NUL. */
int
ruleset_add(struct ruleset_maker *m, struct rule const *r)
{
	stralloc record = STRALLOC_ZERO;
	char head[9], key[5];
	int k = -1;

	uint32_pack_big(head, m->count);
	uint32_pack_big(head + 4, (uint32_t)r->key.n + 1);
	head[8] = (char)r->subject;
	if (stralloc_catb(&m->keys, head, sizeof head) &&
	    stralloc_catb(&m->keys, r->key.s, r->key.n) &&
	    stralloc_0(&m->keys) && rule_pack(&record, r) == 1)
		k = cdbmaker_add(&m->cdb, key,
		    (size_t)number_key(key, m->count), record.s, record.len);
	else
		cdbmaker_abort(&m->cdb);
	note_subject(m->subjects, (char)r->subject);
	m->count++;
	stralloc_free(&record);
	return k;
}

static int
compare(void const *a, void const *b)
{
	char const *x = *(char const *const *)a, *y = *(char const *const *)b;
	int c = strcmp(x + 8, y + 8);

	return c ? c : memcmp(x, y, 4);
}

/* All numbers of one key, which entry[0] is the first of; how many. */
static size_t
add_key(struct ruleset_maker *m, char const **entry, size_t n, int *r)
{
	stralloc numbers = STRALLOC_ZERO;
	size_t i;

	for (i = 0; i < n && !strcmp(entry[i] + 8, entry[0] + 8); i++)
		if (!stralloc_catb(&numbers, entry[i], 4)) {
			cdbmaker_abort(&m->cdb);
			*r = -1;
		}
	if (*r == 1)
		*r = cdbmaker_add(&m->cdb, entry[0] + 8,
		    strlen(entry[0] + 8), numbers.s, numbers.len);
	stralloc_free(&numbers);
	return i;
}

static int
add_keys(struct ruleset_maker *m)
{
	char const **entry = malloc((m->count + 1) * sizeof *entry);
	size_t i, at = 0;
	uint32_t len;
	int r = 1;

	if (!entry) {
		cdbmaker_abort(&m->cdb);
		return -1;
	}
	for (i = 0; i < m->count; i++) {
		entry[i] = m->keys.s + at;
		uint32_unpack_big(m->keys.s + at + 4, &len);
		at += 9 + len;
	}
	qsort(entry, m->count, sizeof *entry, compare);
	for (i = 0; r == 1 && i < m->count;)
		i += add_key(m, entry + i, m->count - i, &r);
	free(entry);
	return r;
}

int
ruleset_commit(struct ruleset_maker *m)
{
	char title[64] = TITLE;
	size_t n = sizeof TITLE - 1, k = strlen(m->subjects);

	memcpy(title + n, m->subjects, k);
	if (add_keys(m) == -1 ||
	    cdbmaker_add(&m->cdb, "", 0, title, n + k) == -1)
		return -1;
	return cdbmaker_commit(&m->cdb);
}

void
ruleset_abort(struct ruleset_maker *m)
{
	cdbmaker_abort(&m->cdb);
	stralloc_free(&m->keys);
}

int
ruleset_open(struct ruleset *s, char const *file)
{
	char const *v;
	size_t n, title = sizeof TITLE - 1;
	int r;

	s->subjects[0] = 0;
	r = cdbfile_open(&s->cdb, file);
	if (r != 1)
		return r;
	if (cdbfile_get(&s->cdb, "", 0, &v, &n) != 1 || n < title ||
	    memcmp(v, TITLE, title) || n - title >= sizeof s->subjects) {
		cdbfile_close(&s->cdb);
		errno = EPROTO;
		return -1;
	}
	memcpy(s->subjects, v + title, n - title);
	s->subjects[n - title] = 0;
	return 1;
}

void
ruleset_close(struct ruleset *s)
{
	cdbfile_close(&s->cdb);
	s->subjects[0] = 0;
}

int
ruleset_has(struct ruleset const *s, enum subject subject)
{
	return strchr(s->subjects, subject) != 0;
}

int
ruleset_find(struct ruleset *s, enum subject subject, char const *key,
    size_t len, char const **numbers, size_t *n)
{
	char k[KEY_MOST];
	int r;

	if (!ruleset_has(s, subject) || len >= sizeof k)
		return 0;
	k[0] = (char)subject;
	memcpy(k + 1, key, len);
	r = cdbfile_get(&s->cdb, k, len + 1, numbers, n);
	if (r != 1)
		return r;
	if (*n % 4) {
		errno = EPROTO;
		return -1;
	}
	*n /= 4;
	return 1;
}

uint32_t
ruleset_number(char const *numbers, size_t i)
{
	uint32_t u;

	uint32_unpack_big(numbers + 4 * i, &u);
	return u;
}

int
ruleset_rule(struct ruleset *s, uint32_t number, struct rule *r)
{
	char key[5];
	char const *v;
	size_t n;
	int k;

	k = cdbfile_get(&s->cdb, key, (size_t)number_key(key, number), &v, &n);
	if (k == 1 && rule_unpack(v, n, r))
		return 1;
	errno = EPROTO;
	return -1;
}
