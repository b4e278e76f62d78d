#include "queue/show.h"

#include <stdio.h>
#include <string.h>

#include "lib/date822.h"
#include "lib/job.h"
#include "lib/log.h"
#include "queue/orders.h"

void
show_ask(uint64_t id, struct said *said, stralloc *out)
{
	size_t pos = 0;
	char const *state, *reason;

	*said = (struct said){ 0, 0, "" };
	if (!orders_are_open() || orders_ask('Q', id, out) != 1)
		return;
	state = job_field(out->s, out->len, &pos);
	if (!state || !job_field_number(out->s, out->len, &pos, &said->next))
		return;
	reason = job_field(out->s, out->len, &pos);
	said->state = *state;
	if (reason)
		said->reason = reason;
}

char const *
show_state(struct said const *said, int held)
{
	switch (said->state) {
	case 'f':
		return "new";
	case 'w':	/* perhaps not read since send's start */
		return held ? "held" : "waiting";
	case 'p':
		return "ready";
	case 'a':
		return "active";
	case 'm':
		return "waiting";
	case 'l':
	case 'g':
		return "leaving";
	case 'h':
		return "held";
	default:
		return held ? "held" : "queued";
	}
}

void
show_text(char const *s, size_t n)
{
	stralloc out = STRALLOC_ZERO;

	if (log_escape(&out, s, n) == 1)
		fwrite(out.s, 1, out.len, stdout);
	stralloc_free(&out);
}

/* Bytes above 127 as if they were Latin-1: what they are nobody knows. */
void
show_json_string(char const *s, size_t n)
{
	size_t i;

	putchar('"');
	for (i = 0; i < n; i++) {
		unsigned char c = s[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 32 || c > 126)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void
reason_line(char const *s)
{
	size_t i;

	printf("\treason: ");
	for (i = 0; s[i]; i++)
		putchar(s[i] < 32 || s[i] > 126 ? ' ' : s[i]);
	putchar('\n');
}

static void
words(struct look const *l, struct said const *said, struct choice const *c)
{
	char date[DATE822_LEN + 1];
	size_t n = date822(date, l->file.birth / 1000000), pos = 0, at;
	char const *to;

	date[n > 6 ? n - 6 : 0] = 0;	/* " -0000" */
	printf("%llu  %s GMT  %llu  <", (unsigned long long)l->id, date,
	    (unsigned long long)l->file.body);
	show_text(l->sender, strlen(l->sender));
	printf(">  %s", show_state(said, l->held));
	if (said->state == 'w' && !l->held)
		printf(", next try in %llu s",
		    (unsigned long long)said->next);
	putchar('\n');
	while ((to = look_recipient(l, &pos, &at))) {
		if (!look_fits_recipient(c, to))
			continue;
		putchar('\t');
		show_text(to, strlen(to));
		putchar('\n');
	}
	if (*said->reason)
		reason_line(said->reason);
}

static void
object(struct look const *l, struct said const *said, struct choice const *c)
{
	size_t pos = 0, at;
	char const *to, *comma = "";

	printf("{\"id\":\"%llu\",\"arrival\":%llu,\"size\":%llu,\"sender\":",
	    (unsigned long long)l->id,
	    (unsigned long long)(l->file.birth / 1000000),
	    (unsigned long long)l->file.body);
	show_json_string(l->sender, strlen(l->sender));
	printf(",\"state\":\"%s\",\"held\":%s", show_state(said, l->held),
	    l->held ? "true" : "false");
	if (said->state == 'w' && !l->held)
		printf(",\"next\":%llu", (unsigned long long)said->next);
	if (*said->reason) {
		printf(",\"reason\":");
		show_json_string(said->reason, strlen(said->reason));
	}
	printf(",\"recipients\":[");
	while ((to = look_recipient(l, &pos, &at))) {
		if (!look_fits_recipient(c, to))
			continue;
		printf("%s", comma);
		show_json_string(to, strlen(to));
		comma = ",";
	}
	printf("]}");
}

void
show_message(struct look const *l, struct said const *said,
    struct choice const *c, int json)
{
	if (json)
		object(l, said, c);
	else
		words(l, said, c);
}
