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

/* Bytes for everyone who reads now. */
static void
feed_readings(struct layer *y, char const *s, size_t n)
{
	unsigned int i;

	for (i = 0; i < y->readings; i++)
		leaf_feed(y->reading[i].leaf, s, n);
}

/* A line end belongs to the delimiter behind it (RFC 2046 5.1.1): it is held
 * back until something else follows.
 */
static void
release_end(struct layer *y)
{
	if (y->end)
		feed_readings(y, y->end_of_line, y->end);
	y->end = 0;
}

/* A line, n bytes with CR if there is one; complete: LF follows. */
static void
pass_line(struct layer *y, char const *s, size_t n, int complete)
{
	release_end(y);
	if (!complete) {
		feed_readings(y, s, n);
		return;
	}
	if (n && s[n - 1] == '\r') {
		y->end_of_line[y->end++] = '\r';
		n--;
	}
	y->end_of_line[y->end++] = '\n';
	feed_readings(y, s, n);
}

static void
feed_layer(void *ctx, char const *s, size_t n)
{
	layer_feed(ctx, s, n);
}

/* What a reading decodes to is a message, or a multipart. */
static void
open_layer(struct layer *y, struct reading *r)
{
	struct layers *all = y->all;
	struct entity *e = &y->entity;

	if (!all->free_layers) {
		entity_anomaly(y, WALK_TOO_DEEP, "", 0);
		return;
	}
	r->layer = all->layer[--all->free_layers];
	if (e->multipart && !e->message)
		layer_multipart(r->layer, all, e);
	else
		layer_message(r->layer, all, e->part, e->depth + 1);
	r->leaf->also = feed_layer;
	r->leaf->ctx = r->layer;
}

static void
close_reading(struct layers *all, struct reading *r)
{
	leaf_close(r->leaf);
	all->leaf[all->free_leaves++] = r->leaf;
	if (!r->layer)
		return;
	layer_end(r->layer);
	all->layer[all->free_layers++] = r->layer;
}

/* Those that were opened inside of so many levels, or more. */
static void
close_readings(struct layer *y, unsigned int levels)
{
	unsigned int i, kept = 0;

	for (i = 0; i < y->readings; i++) {
		if (y->reading[i].levels < levels)
			y->reading[kept++] = y->reading[i];
		else
			close_reading(y->all, &y->reading[i]);
	}
	y->readings = kept;
}

/* There are too many: a part before this one has to end, if there is one. */
static void
make_room(struct layer *y)
{
	unsigned int i;

	entity_anomaly(y, WALK_TOO_MANY_READINGS, "", 0);
	for (i = 0; i < y->readings; i++)
		if (y->reading[i].leaf->part != y->entity.part)
			break;
	if (i == y->readings)
		return;
	close_reading(y->all, &y->reading[i]);
	y->readings--;
	memmove(&y->reading[i], &y->reading[i + 1],
	    (y->readings - i) * sizeof *y->reading);
}

static void
open_reading(struct layer *y, enum walk_encoding encoding, int composite)
{
	struct layers *all = y->all;
	struct entity *e = &y->entity;
	struct reading *r;
	struct leaf_setup setup = { &all->out, e->part, 0, e->depth, encoding,
	    e->text, &e->label };

	release_end(y);
	if (y->readings == WALK_READINGS || !all->free_leaves)
		make_room(y);
	if (y->readings == WALK_READINGS || !all->free_leaves)
		return;
	setup.alt = y->alt++;
	r = &y->reading[y->readings++];
	r->levels = y->n;
	r->layer = 0;
	r->leaf = all->leaf[--all->free_leaves];
	leaf_open(r->leaf, &setup);
	if (composite)
		open_layer(y, r);
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
	y->header = 1;
	y->message = message;
	y->first = 1;
	y->early = 0;
	y->alt = 0;
	y->have = y->kept = y->nn = 0;
	y->pending = y->cut = 0;
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
			open_reading(y, (enum walk_encoding)code, composite ?
			    code != WALK_IDENTITY : is_mail(e));
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
			open_reading(y, (enum walk_encoding)code, 0);
}

/* The field that has been gathered.  It stays, for lines that some readers
 * take for a part of it.
 */
static void
report_field(struct layer *y)
{
	if (!y->pending)
		return;
	y->pending = 0;
	if (memchr(y->field, 0, y->kept))
		entity_anomaly(y, WALK_HEADER_NUL, y->name, y->nn);
	entity_field(&y->entity, y->name, y->nn, y->field, y->kept);
}

static void
end_header(struct layer *y)
{
	report_field(y);
	entity_end(&y->entity);
	begin_body(y);
}

/* More of the value. */
static void
append(struct layer *y, char const *s, size_t n)
{
	size_t room = WALK_VALUE - y->kept;

	if (n > room) {
		entity_anomaly(y, WALK_HEADER_LONG, y->name, y->nn);
		n = room;
	}
	memcpy(y->field + y->kept, s, n);
	y->kept += n;
	y->pending = 1;
}

static int
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* How a field name is odd: bits */
enum { NAME_SPACE = 1, NAME_COMMENT = 2, NAME_NUL = 4 };

struct name {
	size_t n;
	char s[LAYER_FIELD];
	int odd;
};

/* The name of a field as lenient readers have it, without blanks, comments and
 * NULs.  Where its colon stands; 0: this is no field.
 */
static size_t
take_name(struct name *name, char const *s, size_t n)
{
	size_t i;
	int depth = 0;

	name->n = 0;
	name->odd = 0;
	for (i = 0; i < n && (depth || s[i] != ':'); i++) {
		char c = s[i];

		if (c == '(' || (depth && c == ')')) {
			depth += c == '(' ? 1 : -1;
			name->odd |= NAME_COMMENT;
		} else if (depth)
			continue;
		else if (!c)
			name->odd |= NAME_NUL;
		else if (is_blank(c))
			name->odd |= NAME_SPACE;
		else if (name->odd & (NAME_SPACE | NAME_COMMENT) ||
		    c == '=' || c == '"' || (c > 0 && c < 32))
			return 0;
		else if (name->n < LAYER_FIELD)
			name->s[name->n++] = c;
	}
	return i < n && name->n ? i : 0;
}

static void
start_field(struct layer *y, struct name const *name, char const *s, size_t n)
{
	report_field(y);
	memcpy(y->name, name->s, name->n);
	y->nn = name->n;
	y->kept = 0;
	if (name->odd & NAME_COMMENT)
		entity_anomaly(y, WALK_HEADER_COMMENT, s, n);
	else if (name->odd & NAME_SPACE)
		entity_anomaly(y, WALK_HEADER_SPACE, s, n);
	if (name->odd & NAME_NUL)
		entity_anomaly(y, WALK_HEADER_NUL, s, n);
	while (n && is_blank(*s))
		s++, n--;
	y->pending = 1;
	append(y, s, n);
}

/* "filename=x", at the start of a line, behind a Content- field? */
static int
is_parameter(struct layer const *y, char const *s, size_t n)
{
	size_t i;

	if (y->nn < 8 || strncasecmp(y->name, "content-", 8) != 0)
		return 0;
	for (i = 0; i < n && s[i] != '='; i++)
		if (is_blank(s[i]) || s[i] == ':' || s[i] == '"')
			break;
	return i && i < n && s[i] == '=' && i + 1 < n;
}

/* Neither a field nor a part of one. */
static void
garbage_line(struct layer *y, char const *s, size_t n)
{
	size_t from = n && *s == '>';

	if (y->first && y->message && n - from > 5 &&
	    memcmp(s + from, "From ", 5) == 0)
		return;		/* of an mbox file */
	if (is_parameter(y, s, n)) {
		entity_anomaly(y, WALK_UNINDENTED, s, n);
		append(y, " ", 1);
		append(y, s, n);
		return;
	}
	entity_anomaly(y, WALK_HEADER_GARBAGE, s, n);
	report_field(y);
	begin_early(y);
}

static void
field_line(struct layer *y, char const *s, size_t n)
{
	struct name name;
	size_t colon = take_name(&name, s, n);

	if (colon)
		start_field(y, &name, s + colon + 1, n - colon - 1);
	else
		garbage_line(y, s, n);
}

static void
continuation(struct layer *y, char const *s, size_t n)
{
	while (n && is_blank(*s))
		s++, n--;
	if (!n) {
		entity_anomaly(y, WALK_HEADER_BLANK, "", 0);
		report_field(y);
		return;
	}
	if (!y->nn) {
		entity_anomaly(y, WALK_HEADER_FIRST, s, n);
		field_line(y, s, n);
		return;
	}
	append(y, " ", 1);
	append(y, s, n);
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
	report_field(y);
	return entity_delimiter(&y->entity, s, n);
}

/* Does the empty line end it?  One before it does not, for some readers. */
static int
empty_line(struct layer *y)
{
	if (!y->first || !y->message)
		return 1;
	entity_anomaly(y, WALK_HEADER_FIRST, "", 0);
	return 0;
}

static void
header_line(struct layer *y, int complete)
{
	char const *s = y->line;
	size_t n = y->have, whole = n;
	int blank;

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
	if (!n && empty_line(y)) {
		if (!y->cut)
			pass_line(y, s, whole, complete);
		y->cut = 0;
		end_header(y);
		return;
	}
	blank = n && is_blank(*s);
	if (blank)
		continuation(y, s, n);
	else if (n)
		field_line(y, s, n);
	y->first &= !n;
	if (!y->cut)
		pass_line(y, s, whole, complete);
	y->cut = 0;
	if (!n || (blank && !y->pending))
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
			pass_line(y, y->line, y->have, 0);
		y->cut = 1;
		feed_readings(y, s + fits, k - fits);
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
		close_readings(y, m->level + 1);
	if (y->readings)
		pass_line(y, s, n, complete);
	else
		y->end = 0;
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
	while (n && (is_blank(s[n - 1]) || s[n - 1] == '\r'))
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
	pass_line(y, s, n, complete);
}

static int
may_delimit(struct layer const *y, char const *s, size_t n, int preamble)
{
	if (*s == '-')
		return n == 1 || s[1] == '-';
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

/* Such a piece to the readings, but for the end of its last line. */
static void
pass_run(struct layer *y, char const *s, size_t n)
{
	size_t k = n;

	if (!y->readings) {
		y->end = 0;
		return;
	}
	release_end(y);
	if (s[k - 1] == '\n')
		k--;
	if (k && s[k - 1] == '\r')
		k--;
	feed_readings(y, s, k);
	y->end = n - k;
	memcpy(y->end_of_line, s + k, y->end);
}

/* Part of a body.  How much of s that was. */
static size_t
body_feed(struct layer *y, char const *s, size_t n)
{
	char const *e;
	size_t k;

	if (y->end == 1 && *y->end_of_line == '\r' && !y->bol && *s == '\n') {
		y->end_of_line[y->end++] = '\n';
		y->bol = 1;
		return 1;
	}
	k = y->held ? 0 : run(y, s, n);
	if (k) {
		pass_run(y, s, k);
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
	y->n = y->readings = 0;
	y->swallow = 0;
	y->bol = 1;
	y->end = y->held = y->again = 0;
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
	release_end(y);
	close_readings(y, 0);
	pop_levels(y, 0);
}
