#include "smtpd/argument.h"

#include <string.h>
#include <strings.h>

int
argument_word(struct argument *a, struct argument *word)
{
	while (a->n && *a->s == ' ') {
		a->s++;
		a->n--;
	}
	word->s = a->s;
	while (a->n && *a->s != ' ') {
		a->s++;
		a->n--;
	}
	word->n = a->s - word->s;
	return word->n != 0;
}

int
argument_is(struct argument const *a, char const *s)
{
	return a->n == strlen(s) && strncasecmp(a->s, s, a->n) == 0;
}

int
argument_begins(struct argument const *a, char const *s)
{
	size_t n = strlen(s);

	return a->n >= n && strncasecmp(a->s, s, n) == 0;
}
