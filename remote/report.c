#include "remote/report.h"

#include <stdlib.h>
#include <string.h>

#include "lib/limits.h"

enum {
	/* of a reply: two of them and our words fit LIMIT_REPORT */
	SAID = LIMIT_REPORT / 2 - 300,
	NAME = 300		/* of a foreign name */
};

int
report_add(struct report *p, char const *number, char const *address)
{
	struct recipient *r;

	if (p->n == p->room) {
		r = realloc(p->rcpt, (p->room * 2 + 8) * sizeof *r);
		if (!r)
			return -1;
		p->rcpt = r;
		p->room = p->room * 2 + 8;
	}
	r = &p->rcpt[p->n++];
	memset(r, 0, sizeof *r);
	r->number = number;
	r->address = address;
	return 1;
}

void
report_clear(struct report *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		p->rcpt[i].letter = 0;
	p->texts.len = p->text.len = 0;
	p->letter = 0;
}

void
report_reset(struct report *p)
{
	report_clear(p);
	p->n = 0;
}

void
report_set(struct report *p, char letter, char const *const *parts)
{
	p->letter = letter;
	p->text.len = 0;
	while (*parts && stralloc_cats(&p->text, *parts))
		parts++;
}

static void
said(stralloc *out, struct reply const *r)
{
	size_t n = r->n < SAID ? r->n : SAID;

	if (!n)
		return;
	if (stralloc_cats(out, "Remote host said: ") &&
	    stralloc_catb(out, r->text, n) && r->text[n - 1] != '\n')
		stralloc_cats(out, "...\n");
}

void
report_said(struct report *p, struct reply const *r)
{
	said(&p->text, r);
}

void
report_note(struct report *p, char const *text)
{
	if (stralloc_cats(&p->text, text))
		stralloc_cats(&p->text, "\n");
}

void
report_rcpt(struct report *p, size_t i, char letter, char const *ip,
    struct reply const *r)
{
	struct recipient *to = &p->rcpt[i];

	to->letter = letter;
	to->text = p->texts.len;
	if (letter != 'r' && stralloc_cats(&p->texts, ip) &&
	    stralloc_cats(&p->texts, " does not like recipient.\n"))
		said(&p->texts, r);
	to->len = p->texts.len - to->text;
}

void
report_own(struct report *p, size_t i, char letter, char const *text)
{
	struct recipient *to = &p->rcpt[i];

	to->letter = letter;
	to->text = p->texts.len;
	stralloc_cats(&p->texts, text);
	to->len = p->texts.len - to->text;
}

void
report_name(stralloc *out, char const *s, size_t n)
{
	size_t i;

	if (n > NAME)
		n = NAME;
	if (!stralloc_readyplus(out, n))
		return;
	for (i = 0; i < n; i++)
		out->s[out->len++] = s[i] > 32 && s[i] < 127 ? s[i] : '?';
}

char
report_for(struct report const *p, size_t i, stralloc *out)
{
	struct recipient const *to = &p->rcpt[i];

	out->len = 0;
	if (to->letter == 'h' || to->letter == 's') {
		stralloc_catb(out, p->texts.s + to->text, to->len);
		/* as qmail-rspawn puts the two together */
		if (p->letter != 'K')
			stralloc_catb(out, p->text.s, p->text.len);
		return to->letter == 'h' ? 'D' : 'Z';
	}
	stralloc_catb(out, p->text.s, p->text.len);
	return p->letter ? p->letter : 'Z';
}

int
report_print(struct report const *p, stralloc *out)
{
	char letter = p->letter == 'C' || !p->letter ? 'Z' : p->letter;
	size_t i;

	for (i = 0; i < p->n; i++) {
		struct recipient const *to = &p->rcpt[i];

		if (to->letter && (!stralloc_append(out, to->letter) ||
		    !stralloc_catb(out, p->texts.s + to->text, to->len) ||
		    !stralloc_0(out)))
			return -1;
	}
	return stralloc_append(out, letter) &&
	    stralloc_catb(out, p->text.s, p->text.len) && stralloc_0(out) ?
	    1 : -1;
}
