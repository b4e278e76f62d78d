#include "scanq/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <skalibs/types.h>

#include "lib/ipaddr.h"

enum {
	ABOUT_MOST = 120,	/* bytes of what a finding is about */
	DOTS = 8		/* extensions of a name that are looked up */
};

/* A fact on its way to the rules. */
struct fact {
	struct span value;	/* for patterns; and what the finding says */
	uint64_t size;		/* or WALK_UNKNOWN */
	int archive;
	int whole;		/* an allow rule counts for the message */
};

void
judge_add(struct judge *j, enum action action, char const *text,
    char const *about, size_t n)
{
	struct finding *f = j->finding + j->findings;
	size_t i;

	if (action <= ACTION_ALLOW)
		return;
	if (j->findings == JUDGE_FINDINGS) {
		if (action <= j->worst)
			return;
		f--;
		j->findings--;
	}
	if (n > ABOUT_MOST)
		n = ABOUT_MOST;
	f->text.len = f->about.len = 0;
	if (!stralloc_copys(&f->text, text) || !stralloc_0(&f->text) ||
	    !stralloc_copyb(&f->about, about, n) || !stralloc_0(&f->about)) {
		j->error = ENOMEM;
		return;
	}
	for (i = 0; i < n; i++)
		if (f->about.s[i] < 32 || f->about.s[i] > 126)
			f->about.s[i] = '?';
	f->action = action;
	if (action > j->worst) {
		j->worst = action;
		j->worst_at = j->findings;
	}
	j->findings++;
}

/* ---- conditions */

static int
covers_sender(struct judge const *j, struct span const *who)
{
	if (who->n == 2 && !memcmp(who->s, "<>", 2))
		return !j->sender.n;
	return rule_covers(who, j->sender.s, j->sender.n);
}

/* Some recipient; for an allow rule all of them: the strictest one decides. */
static int
covers_recipients(struct judge const *j, struct rule const *r)
{
	stralloc const *env = j->envelope;
	size_t i = j->sender.n + 2, n, some = 0, all = 0;

	for (; i < env->len; i += n + 2) {
		n = strlen(env->s + i + 1);
		all++;
		some += rule_covers(&r->rcpt, env->s + i + 1, n);
	}
	return r->action == ACTION_ALLOW ? all && some == all : some > 0;
}

/* "192.0.2.7", "192.0.2.", "192.0.2.0/24", "2001:db8::/32" */
static int
covers_ip(char const *ip, struct span const *who)
{
	struct ipaddr a, net;
	char const *slash = memchr(who->s, '/', who->n);
	size_t n = slash ? (size_t)(slash - who->s) : who->n;
	unsigned int bits = 128;

	if (!ip)
		return 0;
	if (who->n && who->s[who->n - 1] == '.')
		return !strncmp(ip, who->s, who->n);
	if (!ipaddr_scan(ip, strlen(ip), &a) || !ipaddr_scan(who->s, n, &net))
		return 0;
	if (slash && !uint_scan(slash + 1, &bits))
		return 0;
	if (!slash)
		return !memcmp(a.b, net.b, sizeof a.b);
	return ipaddr_within(&a, &net, bits);
}

static int
covers_user(char const *user, struct span const *who)
{
	if (!user)
		return 0;
	return (who->n == 1 && *who->s == '*') ||
	    (strlen(user) == who->n && !strncasecmp(user, who->s, who->n)) ||
	    rule_covers(who, user, strlen(user));
}

static int
conditions(struct judge const *j, struct rule const *r)
{
	return (!r->from.n || covers_sender(j, &r->from)) &&
	    (!r->rcpt.n || covers_recipients(j, r)) &&
	    (!r->user.n || covers_user(j->user, &r->user)) &&
	    (!r->ip.n || covers_ip(j->ip, &r->ip));
}

static int
size_fits(struct rule const *r, uint64_t size)
{
	if (r->test == SIZE_ANY)
		return 1;
	if (size == WALK_UNKNOWN)
		return 0;
	return r->test == SIZE_EQUAL ? size == r->size :
	    r->test == SIZE_BELOW ? size < r->size : size > r->size;
}

/* The pattern of a rule, compiled once for a message as far as there is room.
 * *own is used where there is none.
 */
static struct pattern *
pattern_of(struct judge *j, uint32_t number, struct rule const *r,
    struct pattern *own)
{
	struct pattern *p = own;
	char const *why;
	size_t i;

	for (i = 0; i < j->patterns; i++)
		if (j->pattern_number[i] == number)
			return j->pattern + i;
	if (j->patterns < JUDGE_PATTERNS)
		p = j->pattern + j->patterns;
	if (pattern_read(p, r->pattern.s, r->pattern.n, &why) != 1) {
		j->error = EPROTO;
		return 0;
	}
	if (p != own)
		j->pattern_number[j->patterns++] = number;
	return p;
}

static int
pattern_fits(struct judge *j, uint32_t number, struct rule const *r,
    struct span const *value)
{
	struct pattern own = PATTERN_ZERO;
	struct pattern *p = pattern_of(j, number, r, &own);
	int k = p ? pattern_match(p, value->s, value->n) : 0;

	if (k == -1)
		j->error = errno;
	if (p == &own)
		pattern_free(&own);
	return k == 1;
}

/* ---- search */

static int
fits(struct judge *j, uint32_t number, struct rule const *r,
    struct fact const *f)
{
	if (r->place != PLACE_ANY &&
	    (r->place == PLACE_ARCHIVE) != f->archive)
		return 0;
	if (!size_fits(r, f->size) || !conditions(j, r))
		return 0;
	switch (r->subject) {
	case SUBJECT_HEADER:
	case SUBJECT_PSEUDO:
	case SUBJECT_SIGNATURE:
		return pattern_fits(j, number, r, &f->value);
	default:
		return 1;
	}
}

static void
found(struct judge *j, uint32_t number, struct rule const *r,
    struct fact const *f)
{
	if (r->action != ACTION_ALLOW)
		judge_add(j, r->action, r->text.s, f->value.s, f->value.n);
	else if (f->whole && number < j->end)
		j->end = number;
}

/* The first rule for any of these keys that fits; its number in *best. */
static void
search(struct judge *j, enum subject subject, char const *key, size_t len,
    struct fact const *f, uint32_t *best, struct rule *rule)
{
	char const *numbers;
	struct rule r;
	size_t n, i;
	uint32_t number;
	int k = ruleset_find(&j->rules, subject, key, len, &numbers, &n);

	if (k == -1)
		j->error = errno;
	if (k != 1)
		return;
	for (i = 0; i < n && !j->error; i++) {
		number = ruleset_number(numbers, i);
		if (number >= *best || number >= j->end)
			return;
		if (ruleset_rule(&j->rules, number, &r) == -1) {
			j->error = errno;
		} else if (fits(j, number, &r, f)) {
			*best = number;
			*rule = r;
			return;
		}
	}
}

/* The action of the rule found, ACTION_NONE if none was. */
static enum action
one(struct judge *j, enum subject subject, char const *key, size_t len,
    struct fact const *f)
{
	uint32_t best = UINT32_MAX;
	struct rule r;

	search(j, subject, key, len, f, &best, &r);
	if (best == UINT32_MAX)
		return ACTION_NONE;
	found(j, best, &r, f);
	return r.action;
}

/* ---- envelope, client, size */

static void
pseudo(struct judge *j, char const *key, char const *s, size_t n)
{
	struct fact f = { { s, n }, WALK_UNKNOWN, 0, 1 };

	if (s)
		one(j, SUBJECT_PSEUDO, key, strlen(key), &f);
}

static void
judge_envelope(struct judge *j)
{
	stralloc const *env = j->envelope;
	size_t i, n;

	pseudo(j, "mailfrom", j->sender.s, j->sender.n);
	for (i = j->sender.n + 2; i < env->len; i += n + 2) {
		n = strlen(env->s + i + 1);
		pseudo(j, "rcptto", env->s + i + 1, n);
	}
	pseudo(j, "tcpremoteip", j->ip, j->ip ? strlen(j->ip) : 0);
	pseudo(j, "tcpremotehost", j->host, j->host ? strlen(j->host) : 0);
	pseudo(j, "user", j->user, j->user ? strlen(j->user) : 0);
}

int
judge_start(struct judge *j, char const *rules, stralloc const *envelope,
    uint64_t size)
{
	struct fact f = { { "", 0 }, size, 0, 1 };
	char fmt[UINT64_FMT];

	j->envelope = envelope;
	j->sender.s = envelope->s + 1;
	j->sender.n = strlen(j->sender.s);
	j->end = UINT32_MAX;
	j->ip = getenv("TCPREMOTEIP");
	j->host = getenv("TCPREMOTEHOST");
	/* not TCPREMOTEINFO: the client's ident server can say anything */
	j->user = getenv("SMTPAUTHUSER");
	if (ruleset_open(&j->rules, rules) == -1)
		return -1;
	judge_envelope(j);
	f.value.s = fmt;
	f.value.n = uint64_fmt(fmt, size);
	one(j, SUBJECT_SIZE, "", 0, &f);
	errno = j->error;
	return j->error ? -1 : 1;
}

/* ---- what the walker sees */

static void
lower(char *out, char const *s, size_t n)
{
	for (; n--; s++)
		*out++ = *s >= 'A' && *s <= 'Z' ? *s | 32 : *s;
}

/* Looks a name up as it is, and each of its extensions, ".gz" and ".tar.gz"
 * alike.
 */
static int
judge_name(struct judge *j, char const *s, size_t n, uint64_t size,
    int archive)
{
	struct fact f = { { s, n }, size, archive, 0 };
	uint32_t best = UINT32_MAX;
	static char name[WALK_NAME];
	struct rule r;
	size_t i, dots = 0;

	if (n > sizeof name) {
		s += n - sizeof name;
		n = sizeof name;
	}
	lower(name, s, n);
	search(j, SUBJECT_NAME, name, n, &f, &best, &r);
	for (i = n; i-- && dots < DOTS;)
		if (name[i] == '.') {
			dots++;
			search(j, SUBJECT_EXTENSION, name + i, n - i, &f,
			    &best, &r);
		}
	if (best == UINT32_MAX)
		return 0;
	found(j, best, &r, &f);
	return 1;
}

int
judge_has_names(struct judge const *j)
{
	return ruleset_has(&j->rules, SUBJECT_NAME) ||
	    ruleset_has(&j->rules, SUBJECT_EXTENSION);
}

static int
in_archive(int source)
{
	return source == WALK_IN_ZIP || source == WALK_IN_ZIP_DIRECTORY ||
	    source == WALK_IN_TAR || source == WALK_IN_GZIP ||
	    source == WALK_IN_RAR || source == WALK_IN_ARCHIVE;
}

/* The host of a URL without a path, such as "http://www.example.com", is not
 * a file of the type .com.
 */
static int
is_host(struct walk_event const *e)
{
	char const *s = e->code == WALK_IN_LOCATION ?
	    memmem(e->t, e->tn, "://", 3) : 0;

	return s && !memchr(s + 3, '/', (size_t)(e->t + e->tn - s) - 3);
}

/* The size of a part is known at its end only: its names wait.  One that
 * finds no room is judged without a size.
 */
static void
judge_file(struct judge *j, struct walk_event const *e)
{
	struct waiting *w = j->waiting + j->waitings;

	if (!judge_has_names(j) || is_host(e))
		return;
	if (in_archive(e->code) || e->size != WALK_UNKNOWN ||
	    j->waitings == JUDGE_WAITING) {
		judge_name(j, e->s, e->n, e->size, in_archive(e->code));
		return;
	}
	w->part = e->part;
	w->decided = 0;
	if (!stralloc_copyb(&w->name, e->s, e->n))
		j->error = ENOMEM;
	else
		j->waitings++;
}

static void
judge_waiting(struct judge *j, uint32_t part, uint64_t size)
{
	struct waiting *w = j->waiting;

	for (; w < j->waiting + j->waitings; w++) {
		if (w->part != part)
			continue;
		w->decided = 1;
		judge_name(j, w->name.s, w->name.len, size, 0);
	}
}

/* Fields of the message; Content-Type of every part. */
static void
judge_header(struct judge *j, struct walk_event const *e)
{
	struct fact f = { { e->t, e->tn }, WALK_UNKNOWN, 0, 0 };
	char name[128];

	if (e->n > sizeof name)
		return;
	lower(name, e->s, e->n);
	if (e->part && (e->n != 12 || memcmp(name, "content-type", 12)))
		return;
	one(j, SUBJECT_HEADER, name, e->n, &f);
}

static void
judge_magic(struct judge *j, struct walk_event const *e)
{
	char const *name = walk_magic_name(e->code);
	struct fact f = { { name, strlen(name) }, e->size, 0, 0 };

	one(j, SUBJECT_MAGIC, name, f.value.n, &f);
}

/* What is done with an anomaly that no rule is about.  Odd mail is usual, so
 * most are only told; what no honest mailer makes, or what hides a file from
 * us, is kept.
 */
static enum action
anomaly_default(int code)
{
	switch (code) {
	case WALK_PARTIAL:
	case WALK_EXTERNAL:
		return ACTION_REFUSE;
	case WALK_TOO_DEEP:
	case WALK_TOO_MANY_PARTS:
	case WALK_TOO_MANY_READINGS:
	case WALK_TOO_MANY_NAMES:
	case WALK_BOUNDARY_MANY:
	case WALK_NAME_BIDI:
	case WALK_NAME_CLSID:
	case WALK_ZIP_DIFFERS:
	case WALK_ARCHIVE_LIMIT:
		return ACTION_QUARANTINE;
	case WALK_UU_IN_TEXT:
	case WALK_CLOSE_MISSING:
	case WALK_BARE_CR:
	case WALK_NAMES_DIFFER:
		return ACTION_LOG;
	default:
		return ACTION_HEADER;
	}
}

/* Each once. */
static void
judge_anomaly(struct judge *j, struct walk_event const *e)
{
	char const *name = walk_anomaly_name(e->code);
	struct fact f = { { e->s, e->n }, WALK_UNKNOWN, 0, 0 };

	if (j->anomaly[e->code])
		return;
	j->anomaly[e->code] = 1;
	j->anomalies++;
	if (one(j, SUBJECT_ANOMALY, name, strlen(name), &f) == ACTION_NONE)
		judge_add(j, anomaly_default(e->code), name, e->s, e->n);
}

void
judge_event(struct judge *j, struct walk_event const *e)
{
	switch (e->type) {
	case WALK_HEADER: judge_header(j, e); break;
	case WALK_FILE: judge_file(j, e); break;
	case WALK_END:
		judge_waiting(j, e->part, e->size);
		judge_magic(j, e);
		break;
	case WALK_ANOMALY: judge_anomaly(j, e); break;
	default: break;
	}
}

void
judge_end(struct judge *j)
{
	size_t i;

	for (i = 0; i < j->waitings; i++)
		if (!j->waiting[i].decided)
			judge_name(j, j->waiting[i].name.s,
			    j->waiting[i].name.len, WALK_UNKNOWN, 0);
}

void
judge_hash(struct judge *j, char const *hex)
{
	struct fact f = { { hex, 64 }, WALK_UNKNOWN, 0, 0 };

	one(j, SUBJECT_HASH, hex, 64, &f);
}

/* ---- clamd */

static struct {
	char const *prefix;
	enum action action;
} const classes[] = {
	/* an archive with a password is no virus, but nobody can look in */
	{ "Heuristics.Encrypted.", ACTION_HEADER },
	{ "Heuristics.Limits.", ACTION_QUARANTINE },
	{ "Heuristics.OLE2.ContainsMacros", ACTION_HEADER },
	{ "Heuristics.Phishing.", ACTION_QUARANTINE },
	{ "Heuristics.Broken", ACTION_HEADER },
	{ "PUA.", ACTION_HEADER }
};

enum action
judge_signature(struct judge *j, char const *s, size_t n)
{
	struct fact f = { { s, n }, WALK_UNKNOWN, 0, 0 };
	enum action a = one(j, SUBJECT_SIGNATURE, "", 0, &f);
	size_t i, k;

	if (a != ACTION_NONE)
		return a;
	a = ACTION_REFUSE;
	for (i = 0; i < sizeof classes / sizeof *classes; i++) {
		k = strlen(classes[i].prefix);
		if (n >= k && !memcmp(s, classes[i].prefix, k))
			a = classes[i].action;
	}
	judge_add(j, a, "virus", s, n);
	return a;
}
