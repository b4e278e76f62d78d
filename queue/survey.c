#include "queue/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/exitcode.h"
#include "lib/job.h"
#include "queue/orders.h"

static void
list_one(struct tool *t, struct look *l, void *ctx)
{
	struct said said;

	(void)ctx;
	if (!tool_ask(t, l, &said))
		return;
	if (t->json)
		printf("%s", t->printed ? ",\n" : "[\n");
	show_message(l, &said, &t->choice, t->json);
	t->printed++;
}

int
survey_list(struct tool *t, char const *const *argv)
{
	tool_words(t, argv);
	if (orders_open() == -1 && t->choice.reason)
		tool_need_send();
	tool_each(t, list_one, 0);
	if (t->json)
		puts(t->printed ? "\n]" : "[]");
	return t->bad ? EXIT_PERM : EXIT_DONE;
}

static void
print_header(struct look const *l)
{
	char buf[4096];
	ssize_t n = pread(l->fd, buf, l->file.body < sizeof buf ?
	    l->file.body : sizeof buf, 0);
	char const *s = buf, *lf;

	putchar('\n');
	while (n > 0 && (lf = memchr(s, '\n', n)) && lf != s) {
		for (; s <= lf; s++, n--)
			putchar(*s == '\n' || *s == '\t' || (*s >= 32 &&
			    *s < 127) ? *s : '?');
	}
}

static void
show_one(struct tool *t, struct look *l, void *ctx)
{
	struct said said;

	(void)ctx;
	tool_ask(t, l, &said);
	show_message(l, &said, &t->choice, t->json);
	if (t->json)
		putchar('\n');
	else
		print_header(l);
	t->printed++;
}

int
survey_show(struct tool *t, char const *const *argv)
{
	tool_words(t, argv);
	if (!t->choice.ids.len)
		tool_usage();
	orders_open();
	tool_each(t, show_one, 0);
	return t->bad ? EXIT_PERM : EXIT_DONE;
}

/* What count adds up. */
struct tally {
	char const *by;
	stralloc keys;		/* each NUL-terminated */
};

static void
add_key(struct tally *y, char const *s, size_t n)
{
	if (job_put(&y->keys, s, n) == -1)
		tool_nomem();
}

static void
count_one(struct tool *t, struct look *l, void *ctx)
{
	struct said said = { 0, 0, "" };
	struct tally *y = ctx;
	size_t pos = 0, at, n;
	char const *to, *host;

	if ((orders_are_open() || t->choice.reason) && !tool_ask(t, l, &said))
		return;
	if (strcmp(y->by, "sender") == 0) {
		add_key(y, l->sender, strlen(l->sender));
	} else if (strcmp(y->by, "reason") == 0) {
		add_key(y, said.reason, strlen(said.reason));
	} else if (strcmp(y->by, "state") == 0) {
		host = show_state(&said, l->held);
		add_key(y, host, strlen(host));
	} else {
		while ((to = look_recipient(l, &pos, &at))) {
			host = strrchr(to, '@');
			n = strlen(host ? host + 1 : "");
			add_key(y, host ? host + 1 : "", n);
		}
	}
}

static int
compare(void const *a, void const *b)
{
	return strcasecmp(*(char const *const *)a, *(char const *const *)b);
}

static char const **
sorted_keys(struct tally const *y, size_t *n)
{
	char const **key;
	size_t i, k = 0;

	for (i = 0, *n = 0; i < y->keys.len; i++)
		*n += !y->keys.s[i];
	key = calloc(*n + 1, sizeof *key);
	if (!key)
		tool_nomem();
	for (i = 0; i < y->keys.len; i += strlen(y->keys.s + i) + 1)
		key[k++] = y->keys.s + i;
	qsort(key, *n, sizeof *key, compare);
	return key;
}

static void
print_count(struct tool *t, char const *by, char const *key,
    size_t count)
{
	if (t->json) {
		printf("%s{\"count\":%zu,\"%s\":", t->printed++ ? ",\n" :
		    "[\n", count, by);
		show_json_string(key, strlen(key));
		putchar('}');
	} else {
		printf("%zu\t", count);
		show_text(key, strlen(key));
		putchar('\n');
	}
}

int
survey_count(struct tool *t, char const *const *argv)
{
	static char const *const by[] = { "domain", "sender", "reason",
	    "state" };
	struct tally y = { 0, STRALLOC_ZERO };
	char const **key;
	size_t n, i, k = 0;

	y.by = *argv;
	while (k < 4 && y.by && strcmp(y.by, by[k]))
		k++;
	if (!y.by || k == 4)
		tool_usage();
	tool_words(t, argv + 1);
	if (strcmp(y.by, "reason") == 0 || t->choice.reason)
		tool_need_send();
	else if (strcmp(y.by, "state") == 0)
		orders_open();
	tool_each(t, count_one, &y);
	key = sorted_keys(&y, &n);
	for (i = 0; i < n; i += k) {
		for (k = 1; i + k < n && !compare(key + i, key + i + k); k++)
			;
		print_count(t, y.by, key[i], k);
	}
	if (t->json)
		puts(t->printed ? "\n]" : "[]");
	free(key);
	stralloc_free(&y.keys);
	return EXIT_DONE;
}

int
survey_status(struct tool *t, char const *const *argv)
{
	static char const *const names[] = { "new", "waiting", "ready",
	    "active", "marking", "leaving", "held", "local", "locallimit",
	    "remote", "remotelimit", "destinations", "requests" };
	size_t pos = 0, i;
	uint64_t u;

	if (*argv)
		tool_usage();
	if (orders_open() == -1 || orders_ask('S', 0, &t->answer) != 1) {
		puts(t->json ? "{\"send\":false}" : "send: not running");
		return EXIT_TEMP;
	}
	printf(t->json ? "{\"send\":true" : "send: running\n");
	for (i = 0; i < sizeof names / sizeof *names; i++) {
		if (!job_field_number(t->answer.s, t->answer.len, &pos, &u))
			break;
		printf(t->json ? ",\"%s\":%llu" : "%s: %llu\n", names[i],
		    (unsigned long long)u);
	}
	if (t->json)
		puts("}");
	return EXIT_DONE;
}
