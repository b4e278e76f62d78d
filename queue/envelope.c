#include "queue/envelope.h"

#include <string.h>

#include "lib/enqueue.h"
#include "lib/limits.h"

static int
wrong(char const **why, char const *text)
{
	*why = text;
	return QUEUE_ENVELOPE;
}

int
envelope_check(char const *s, size_t n, struct envelope *e, char const **why)
{
	char const *at = s, *end = s + n, *nul;

	e->s = s;
	e->len = n;
	e->recipients = 0;
	for (; at < end; at = nul + 1) {
		nul = memchr(at, 0, end - at);
		if (!nul)
			return wrong(why, "unfinished record in the envelope");
		if (*at != (at == s ? 'F' : 'T'))
			return wrong(why, "unknown record in the envelope");
		if (nul - at - 1 > LIMIT_ADDRESS) {
			*why = "address too long";
			return QUEUE_ADDRESS;
		}
		if (at == s) {
			e->from = at + 1;
			e->from_len = nul - at - 1;
		} else {
			e->recipients++;
		}
	}
	return e->recipients ? 0 : wrong(why, "no recipient in the envelope");
}
