/* argument: what follows the verb of a command, word by word. */
#ifndef ARGUMENT_H
#define ARGUMENT_H

#include <stddef.h>

struct argument {
	char const *s;
	size_t n;
};

/* Cuts the next word off *a.  1; 0: there is none. */
extern int argument_word(struct argument *a, struct argument *word);

/* Is it that, begins it so?  Without regard to case.  1, 0. */
extern int argument_is(struct argument const *a, char const *s);
extern int argument_begins(struct argument const *a, char const *s);

#endif
