#include "scanq/rule.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <skalibs/types.h>

#include "scanq/pattern.h"
#include "scanq/walk.h"

static char const *const actions[ACTIONS] = {
	"none", "allow", "log", "header", "quarantine", "refuse", "discard"
};

char const *
rule_action_name(enum action a)
{
	return a < ACTIONS ? actions[a] : "none";
}

/* qmail-scanner 2's names for what the walker calls anomalies. */
static struct {
	char const *name;
	char const *anomaly;
} const virtual_headers[] = {
	{ "zippasswordprotected", "encrypted" },
	{ "filelengthtoolong", "name-long" },
	{ "filedoublebarreled", "name-double" },
	{ "fileclsid", "name-clsid" }
};

static char const *const pseudo[] = {
	"mailfrom", "rcptto", "tcpremoteip", "remoteipaddr", "tcpremotehost",
	"user"
};

struct columns {
	struct span pattern, type, options, text;
};

static int
is(struct span const *a, char const *s)
{
	return a->n == strlen(s) && !strncasecmp(a->s, s, a->n);
}

static int
starts(struct span const *a, char const *s)
{
	return a->n >= strlen(s) && !strncasecmp(a->s, s, strlen(s));
}

static void
lower(char *s, size_t n)
{
	for (; n--; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s |= 32;
}

static void
trim(struct span *a)
{
	while (a->n && strchr(" \t\r", *a->s))
		a->s++, a->n--;
	while (a->n && strchr(" \t\r", a->s[a->n - 1]))
		a->n--;
}

/* Columns are separated by tabs, one or more.  1; 0: fewer than three. */
static int
split(char *s, size_t n, struct columns *c)
{
	struct span *to[3] = { &c->pattern, &c->type, &c->text };
	char *end = s + n, *p;
	int i;

	for (i = 0; i < 2; i++) {
		p = memchr(s, '\t', (size_t)(end - s));
		if (!p)
			return 0;
		to[i]->s = s;
		to[i]->n = (size_t)(p - s);
		for (s = p; s < end && *s == '\t'; s++)
			;
	}
	c->text.s = s;
	c->text.n = (size_t)(end - s);
	trim(&c->text);
	trim(&c->type);
	p = memchr(c->type.s, ' ', c->type.n);
	c->options.s = p ? p : c->type.s + c->type.n;
	c->options.n = (size_t)(c->type.s + c->type.n - c->options.s);
	c->type.n -= c->options.n;
	return c->text.n && c->type.n;
}

static int
number(struct span a, uint64_t *out)
{
	size_t i;

	if (!a.n || a.n > 18)
		return 0;
	*out = 0;
	for (i = 0; i < a.n; i++) {
		if (a.s[i] < '0' || a.s[i] > '9')
			return 0;
		*out = *out * 10 + (uint64_t)(a.s[i] - '0');
	}
	return 1;
}

static int
size_of(struct span a, struct rule *r)
{
	r->test = SIZE_EQUAL;
	if (a.n && (*a.s == '<' || *a.s == '>')) {
		r->test = *a.s == '<' ? SIZE_BELOW : SIZE_ABOVE;
		a.s++;
		a.n--;
	}
	return number(a, &r->size);
}

/* "0", "38912", "SIZE=-1", "SIZE=>1000" */
static int
file_type(struct columns const *c, struct rule *r)
{
	struct span a = c->type;

	r->test = SIZE_ANY;
	if (is(&a, "SIZE=-1"))
		return 1;
	if (starts(&a, "SIZE=")) {
		a.s += 5;
		a.n -= 5;
		return size_of(a, r);
	}
	if (!number(a, &r->size))
		return 0;
	r->test = r->size ? SIZE_EQUAL : SIZE_ANY;
	return 1;
}

static int
file_rule(struct columns *c, struct rule *r, char const **why,
    char const **warning)
{
	*why = "no file name";
	if (c->pattern.n > 1 && !memcmp(c->pattern.s, "*.", 2)) {
		c->pattern.s++;
		c->pattern.n--;
		*warning = "read as an extension: \"*\" is not needed";
	}
	if (!c->pattern.n)
		return 0;
	*why = "file names have no wildcards but a leading dot";
	if (memchr(c->pattern.s, '*', c->pattern.n) ||
	    memchr(c->pattern.s, '?', c->pattern.n))
		return 0;
	r->subject = *c->pattern.s == '.' ? SUBJECT_EXTENSION : SUBJECT_NAME;
	r->key = c->pattern;
	lower((char *)r->key.s, r->key.n);
	return 1;
}

/* Compiles a pattern to see that it can be.  A pattern that starts with "*"
 * or "{" is no expression, but how old documents print ".*".
 */
static int
test_pattern(struct columns *c, stralloc *work, char const **why,
    char const **warning)
{
	struct pattern p = PATTERN_ZERO;
	int k;

	if (c->pattern.n && strchr("*{", *c->pattern.s)) {
		work->s[0] = '.';
		memmove(work->s + 1, c->pattern.s, c->pattern.n);
		c->pattern.s = work->s;
		c->pattern.n++;
		*warning = "read with a dot in front: nothing to repeat";
	}
	k = pattern_read(&p, c->pattern.s, c->pattern.n, why);
	if (k == 1)
		k = pattern_compile(&p, why);
	if (k == -1)
		*why = 0;
	pattern_free(&p);
	return k == 1;
}

/* "Virus-Subject:", "Policy-MAILFROM:" */
static int
header_rule(struct columns *c, stralloc *work, struct rule *r,
    char const **why, char const **warning)
{
	struct span a = c->type;
	size_t i, skip = starts(&a, "Virus-") ? 6 : 7;

	r->action = skip == 6 ? ACTION_QUARANTINE : ACTION_REFUSE;
	a.s += skip;
	a.n -= skip;
	if (a.n && a.s[a.n - 1] == ':')
		a.n--;
	*why = "no header field is named";
	if (!a.n)
		return 0;
	lower((char *)a.s, a.n);
	r->subject = SUBJECT_HEADER;
	r->key = a;
	for (i = 0; i < sizeof virtual_headers / sizeof *virtual_headers; i++)
		if (is(&a, virtual_headers[i].name)) {
			r->subject = SUBJECT_ANOMALY;
			r->key.s = virtual_headers[i].anomaly;
			r->key.n = strlen(r->key.s);
			return 1;
		}
	for (i = 0; i < sizeof pseudo / sizeof *pseudo; i++)
		if (is(&a, pseudo[i]))
			r->subject = SUBJECT_PSEUDO;
	*why = "a header field's name has a blank or colon in it";
	for (i = 0; i < a.n; i++)
		if (a.s[i] <= 32 || a.s[i] > 126 || a.s[i] == ':')
			return 0;
	if (is(&a, "remoteipaddr")) {
		r->key.s = "tcpremoteip";
		r->key.n = strlen(r->key.s);
	}
	if (!test_pattern(c, work, why, warning))
		return 0;
	r->pattern = c->pattern;
	return 1;
}

static int
hash_rule(struct columns *c, struct rule *r, char const **why)
{
	size_t i;

	lower((char *)c->pattern.s, c->pattern.n);
	*why = "not 64 hexadecimal digits";
	if (c->pattern.n != 64)
		return 0;
	for (i = 0; i < 64; i++)
		if (!strchr("0123456789abcdef", c->pattern.s[i]))
			return 0;
	r->subject = SUBJECT_HASH;
	r->key = c->pattern;
	return 1;
}

/* Our own types. */
static int
own_rule(struct columns *c, stralloc *work, struct rule *r, char const **why,
    char const **warning)
{
	lower((char *)c->type.s, c->type.n);
	r->key = c->pattern;
	if (is(&c->type, "anomaly")) {
		r->subject = SUBJECT_ANOMALY;
		*why = "no such anomaly";
		return walk_anomaly_code(r->key.s, r->key.n) != -1;
	}
	if (is(&c->type, "magic")) {
		r->subject = SUBJECT_MAGIC;
		*why = "no such type of file";
		return walk_magic_code(r->key.s, r->key.n) != -1;
	}
	if (is(&c->type, "sha256"))
		return hash_rule(c, r, why);
	if (is(&c->type, "message-size")) {
		r->subject = SUBJECT_SIZE;
		*why = "not a size: <N, >N or N";
		r->key.n = 0;
		return size_of(c->pattern, r);
	}
	if (is(&c->type, "signature")) {
		r->subject = SUBJECT_SIGNATURE;
		if (!test_pattern(c, work, why, warning))
			return 0;
		r->pattern = c->pattern;
		r->key.n = 0;
		return 1;
	}
	*why = "unknown type of rule";
	return 0;
}

static int
set_action(struct span const *v, struct rule *r)
{
	int i;

	for (i = ACTION_ALLOW; i < ACTIONS; i++)
		if (is(v, actions[i])) {
			r->action = i;
			return 1;
		}
	return 0;
}

static int
set_place(struct span const *v, struct rule *r)
{
	r->place = is(v, "archive") ? PLACE_ARCHIVE : PLACE_MAIL;
	return is(v, "archive") || is(v, "mail");
}

/* "action=refuse": one of the words behind the type. */
static int
option(struct span const *name, struct span const *v, struct rule *r)
{
	if (!v->n)
		return 0;
	if (is(name, "action"))
		return set_action(v, r);
	if (is(name, "in"))
		return set_place(v, r);
	if (is(name, "from"))
		r->from = *v;
	else if (is(name, "rcpt"))
		r->rcpt = *v;
	else if (is(name, "user"))
		r->user = *v;
	else if (is(name, "ip"))
		r->ip = *v;
	else
		return 0;
	return 1;
}

static int
options(struct span a, struct rule *r)
{
	struct span name, value;
	char const *end, *is_at;

	for (trim(&a); a.n; trim(&a)) {
		end = memchr(a.s, ' ', a.n);
		if (!end)
			end = a.s + a.n;
		is_at = memchr(a.s, '=', (size_t)(end - a.s));
		if (!is_at)
			return 0;
		name.s = a.s;
		name.n = (size_t)(is_at - a.s);
		value.s = is_at + 1;
		value.n = (size_t)(end - value.s);
		if (!option(&name, &value, r))
			return 0;
		a.n -= (size_t)(end - a.s);
		a.s = end;
	}
	return 1;
}

static int
any_type(struct columns *c, stralloc *work, struct rule *r, char const **why,
    char const **warning)
{
	if (file_type(c, r))
		return file_rule(c, r, why, warning);
	if (starts(&c->type, "Virus-") || starts(&c->type, "Policy-"))
		return header_rule(c, work, r, why, warning);
	return own_rule(c, work, r, why, warning);
}

int
rule_read(char const *s, size_t n, stralloc *work, struct rule *rule,
    char const **why, char const **warning)
{
	struct rule r = { .action = ACTION_QUARANTINE, .test = SIZE_ANY,
	    .place = PLACE_ANY };
	struct columns c;

	*why = *warning = 0;
	while (n && (s[n - 1] == '\r' || s[n - 1] == ' '))
		n--;
	if (!n || *s == '#')
		return 0;
	*why = "longer than 4096 bytes";
	if (n > RULE_LINE)
		return -1;
	*why = "holds a NUL";
	if (memchr(s, 0, n))
		return -1;
	/* the first half is for test_pattern */
	*why = 0;
	if (!stralloc_ready(work, 2 * n + 2))
		return -1;
	memcpy(work->s + n + 1, s, n);
	*why = "not three columns with tabs between them";
	if (!split(work->s + n + 1, n, &c))
		return -1;
	if (!any_type(&c, work, &r, why, warning))
		return -1;
	*why = "unknown word behind the type, or unknown value of it";
	if (!options(c.options, &r))
		return -1;
	*why = "discard is for signatures alone";
	if (r.action == ACTION_DISCARD && r.subject != SUBJECT_SIGNATURE)
		return -1;
	r.text = c.text;
	*rule = r;
	return 1;
}

/* Record: subject, action, test, place, one byte each; size, eight bytes;
 * then pattern, from, rcpt, user, ip, text, each with NUL.
 */
enum { HEAD = 12, STRINGS = 6 };

static void
strings_of(struct rule *r, struct span *to[STRINGS])
{
	to[0] = &r->pattern;
	to[1] = &r->from;
	to[2] = &r->rcpt;
	to[3] = &r->user;
	to[4] = &r->ip;
	to[5] = &r->text;
}

int
rule_pack(stralloc *out, struct rule const *rule)
{
	struct rule r = *rule;
	struct span *to[STRINGS];
	char head[HEAD] = { (char)r.subject, (char)r.action, (char)r.test,
	    (char)r.place };
	int i;

	uint64_pack_big(head + 4, r.size);
	if (!stralloc_catb(out, head, HEAD))
		return -1;
	strings_of(&r, to);
	for (i = 0; i < STRINGS; i++)
		if (!stralloc_catb(out, to[i]->s, to[i]->n) ||
		    !stralloc_0(out))
			return -1;
	return 1;
}

int
rule_unpack(char const *s, size_t n, struct rule *rule)
{
	struct span *to[STRINGS];
	char const *nul;
	int i;

	if (n < HEAD || (unsigned char)s[1] >= ACTIONS)
		return 0;
	memset(rule, 0, sizeof *rule);
	rule->subject = s[0];
	rule->action = s[1];
	rule->test = s[2];
	rule->place = s[3];
	uint64_unpack_big(s + 4, &rule->size);
	s += HEAD;
	n -= HEAD;
	strings_of(rule, to);
	for (i = 0; i < STRINGS; i++) {
		nul = memchr(s, 0, n);
		if (!nul)
			return 0;
		to[i]->s = s;
		to[i]->n = (size_t)(nul - s);
		n -= to[i]->n + 1;
		s = nul + 1;
	}
	return 1;
}

int
rule_covers(struct span const *who, char const *s, size_t n)
{
	struct span w = *who;

	if (memchr(w.s, '@', w.n) && *w.s != '@')
		return w.n == n && !strncasecmp(w.s, s, n);
	if (w.n && *w.s == '@')
		w.s++, w.n--;
	if (n <= w.n || !w.n || strncasecmp(s + n - w.n, w.s, w.n))
		return 0;
	return *w.s == '.' || s[n - w.n - 1] == '@';
}
