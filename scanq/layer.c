#include "scanq/layer.h"

#include <string.h>
#include <strings.h>

#include "scanq/filename.h"

#define BIT(encoding) (1u << (encoding))

static void
anomaly(struct layer *y, uint32_t part, int code, char const *s, size_t n)
{
	walkout_anomaly(&y->all->out, part, code, s, n);
}

static void
entity_anomaly(struct layer *y, int code, char const *s, size_t n)
{
	anomaly(y, y->entity.part, code, s, n);
}

static struct level *
top(struct layer *y)
{
	return y->n ? &y->level[y->n - 1] : 0;
}

static void
pop_levels(struct layer *y, unsigned int n)
{
	struct level *l;

	while (y->n > n) {
		l = &y->level[--y->n];
		if (l->state == LEVEL_MESSAGE || l->state == LEVEL_EPILOGUE)
			continue;
		anomaly(y, l->part, l->any ? WALK_CLOSE_MISSING :
		    WALK_DELIMITER_NONE, "", 0);
	}
	boundary_pop(&y->boundaries, n);
}

/* A header begins: that of a new part. */
static void
begin_part(struct layer *y, uint32_t parent, unsigned int depth, int digest,
    int message)
{
	struct entity *e = &y->entity;

	e->out = &y->all->out;
	e->part = walkout_number(e->out);
	e->parent = parent;
	e->depth = depth;
	e->digest = digest;
	entity_start(e);
	fields_start(&y->fields, e, message);
	y->header = 1;
	y->early = 0;
	y->readings.alt = 0;
	y->have = 0;
	y->cut = 0;
}

static void
push_multipart(struct layer *y, struct entity const *e)
{
	struct level *l = &y->level[y->n];
	unsigned int i;

	l->state = LEVEL_PREAMBLE;
	l->part = e->part;
	l->depth = e->depth + 1;
	l->digest = e->is_digest;
	l->guess = !e->boundaries;
	l->any = 0;
	for (i = e->boundaries; i--;) {
		struct entity_boundary const *b = &e->boundary[i];

		if (boundary_known(&y->boundaries, b->s, b->n))
			anomaly(y, e->part, WALK_BOUNDARY_REPEATED, b->s,
			    b->n);
		if (!boundary_push(&y->boundaries, y->n, b->s, b->n))
			anomaly(y, e->part, WALK_BOUNDARY_MANY, b->s, b->n);
	}
	y->n++;
}

static void
push_message(struct layer *y)
{
	struct entity const *e = &y->entity;
	struct level *l = &y->level[y->n++];

	l->state = LEVEL_MESSAGE;
	l->part = e->part;
	l->depth = e->depth + 1;
	begin_part(y, l->part, l->depth, 0, 1);
}

/* A file that opens as a message, whatever type it is said to be. */
static int
is_mail(struct entity const *e)
{
	return filename_is(e->label.name, e->label.n, "eml mht mhtml ");
}

/* The header has told everything: every reading of the body begins. */
static void
begin_body(struct layer *y)
{
	struct entity *e = &y->entity;
	unsigned int code;
	int composite = e->multipart || e->message;

	y->header = 0;
	if (composite && (y->n + 2 > WALK_DEPTH ||
	    y->all->out.parts >= WALK_PARTS_MOST)) {
		entity_anomaly(y, WALK_TOO_DEEP, "", 0);
		composite = 0;
		e->text = 1;
	}
	for (code = 0; code <= WALK_UUENCODE; code++) {
		if (!(e->encoded & BIT(code)))
			continue;
		if (!composite || e->leaf || code != WALK_IDENTITY)
			readings_open(&y->readings, e,
			    (enum walk_encoding)code, composite ?
			    code != WALK_IDENTITY : is_mail(e), y->n);
	}
	if (!composite)
		return;
	if (e->multipart)
		push_multipart(y, e);
	/* a message in base64 has no header that could be read as it is */
	if (e->message && e->encoded != BIT(WALK_BASE64))
		push_message(y);
}

/* For some readers the body begins here, with what is known so far. */
static void
begin_early(struct layer *y)
{
	struct entity *e = &y->entity;
	unsigned int code, encoded = e->encoded;

	if (y->early || e->multipart || e->message)
		return;
	y->early = 1;
	e->text |= !e->types.n;
	if (!encoded)
		encoded = BIT(WALK_IDENTITY);
	for (code = 0; code <= WALK_UUENCODE; code++)
		if (encoded & BIT(code))
			readings_open(&y->readings, e,
			    (enum walk_encoding)code, 0, y->n);
}

static void
end_header(struct layer *y)
{
	fields_report(&y->fields);
	entity_end(&y->entity);
	begin_body(y);
}

static int
over(void *ctx, unsigned int level)
{
	struct layer *y = ctx;

	return y->level[level].state == LEVEL_EPILOGUE;
}

/* A delimiter ends a header that has no empty line. */
static int
ends_header(struct layer *y, char const *s, size_t n)
{
	struct boundary_match m;

	if (n < 2 || s[0] != '-' || s[1] != '-')
		return 0;
	if (boundary_match(&y->boundaries, s, n, over, y, &m) && !m.junk)
		return 1;
	fields_report(&y->fields);
	return entity_delimiter(&y->entity, s, n);
}

static void
header_line(struct layer *y, int complete)
{
	char const *s = y->line;
	size_t n = y->have, whole = n;
	enum fields_line r = FIELDS_BEHIND;

	y->have = 0;
	while (n && s[n - 1] == '\r')
		n--;
	if (whole - n > 1)
		entity_anomaly(y, WALK_CR_CR_LF, "", 0);
	if (memchr(s, '\r', n))
		entity_anomaly(y, WALK_HEADER_CR, s, n);
	if (y->cut)
		entity_anomaly(y, WALK_HEADER_LONG, s, n);
	if (ends_header(y, s, n)) {
		entity_anomaly(y, WALK_HEADER_NO_END, s, n);
		y->again = n < LAYER_HOLD ? n : LAYER_HOLD;
		memcpy(y->hold, s, y->again);
		end_header(y);
		return;
	}
	if (!n && fields_empty(&y->fields)) {
		if (!y->cut)
			readings_line(&y->readings, s, whole, complete);
		y->cut = 0;
		end_header(y);
		return;
	}
	if (n)
		r = fields_line(&y->fields, s, n);
	if (r == FIELDS_BODY)
		begin_early(y);
	if (!y->cut)
		readings_line(&y->readings, s, whole, complete);
	y->cut = 0;
	if (r == FIELDS_BEHIND)
		begin_early(y);
}

/* Part of a line of a header.  How much of s that was. */
static size_t
header_feed(struct layer *y, char const *s, size_t n)
{
	char const *e = memchr(s, '\n', n);
	size_t k = e ? (size_t)(e - s) : n, room = WALK_VALUE - y->have;
	size_t fits = k < room ? k : room;

	memcpy(y->line + y->have, s, fits);
	y->have += fits;
	if (fits < k) {
		if (!y->cut)
			readings_line(&y->readings, y->line, y->have, 0);
		y->cut = 1;
		readings_more(&y->readings, s + fits, k - fits);
	}
	if (!e)
		return k;
	header_line(y, 1);
	return k + 1;
}

/* The delimiter of a level.  1; 0: for no reader that we follow. */
static int
delimiter(struct layer *y, char const *s, size_t n,
    struct boundary_match const *m, int complete)
{
	struct level *l = &y->level[m->level];

	if (y->all->out.parts >= WALK_PARTS_MOST)
		return 0;
	if (m->junk) {
		anomaly(y, l->part, WALK_DELIMITER_JUNK, s, n);
		/* strict readers go on with the part: it stays open */
		if (m->level != y->n - 1)
			return 0;
	} else
		readings_close(&y->readings, m->level + 1);
	readings_line(&y->readings, s, n, complete);
	pop_levels(y, m->level + 1);
	l->any = 1;
	if (l->state == LEVEL_EPILOGUE && !m->close)
		anomaly(y, l->part, WALK_AFTER_CLOSE, "", 0);
	l->state = m->close ? LEVEL_EPILOGUE : LEVEL_PART;
	y->header = 0;
	if (!m->close)
		begin_part(y, l->part, l->depth, l->digest, 0);
	return 1;
}

/* In a preamble: the first line that looks like a delimiter is one, where the
 * header names none.
 */
static int
guessed(struct layer *y, char const *s, size_t n, struct boundary_match *m)
{
	struct level *l = top(y);

	if (!l || l->state != LEVEL_PREAMBLE || !l->guess)
		return 0;
	while (n && memchr(" \t\r", s[n - 1], 3))
		n--;
	if (n < 3 || s[0] != '-' || s[1] != '-')
		return 0;
	l->guess = 0;
	if (!boundary_push(&y->boundaries, y->n - 1, s + 2, n - 2))
		return 0;
	m->level = y->n - 1;
	m->close = m->junk = 0;
	return 1;
}

/* Fields of a part, where only the delimiter before them is missing? */
static int
in_preamble(struct layer *y, char const *s, size_t n)
{
	static char const *const fields[] = { "content-type:",
	    "content-transfer-encoding:", "content-disposition:" };
	struct level *l = top(y);
	size_t i, k;

	if (!l || l->state != LEVEL_PREAMBLE)
		return 0;
	for (i = 0; i < sizeof fields / sizeof *fields; i++) {
		k = strlen(fields[i]);
		if (n < k || strncasecmp(s, fields[i], k) != 0)
			continue;
		anomaly(y, l->part, WALK_IN_PREAMBLE, s, n);
		l->state = LEVEL_PART;
		return 1;
	}
	return 0;
}

/* A line of a body that may be a delimiter. */
static void
delimiter_line(struct layer *y, char const *s, size_t n, int complete)
{
	struct boundary_match m;
	struct level *l;

	if ((boundary_match(&y->boundaries, s, n, over, y, &m) ||
	    guessed(y, s, n, &m)) && delimiter(y, s, n, &m, complete)) {
		y->swallow = !complete;
		return;
	}
	if (complete && in_preamble(y, s, n)) {
		l = top(y);
		begin_part(y, l->part, l->depth, l->digest, 0);
		memcpy(y->line, s, n);
		y->have = n;
		header_line(y, 1);
		return;
	}
	readings_line(&y->readings, s, n, complete);
}

static int
may_delimit(struct layer const *y, char const *s, size_t n, int preamble)
{
	if (*s == '-')
		return n < 3 ? n == 1 || s[1] == '-' : s[1] == '-' &&
		    (preamble || boundary_may(&y->boundaries, s[2]));
	return preamble && (*s | 32) == 'c' && y->n;
}

/* Lines that cannot be delimiters, in one piece.  How many bytes. */
static size_t
run(struct layer *y, char const *s, size_t n)
{
	char const *p = s, *end = s + n, *e;
	struct level *l = top(y);
	int preamble = l && l->state == LEVEL_PREAMBLE;

	while (p < end) {
		if (y->bol && y->all->out.parts < WALK_PARTS_MOST &&
		    may_delimit(y, p, (size_t)(end - p), preamble))
			break;
		e = memchr(p, '\n', (size_t)(end - p));
		y->bol = e != 0;
		p = e ? e + 1 : end;
	}
	return (size_t)(p - s);
}

/* Part of a body.  How much of s that was. */
static size_t
body_feed(struct layer *y, char const *s, size_t n)
{
	char const *e;
	size_t k;

	if (!y->bol && readings_lf(&y->readings, s)) {
		y->bol = 1;
		return 1;
	}
	k = y->held ? 0 : run(y, s, n);
	if (k) {
		readings_lines(&y->readings, s, k);
		return k;
	}
	e = memchr(s, '\n', n);
	k = e ? (size_t)(e - s) : n;
	if (k > LAYER_HOLD - y->held) {
		k = LAYER_HOLD - y->held;
		e = 0;
	}
	memcpy(y->hold + y->held, s, k);
	y->held += k;
	if (!e && y->held < LAYER_HOLD)
		return k;
	n = y->held;
	y->held = 0;
	y->bol = e != 0;
	delimiter_line(y, y->hold, n, e != 0);
	return k + (e != 0);
}

static size_t
swallow(struct layer *y, char const *s, size_t n)
{
	char const *e = memchr(s, '\n', n);

	y->swallow = !e;
	y->bol = e != 0;
	return e ? (size_t)(e - s) + 1 : n;
}

/* The line that ended a header, as the delimiter that it is. */
static void
again(struct layer *y, int complete)
{
	size_t n = y->again;

	y->again = 0;
	if (n)
		delimiter_line(y, y->hold, n, complete);
}

void
layer_feed(struct layer *y, char const *s, size_t n)
{
	size_t k;

	for (; n; s += k, n -= k) {
		if (y->swallow)
			k = swallow(y, s, n);
		else if (y->header) {
			k = header_feed(y, s, n);
			y->bol = 1;
			again(y, 1);
		} else
			k = body_feed(y, s, n);
	}
}

static void
start(struct layer *y, struct layers *all)
{
	y->all = all;
	readings_start(&y->readings, all);
	y->n = 0;
	y->swallow = 0;
	y->bol = 1;
	y->held = y->again = 0;
	boundary_start(&y->boundaries);
}

void
layer_message(struct layer *y, struct layers *all, uint32_t parent,
    unsigned int depth)
{
	start(y, all);
	begin_part(y, parent, depth, 0, 1);
}

void
layer_multipart(struct layer *y, struct layers *all, struct entity const *e)
{
	start(y, all);
	y->header = 0;
	push_multipart(y, e);
}

void
layer_end(struct layer *y)
{
	size_t n;

	if (y->header && (y->have || y->cut))
		header_line(y, 0);
	again(y, 0);
	if (y->held) {
		n = y->held;
		y->held = 0;
		delimiter_line(y, y->hold, n, 0);
	}
	while (y->header)
		end_header(y);
	readings_release(&y->readings);
	readings_close(&y->readings, 0);
	pop_levels(y, 0);
}
