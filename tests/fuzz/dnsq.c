/* What dnsq does with a packet: the first byte chooses the question, the rest
 * is the reply, made to match it in every other run.  Built by
 * tests/fuzz/build-dnsq.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rblcheck/dnspacket.h"

static struct dnsname questions[8];

static void
prepare(void)
{
	static char const *const types[] = {
		"a", "aaaa", "mx", "txt", "ptr", "cname", "tlsa", "a"
	};
	unsigned int i;

	for (i = 0; i < 8; i++)
		if (dnspacket_name(&questions[i], types[i],
		    i < 7 ? "a.x" : ".") != 1)
			abort();
}

/* What dnsq writes must be words with one blank between them. */
static void
check(stralloc const *text)
{
	size_t i;

	for (i = 0; i < text->len; i++)
		if (text->s[i] < 32 || text->s[i] > 126 ||
		    (text->s[i] == ' ' && (!i || text->s[i-1] == ' ')))
			abort();
	if (!text->len || text->s[text->len - 1] == ' ')
		abort();
}

int LLVMFuzzerTestOneInput(uint8_t const *data, size_t size);

int
LLVMFuzzerTestOneInput(uint8_t const *data, size_t size)
{
	char query[DNSPACKET_QUERY];
	struct dnsname const *q;
	stralloc text = { 0 };
	char const *why = 0;
	size_t n, len;
	char *reply;
	int result;

	if (!questions[0].len)
		prepare();
	if (size < 1 || size > DNSPACKET_MAX)
		return 0;
	q = &questions[*data & 7];
	n = dnspacket_query(query, q, "id", 0, *data & 8);
	len = size - 1;
	reply = malloc(len ? len : 1);	/* its end is watched */
	if (!reply)
		abort();
	memcpy(reply, data + 1, len);
	if (*data & 16 && len >= 12 + q->len + 4) {
		memcpy(reply, "id\x81", 3);
		memcpy(reply + 4, "\0\1", 2);
		memcpy(reply + 12, query + 12, q->len + 4);
	}
	if (dnspacket_match(query, n, reply, len) == DNSPACKET_OURS) {
		result = dnspacket_read(q, reply, len, &text, &why);
		if (result == DNSPACKET_FAILED ? !why : !!why)
			abort();
		if (result != DNSPACKET_FAILED)
			check(&text);
		dnspacket_truncated(reply);
		dnspacket_secure(reply);
	}
	free(reply);
	free(text.s);
	return 0;
}
