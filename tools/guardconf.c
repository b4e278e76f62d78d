#include "tools/guardconf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "tools/wildmat.h"

struct setting {
	char const *key;
	enum { TEXT, NUMBER, LIST, LOG, RULES, TYPE, COUNT, UNUSED } kind;
	size_t at;
};

#define AT(member) offsetof(struct guardconf, member)

static struct setting const settings[] = {
	{ "logtype", TYPE, 0 },
	{ "logfile", LOG, 0 },
	{ "ignorefile", LIST, AT(ignore) },
	{ "highfile", LIST, AT(high) },
	{ "badmailfile", TEXT, AT(badmail) },
	{ "sysadmin", TEXT, AT(sysadmin) },
	{ "hostname", TEXT, AT(hostname) },
	{ "statfile", TEXT, AT(state) },
	{ "wcnt", NUMBER, AT(warning) },
	{ "bcnt", NUMBER, AT(blocking) },
	{ "pcnt", NUMBER, AT(paranoid) },
	{ "window", NUMBER, AT(window) },
	{ "blocktime", NUMBER, AT(blocktime) },
	{ "alerts", NUMBER, AT(alerts) },
	{ "count", COUNT, 0 },
	{ "rules", RULES, 0 },
	/* mail goes through our own queue, and there is no access map */
	{ "mail_command", UNUSED, 0 },
	{ "makemap_command", UNUSED, 0 },
	/* about qsheff */
	{ "enable_subj_filt", UNUSED, 0 },
	{ "qsheff_rules_file", UNUSED, 0 },
	{ "trim_subj_str", UNUSED, 0 }
};

static char const *name;	/* of the file */
static unsigned int line;
static int good;

static void
mistake(char const *text, char const *value)
{
	char fmt[UINT_FMT];

	fmt[uint_fmt(fmt, line)] = 0;
	strerr_warn(PROG, ": error: ", name, ": line ", fmt, ": ", text,
	    value);
	good = 0;
}

/* A list of patterns; that it is not there is told, and no harm. */
static int
read_list(stralloc *out, char const *file)
{
	size_t i;

	out->len = 0;
	if (!openslurpclose(out, file)) {
		if (errno != ENOENT)
			return -1;
		strerr_warnw2sys("no patterns: ", file);
		return 1;
	}
	if (!stralloc_append(out, '\n'))
		return -1;
	for (i = 0; i < out->len; i++)
		if (strchr("\r\n", out->s[i]))
			out->s[i] = 0;
	return 1;
}

/* Words of value, which must last. */
static void
words(char *value, char const **word, size_t *n, size_t most)
{
	for (*n = 0; ; ) {
		value += strspn(value, " \t,");
		if (!*value)
			return;
		if (*n == most) {
			mistake("too many: ", value);
			return;
		}
		word[(*n)++] = value;
		value += strcspn(value, " \t,");
		if (*value)
			*value++ = 0;
	}
}

static void
set_count(struct guardconf *c, char *value)
{
	static struct {
		char const *name;
		int bit;
	} const what[] = {
		{ "user", GUARD_USER }, { "client", GUARD_CLIENT },
		{ "sender", GUARD_SENDER }
	};
	char const *word[8];
	size_t i, j, n;

	words(value, word, &n, 8);
	for (i = 0; i < n; i++) {
		for (j = 0; j < 3 && strcmp(word[i], what[j].name) != 0; j++)
			;
		if (j == 3)
			mistake("neither user, client nor sender: ", word[i]);
		else
			c->count |= what[j].bit;
	}
}

static void
set_rules(struct guardconf *c, char *value)
{
	size_t i;

	words(value, c->rules, &c->nrules, GUARDCONF_RULES);
	for (i = 0; i < c->nrules; i++)
		if (strchr(c->rules[i], '/') || *c->rules[i] == '.')
			mistake("not a name below rules/: ", c->rules[i]);
}

/* multilog's "current" stands for its directory. */
static void
add_log(struct guardconf *c, char *value)
{
	size_t n = strlen(value);

	if (c->logs == GUARDCONF_LOGS) {
		mistake("too many logs: ", value);
		return;
	}
	if (n > 8 && !strcmp(value + n - 8, "/current"))
		value[n - 8] = 0;
	c->log[c->logs++] = value;
}

static int
set(struct guardconf *c, struct setting const *s, char *value)
{
	void *at = (char *)c + s->at;

	switch (s->kind) {
	case TEXT: *(char const **)at = value; break;
	case NUMBER:
		if (!uint0_scan(value, (unsigned int *)at) ||
		    !*(unsigned int *)at)
			mistake("not a number from 1 on: ", value);
		break;
	case LIST: return read_list(at, value);
	case LOG: add_log(c, value); break;
	case RULES: set_rules(c, value); break;
	case COUNT: set_count(c, value); break;
	case TYPE:
		c->qmail = !strcmp(value, "qmail");
		if (!c->qmail && strcmp(value, "postern") != 0)
			mistake("only postern and qmail, not: ", value);
		break;
	case UNUSED: break;
	}
	return 1;
}

/* "value" or value, without what stands behind it; 0: no end. */
static char *
value_of(char *s)
{
	char *end;

	s += strspn(s, " \t");
	if (*s == '"') {
		end = strchr(++s, '"');
		if (!end)
			return 0;
		*end = 0;
		return s;
	}
	s[strcspn(s, "#;")] = 0;
	end = s + strlen(s);
	while (end > s && strchr(" \t\r", end[-1]))
		*--end = 0;
	return s;
}

static int
do_line(struct guardconf *c, char *s, char const **what)
{
	char *key = s + strspn(s, " \t"), *value, *end = key;
	size_t i;

	if (!*key || *key == '#' || *key == '\r')
		return 1;
	end += strcspn(key, " \t=");
	value = strchr(end, '=');
	if (!value || strspn(end, " \t") != (size_t)(value - end)) {
		mistake("not key = value: ", key);
		return 1;
	}
	*end = 0;
	value = value_of(value + 1);
	if (!value) {
		mistake("a quote without its end: ", key);
		return 1;
	}
	for (i = 0; i < sizeof settings / sizeof *settings; i++)
		if (!strcmp(settings[i].key, key)) {
			*what = value;
			return set(c, settings + i, value);
		}
	mistake("unknown key: ", key);
	return 1;
}

static void
check(struct guardconf *c)
{
	line = 0;
	if (c->warning >= c->blocking || c->blocking >= c->paranoid)
		mistake("not wcnt < bcnt < pcnt", "");
	if (c->window < 10 || c->window > 86400)
		mistake("window must be from 10 to 86400 seconds", "");
	if (c->qmail && !c->logs)
		mistake("logfile is missing", "");
	if (!c->count)
		c->count = c->qmail ? GUARD_SENDER | GUARD_CLIENT :
		    GUARD_USER | GUARD_CLIENT |
		    (c->badmail ? GUARD_SENDER : 0);
	if (!c->logs)
		c->log[c->logs++] = "log";
	if (!c->nrules)
		c->rules[c->nrules++] = "smtp";
}

int
guardconf_read(struct guardconf *c, char const *file, int must,
    char const **what)
{
	static stralloc all = STRALLOC_ZERO;	/* what *c points into */
	char *s, *next;

	memset(c, 0, sizeof *c);
	c->state = "state/spamguard";
	c->warning = 60;
	c->blocking = 120;
	c->paranoid = 600;
	c->window = 300;
	c->blocktime = 3600;
	c->alerts = 6;
	name = *what = file;
	line = 0;
	good = 1;
	if (!openslurpclose(&all, file) && (must || errno != ENOENT))
		return -1;
	if (!stralloc_0(&all))
		return -1;
	for (s = all.s; *s; s = next) {
		next = s + strcspn(s, "\n");
		if (*next)
			*next++ = 0;
		line++;
		if (do_line(c, s, what) == -1)
			return -1;
	}
	check(c);
	return good;
}

int
guardconf_matches(stralloc const *list, char const *text)
{
	size_t i, n;

	for (i = 0; i < list->len; i += n + 1) {
		char const *p = list->s + i;

		n = strlen(p);
		if (n && *p != '#' && wildmat(text, p))
			return 1;
	}
	return 0;
}
