#include "lib/addrlist.h"

#include <string.h>

enum { WORD = 'w', LITERAL = 'l' };	/* other tokens: the byte itself */

struct token {
	char type;
	size_t start, end;
};

struct state {
	struct addrlist *out;
	char const *s;
	size_t n, pos;
	/* of the address at hand */
	size_t start;		/* in out->text */
	size_t end;		/* in the field */
	char last;		/* type of its last token; 0: none */
	unsigned int ats;
	int phrase;		/* words in a row: must be a name before '<' */
	enum { NONE, OPEN, CLOSED } angle;
	int group;
};

static int
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Offset behind the thing that starts at pos and ends with close; n + 1 if
 * the field ends before.  Comments nest.
 */
static size_t
skip_to(struct state const *st, size_t pos, char open, char close)
{
	unsigned int depth = 1;

	for (pos++; pos < st->n; pos++) {
		if (st->s[pos] == '\\')
			pos++;
		else if (st->s[pos] == close && --depth == 0)
			return pos + 1;
		else if (st->s[pos] == open)
			depth++;
	}
	return st->n + 1;
}

static size_t
skip_atom(struct state const *st, size_t pos)
{
	while (pos < st->n && !is_space(st->s[pos]) &&
	    !memchr("()<>@,;:\\\".[]", st->s[pos], 13))
		pos++;
	return pos;
}

/* 1; 0 at the end; -1 something has no end, or does not belong there. */
static int
next(struct state *st, struct token *t)
{
	char c;

	while (st->pos < st->n &&
	    (is_space(st->s[st->pos]) || st->s[st->pos] == '('))
		st->pos = is_space(st->s[st->pos]) ? st->pos + 1 :
		    skip_to(st, st->pos, '(', ')');
	if (st->pos > st->n)
		return -1;
	if (st->pos == st->n)
		return 0;
	t->start = st->pos;
	c = st->s[st->pos];
	if (c == '"') {
		t->type = WORD;
		t->end = skip_to(st, st->pos, 0, '"');
	} else if (c == '[') {
		t->type = LITERAL;
		t->end = skip_to(st, st->pos, 0, ']');
	} else if (memchr("<>@,;:.", c, 7)) {
		t->type = c;
		t->end = st->pos + 1;
	} else {
		t->type = WORD;
		t->end = skip_atom(st, st->pos);
	}
	if (t->end == t->start || t->end > st->n)
		return -1;
	st->pos = t->end;
	return 1;
}

static void
reset(struct state *st)
{
	st->start = st->out->text.len;
	st->last = 0;
	st->ats = 0;
	st->phrase = 0;
	st->angle = NONE;
}

static void
forget(struct state *st)
{
	st->out->text.len = st->start;
	reset(st);
}

/* A token's bytes, out of their quotes; folding inside quotes undone. */
static int
add(struct state *st, struct token const *t)
{
	size_t i, from = t->start, to = t->end;
	int quoted = st->s[from] == '"';

	if (quoted) {
		from++;
		to--;
	}
	for (i = from; i < to; i++) {
		char c = st->s[i];

		if (quoted && c == '\\' && i + 1 < to)
			c = st->s[++i];
		else if (c == '\r' || c == '\n')
			continue;
		if (!stralloc_append(&st->out->text, c))
			return -1;
	}
	st->last = t->type;
	st->end = t->end;
	return 1;
}

static int
add_word(struct state *st, struct token const *t)
{
	if (st->angle == CLOSED)
		return 0;
	if (st->last == WORD || st->last == LITERAL ||
	    (t->type == LITERAL && st->last != '@'))
		st->phrase = 1;
	return add(st, t);
}

/* "@a,@b:" in front of an address: read and ignored. */
static int
skip_route(struct state *st)
{
	struct token t;
	int r;

	while ((r = next(st, &t)) == 1)
		if (t.type == ':')
			return 1;
		else if (t.type == '<' || t.type == '>' || t.type == ';')
			break;
	return 0;
}

static int
add_at(struct state *st, struct token const *t)
{
	if (st->angle == CLOSED)
		return 0;
	if (st->angle == OPEN && !st->last)
		return skip_route(st);
	if (!st->last)
		return 0;
	st->ats++;
	return add(st, t);
}

static int
finish(struct state *st)
{
	struct addrlist_item item;
	char const *text;

	item.text = st->start;
	item.len = st->out->text.len - st->start;
	item.end = st->end;
	item.has_domain = st->ats != 0;
	if (st->phrase || st->ats > 1)
		return 0;
	if (st->last == '@' || (st->last && !item.len))
		return 0;
	if (item.len) {
		text = st->out->text.s + item.text;
		if (memchr(text, 0, item.len) || memchr(text, '\n', item.len))
			return 0;
	}
	if (!genalloc_append(struct addrlist_item, &st->out->items, &item))
		return -1;
	return 1;
}

static int
open_angle(struct state *st, struct token const *t)
{
	if (st->angle != NONE)
		return 0;
	forget(st);
	st->angle = OPEN;
	st->end = t->end;
	return 1;
}

static int
close_angle(struct state *st)
{
	int r;

	if (st->angle != OPEN)
		return 0;
	r = finish(st);
	st->angle = CLOSED;
	return r;
}

/* At ',', ';' and the end. */
static int
end_address(struct state *st)
{
	int r = 1;

	if (st->angle == OPEN)
		return 0;
	if (st->angle == NONE && st->last)
		r = finish(st);
	reset(st);
	return r;
}

static int
begin_group(struct state *st)
{
	if (st->angle != NONE || st->group || !st->last)
		return 0;
	forget(st);
	st->group = 1;
	return 1;
}

static int
end_group(struct state *st)
{
	if (!st->group)
		return 0;
	st->group = 0;
	return end_address(st);
}

static int
take(struct state *st, struct token const *t)
{
	switch (t->type) {
	case WORD:
	case LITERAL:
		return add_word(st, t);
	case '.':
		return st->angle == CLOSED ? 0 : add(st, t);
	case '@':
		return add_at(st, t);
	case '<':
		return open_angle(st, t);
	case '>':
		return close_angle(st);
	case ',':
		return end_address(st);
	case ':':
		return begin_group(st);
	default:
		return end_group(st);
	}
}

int
addrlist_parse(char const *s, size_t n, struct addrlist *out)
{
	struct state st = { .out = out, .s = s, .n = n };
	size_t text = out->text.len, items = out->items.len;
	struct token t;
	int r, taken = 1;

	reset(&st);
	while (taken == 1 && (r = next(&st, &t)) == 1)
		taken = take(&st, &t);
	if (taken == 1)
		taken = r == -1 ? 0 : end_address(&st);
	if (taken != 1) {
		out->text.len = text;
		out->items.len = items;
	}
	return taken;
}
