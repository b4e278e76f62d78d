#include "scanq/fields.h"

#include <string.h>
#include <strings.h>

static void
anomaly(struct fields *f, int code, char const *s, size_t n)
{
	walkout_anomaly(f->entity->out, f->entity->part, code, s, n);
}

void
fields_start(struct fields *f, struct entity *e, int message)
{
	f->entity = e;
	f->message = message;
	f->first = 1;
	f->pending = 0;
	f->kept = f->nn = 0;
}

void
fields_report(struct fields *f)
{
	if (!f->pending)
		return;
	f->pending = 0;
	if (memchr(f->value, 0, f->kept))
		anomaly(f, WALK_HEADER_NUL, f->name, f->nn);
	entity_field(f->entity, f->name, f->nn, f->value, f->kept);
}

/* More of the value. */
static void
append(struct fields *f, char const *s, size_t n)
{
	size_t room = WALK_VALUE - f->kept;

	if (n > room) {
		anomaly(f, WALK_HEADER_LONG, f->name, f->nn);
		n = room;
	}
	memcpy(f->value + f->kept, s, n);
	f->kept += n;
	f->pending = 1;
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
	char s[FIELDS_NAME];
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
		else if (name->n < FIELDS_NAME)
			name->s[name->n++] = c;
	}
	return i < n && name->n ? i : 0;
}

static void
start_field(struct fields *f, struct name const *name, char const *s, size_t n)
{
	fields_report(f);
	memcpy(f->name, name->s, name->n);
	f->nn = name->n;
	f->kept = 0;
	if (name->odd & NAME_COMMENT)
		anomaly(f, WALK_HEADER_COMMENT, s, n);
	else if (name->odd & NAME_SPACE)
		anomaly(f, WALK_HEADER_SPACE, s, n);
	if (name->odd & NAME_NUL)
		anomaly(f, WALK_HEADER_NUL, s, n);
	while (n && is_blank(*s))
		s++, n--;
	f->pending = 1;
	append(f, s, n);
}

/* "filename=x", at the start of a line, behind a Content- field? */
static int
is_parameter(struct fields const *f, char const *s, size_t n)
{
	size_t i;

	if (f->nn < 8 || strncasecmp(f->name, "content-", 8) != 0)
		return 0;
	for (i = 0; i < n && s[i] != '='; i++)
		if (is_blank(s[i]) || s[i] == ':' || s[i] == '"')
			break;
	return i && i < n && s[i] == '=' && i + 1 < n;
}

/* Neither a field nor a part of one. */
static enum fields_line
garbage_line(struct fields *f, char const *s, size_t n)
{
	size_t from = n && *s == '>';

	if (f->first && f->message && n - from > 5 &&
	    memcmp(s + from, "From ", 5) == 0)
		return FIELDS_HEADER;	/* of an mbox file */
	if (is_parameter(f, s, n)) {
		anomaly(f, WALK_UNINDENTED, s, n);
		append(f, " ", 1);
		append(f, s, n);
		return FIELDS_HEADER;
	}
	anomaly(f, WALK_HEADER_GARBAGE, s, n);
	fields_report(f);
	return FIELDS_BODY;
}

static enum fields_line
field_line(struct fields *f, char const *s, size_t n)
{
	struct name name;
	size_t colon = take_name(&name, s, n);

	if (!colon)
		return garbage_line(f, s, n);
	start_field(f, &name, s + colon + 1, n - colon - 1);
	return FIELDS_HEADER;
}

static enum fields_line
continuation(struct fields *f, char const *s, size_t n)
{
	while (n && is_blank(*s))
		s++, n--;
	if (!n) {
		anomaly(f, WALK_HEADER_BLANK, "", 0);
		fields_report(f);
		return FIELDS_BEHIND;
	}
	if (!f->nn) {
		anomaly(f, WALK_HEADER_FIRST, s, n);
		return field_line(f, s, n);
	}
	append(f, " ", 1);
	append(f, s, n);
	return FIELDS_HEADER;
}

enum fields_line
fields_line(struct fields *f, char const *s, size_t n)
{
	enum fields_line r = is_blank(*s) ? continuation(f, s, n) :
	    field_line(f, s, n);

	f->first = 0;
	/* a folded line that no field has taken */
	if (r == FIELDS_HEADER && is_blank(*s) && !f->pending)
		r = FIELDS_BEHIND;
	return r;
}

int
fields_empty(struct fields *f)
{
	if (!f->first || !f->message)
		return 1;
	anomaly(f, WALK_HEADER_FIRST, "", 0);
	return 0;
}
