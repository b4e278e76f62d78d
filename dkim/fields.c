#include "dkim/fields.h"

#include <string.h>

#include "dkim/canon.h"
#include "lib/field.h"

/* How a name stands in h=: once for each field of that name, from the last
 * one up, and once more for none, so that nobody can add another one in
 * front, which readers show and signatures do not cover (RFC 6376 8.15).
 */
enum over {
	PRESENT,		/* no more than there are */
	IF_ANY,			/* once more, if there is one */
	ALWAYS			/* and if there is none */
};

static struct {
	char const *name;
	enum over over;
} const wanted[] = {
	{ "from", ALWAYS }, { "reply-to", ALWAYS }, { "to", ALWAYS },
	{ "cc", ALWAYS }, { "subject", ALWAYS }, { "date", IF_ANY },
	{ "message-id", IF_ANY }, { "in-reply-to", IF_ANY },
	{ "references", IF_ANY }, { "mime-version", IF_ANY },
	{ "content-type", IF_ANY }, { "content-transfer-encoding", IF_ANY },
	/* lists add and change these */
	{ "list-id", PRESENT }, { "list-help", PRESENT },
	{ "list-unsubscribe", PRESENT }, { "list-unsubscribe-post", PRESENT },
	{ "list-subscribe", PRESENT }, { "list-post", PRESENT },
	{ "list-owner", PRESENT }, { "list-archive", PRESENT }
};

/* RFC 5322 allows one of nearly each. */
enum { SAME = 3 };

/* The last SAME fields of that name, the last one first; their number. */
static unsigned int
last_of(char const *s, size_t n, char const *name, struct field found[SAME])
{
	struct field f;
	size_t pos = 0;
	unsigned int count = 0;

	while (field_next(s, n, &pos, &f) == 1) {
		if (!field_is(&f, name))
			continue;
		memmove(found + 1, found, (SAME - 1) * sizeof f);
		found[0] = f;
		count += count < SAME;
	}
	return count;
}

static int
add_name(stralloc *names, char const *name)
{
	return (!names->len || stralloc_append(names, ':')) &&
	    stralloc_cats(names, name) ? 1 : -1;
}

int
fields_signed(char const *s, size_t n, stralloc *names, stralloc *text)
{
	struct field found[SAME];
	unsigned int count, j;
	size_t i;

	names->len = text->len = 0;
	for (i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		count = last_of(s, n, wanted[i].name, found);
		for (j = 0; j < count; j++)
			if (add_name(names, wanted[i].name) == -1 ||
			    canon_field(text, found[j].s, found[j].n) == -1)
				return -1;
		if ((wanted[i].over == ALWAYS ||
		    (wanted[i].over == IF_ANY && count)) && count < SAME &&
		    add_name(names, wanted[i].name) == -1)
			return -1;
	}
	return 1;
}
