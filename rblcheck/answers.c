#include "rblcheck/answers.h"

#include <string.h>

#include <skalibs/types.h>

enum { FIELDS = 6 };	/* tag type name result security detail */

struct field {
	char const *s;
	size_t n;
};

static int
is(struct field const *f, char const *word)
{
	return strlen(word) == f->n && memcmp(f->s, word, f->n) == 0;
}

/* Cuts off the next word.  1, 0. */
static int
cut(char const **s, size_t *n, struct field *f)
{
	char const *blank = memchr(*s, ' ', *n);

	if (!*n)
		return 0;
	f->s = *s;
	f->n = blank ? (size_t)(blank - *s) : *n;
	*s += f->n + (blank != 0);
	*n -= f->n + (blank != 0);
	return 1;
}

static void
copy(char *to, size_t max, struct field const *f)
{
	size_t n = f->n < max - 1 ? f->n : max - 1;

	memcpy(to, f->s, n);
	to[n] = 0;
}

/* One listed code decides; else the first one is remembered. */
static void
read_addresses(struct list const *l, struct answer *a, char const *s, size_t n)
{
	struct field f;
	struct ipaddr code;
	int judged;

	a->a = ANSWER_NOT;
	while (a->a != ANSWER_LISTED && cut(&s, &n, &f)) {
		if (!ipaddr_scan(f.s, f.n, &code))
			continue;
		judged = lists_judge(l, &code);
		if (judged == LISTS_LISTED) {
			a->a = ANSWER_LISTED;
			a->error = 0;
		} else if (*a->code)
			continue;
		else
			a->error = judged == LISTS_ERROR;
		copy(a->code, sizeof a->code, &f);
	}
}

static int
octal(char const *s, size_t n)
{
	return n >= 3 && s[0] >= '0' && s[0] <= '3' && s[1] >= '0' &&
	    s[1] <= '7' && s[2] >= '0' && s[2] <= '7';
}

/* The first text, without its quotes and escapes. */
static void
read_text(struct answer *a, char const *s, size_t n)
{
	struct field f;
	size_t i;
	char c;

	a->txt = ANSWER_NOT;
	if (!cut(&s, &n, &f) || f.n < 2)
		return;
	for (i = 1; i < f.n - 1; i++) {
		c = f.s[i];
		if (c == '\\' && octal(f.s + i + 1, f.n - 1 - (i + 1))) {
			c = (f.s[i+1] - '0') << 6 | (f.s[i+2] - '0') << 3 |
			    (f.s[i+3] - '0');
			i += 3;
		}
		if (!stralloc_append(&a->text, c))
			return;
	}
	a->txt = ANSWER_LISTED;
}

/* The list and the record that a tag stands for.  1, 0. */
static int
which(struct answers const *a, struct field const *tag, unsigned int *i,
    int *txt)
{
	char text[UINT_FMT];
	unsigned int u;

	copy(text, sizeof text, tag);
	if (!uint0_scan(text, &u) || u < 1 || u > 2 * a->lists->n)
		return 0;
	*i = (u - 1) / 2;
	*txt = (u - 1) % 2;
	return 1;
}

void
answers_line(struct answers *a, char const *s, size_t n)
{
	struct field f[FIELDS];
	struct answer *of;
	unsigned int i;
	int txt, *state;

	for (i = 0; i < FIELDS; i++)
		if (!cut(&s, &n, &f[i]))
			return;
	if (!which(a, &f[0], &i, &txt))
		return;
	of = &a->of[i];
	if (answers_state(a, i) == ANSWER_PENDING)
		of->ms = a->ms;
	state = txt ? &of->txt : &of->a;
	if (is(&f[3], "answer") && txt)
		read_text(of, s, n);
	else if (is(&f[3], "answer"))
		read_addresses(&a->lists->at[i], of, s, n);
	else if (is(&f[3], "nodata"))
		*state = ANSWER_EMPTY;
	else if (is(&f[3], "nxdomain"))
		*state = ANSWER_NOT;
	else {
		*state = ANSWER_TROUBLE;
		copy(of->why, sizeof of->why,
		    is(&f[3], "failed") ? &f[5] : &f[3]);
	}
}

void
answers_close(struct answers *a, char const *why)
{
	struct field f = { why, strlen(why) };
	unsigned int i;

	for (i = 0; i < a->lists->n; i++) {
		struct answer *of = &a->of[i];

		if (answers_state(a, i) == ANSWER_PENDING)
			of->ms = a->ms;
		if (of->a == ANSWER_PENDING) {
			of->a = ANSWER_TROUBLE;
			copy(of->why, sizeof of->why, &f);
		}
		if (of->txt == ANSWER_PENDING) {
			of->txt = ANSWER_TROUBLE;
			if (!*of->why)
				copy(of->why, sizeof of->why, &f);
		}
	}
}

int
answers_state(struct answers const *a, unsigned int i)
{
	struct list const *l = &a->lists->at[i];
	struct answer const *of = &a->of[i];

	if (of->a == ANSWER_LISTED) {
		/* the text is still to come */
		if (of->txt == ANSWER_PENDING && !l->message &&
		    l->kind == LISTS_BLOCK)
			return ANSWER_PENDING;
		return ANSWER_LISTED;
	}
	if (of->a != ANSWER_EMPTY)
		return of->a;
	/* a list with texts alone, as the first ones were */
	if (l->kind != LISTS_BLOCK || l->codes || of->txt == ANSWER_EMPTY)
		return ANSWER_NOT;
	return of->txt;
}

/* rblsmtpd's rules: after a lookup that failed nothing is refused for good;
 * without an answer a list to block with does not list, one to allow with
 * does; the other way round where the list is "closed". */
int
answers_verdict(struct answers const *a, struct verdict *out)
{
	struct verdict v = { .block = 0 };
	int sum = 0, trouble = 0, done = 0;
	unsigned int i;

	for (i = 0; !done && i < a->lists->n; i++) {
		struct list const *l = &a->lists->at[i];
		int state = answers_state(a, i);

		if (state == ANSWER_PENDING)
			return 0;
		trouble |= state == ANSWER_TROUBLE;
		if (l->kind == LISTS_ALLOW) {
			done = state == ANSWER_LISTED ||
			    (state == ANSWER_TROUBLE && !l->closed);
			continue;
		}
		v.list = i;
		v.lookup_error = state == ANSWER_TROUBLE && l->closed;
		if (state == ANSWER_LISTED)
			sum += l->weight;
		v.block = v.lookup_error ||
		    (state == ANSWER_LISTED && sum >= a->enough);
		v.bounce = v.block && l->bounce && !trouble;
		done = v.block;
	}
	*out = v;
	return 1;
}

static int
fill_in(stralloc *out, char const *message, char const *ip)
{
	char const *at;

	while ((at = strstr(message, "%IP%"))) {
		if (!stralloc_catb(out, message, at - message) ||
		    !stralloc_cats(out, ip))
			return -1;
		message = at + 4;
	}
	return stralloc_cats(out, message) ? 1 : -1;
}

int
answers_text(struct answers const *a, struct verdict const *v,
    char const *ip, stralloc *out)
{
	struct list const *l = &a->lists->at[v->list];
	stralloc const *text = &a->of[v->list].text;

	if (v->lookup_error)
		return fill_in(out, "temporary RBL lookup error", ip);
	if (l->message && *l->message)
		return fill_in(out, l->message, ip);
	if (text->len)
		return stralloc_cat(out, text) ? 1 : -1;
	return fill_in(out, "%IP% is listed by ", ip) == 1 &&
	    stralloc_cats(out, l->base) ? 1 : -1;
}
