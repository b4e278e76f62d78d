#include "rules/behind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/home.h"

enum { WORDS = 16 };		/* of clientname and rulesrun at most */

static char *
program(char const *name)
{
	size_t n = strlen(home_path()) + strlen(name) + 6;
	char *s = malloc(n);

	if (s)
		snprintf(s, n, "%s/bin/%s", home_path(), name);
	return s;
}

static char const *
number(unsigned int u)
{
	char *s = malloc(16);

	if (s)
		snprintf(s, 16, "%u", u);
	return s;
}

char const *const *
behind_words(struct behind const *b, char const *const *argv)
{
	char const **words;
	size_t n = 0, i, given = 0;

	while (argv[given])
		given++;
	words = malloc((WORDS + given + 1) * sizeof *words);
	if (!words)
		return 0;
	words[n++] = program("clientname");
	words[n++] = "-t";
	words[n++] = number(b->seconds);
	if (b->owner)
		words[n++] = "-r";
	if (!b->names)
		words[n++] = "-n";
	if (b->paranoid)
		words[n++] = "-p";
	if (b->rules) {
		words[n++] = program("rulesrun");
		if (b->quiet)
			words[n++] = "-q";
		if (b->open_without_rules)
			words[n++] = "-X";
		if (b->refusal) {
			words[n++] = "-B";
			words[n++] = b->refusal;
		}
		words[n++] = "--";
		words[n++] = b->rules;
	}
	for (i = 0; i < n; i++)
		if (!words[i])
			return 0;
	memcpy(words + n, argv, (given + 1) * sizeof *words);
	return words;
}
