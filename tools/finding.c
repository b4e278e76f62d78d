#include "tools/finding.h"

#include <stdarg.h>
#include <stdio.h>

enum { WHAT = 512 };

static struct {
	char const *text, *json, *colour;
} const grades[] = {
	{ "ok", "ok", "\033[32m" },
	{ "note", "note", "" },
	{ "WARN", "warning", "\033[33m" },
	{ "BAD", "bad", "\033[31m" }
};

static int as_json, in_colour, count;
static char const *check = "";
static enum grade worst;

void
finding_style(int json, int colour)
{
	as_json = json;
	in_colour = colour;
}

void
finding_check(char const *name)
{
	check = name;
}

static void
put(char const *s)
{
	for (; *s; s++)
		putchar(*s < 32 || *s > 126 ? '?' : *s);
}

static void
put_json(char const *name, char const *s)
{
	printf("\"%s\": \"", name);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar(*s < 32 || *s > 126 ? '?' : *s);
	}
	putchar('"');
}

static void
print_json(struct finding const *f)
{
	printf(count++ ? ",\n  { " : "[\n  { ");
	put_json("check", check);
	printf(", ");
	put_json("grade", grades[f->grade].json);
	printf(", ");
	put_json("what", f->what);
	if (f->why) {
		printf(", ");
		put_json("why", f->why);
	}
	if (f->mend) {
		printf(", ");
		put_json("mend", f->mend);
	}
	printf(" }");
}

static void
print(struct finding const *f)
{
	printf("%s%-5s%s %-10s ", in_colour ? grades[f->grade].colour : "",
	    grades[f->grade].text, in_colour ? "\033[0m" : "", check);
	put(f->what);
	if (f->why) {
		printf(": ");
		put(f->why);
	}
	if (f->mend) {
		printf("; mend: ");
		put(f->mend);
	}
	putchar('\n');
	fflush(stdout);
}

void
finding(struct finding const *f)
{
	if (f->grade > worst)
		worst = f->grade;
	if (as_json)
		print_json(f);
	else
		print(f);
}

static void
formatted(enum grade grade, char const *why, char const *mend,
    char const *format, va_list a)
{
	char what[WHAT];
	struct finding f = { grade, what, why, mend };

	vsnprintf(what, sizeof what, format, a);
	finding(&f);
}

void
finding_ok(char const *format, ...)
{
	va_list a;

	va_start(a, format);
	formatted(FINDING_OK, 0, 0, format, a);
	va_end(a);
}

void
finding_note(char const *format, ...)
{
	va_list a;

	va_start(a, format);
	formatted(FINDING_NOTE, 0, 0, format, a);
	va_end(a);
}

void
finding_warn(char const *why, char const *mend, char const *format, ...)
{
	va_list a;

	va_start(a, format);
	formatted(FINDING_WARN, why, mend, format, a);
	va_end(a);
}

void
finding_bad(char const *why, char const *mend, char const *format, ...)
{
	va_list a;

	va_start(a, format);
	formatted(FINDING_BAD, why, mend, format, a);
	va_end(a);
}

enum grade
finding_end(void)
{
	if (as_json)
		printf(count ? "\n]\n" : "[]\n");
	return worst;
}
