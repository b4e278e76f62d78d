#include "local/outcome.h"

#include <errno.h>
#include <string.h>

int
outcome_set(struct outcome *o, char letter, char const *const *parts)
{
	o->letter = letter;
	/* out of memory: the letter without its text */
	while (*parts && stralloc_cats(&o->text, *parts))
		parts++;
	return -1;
}

int
outcome_errno(struct outcome *o, char const *what, char const *name)
{
	char const *reason = strerror(errno);

	return outcome_temp(o, "Unable to ", what, *name ? " " : "", name,
	    ": ", reason, ". (#4.3.0)\n");
}
