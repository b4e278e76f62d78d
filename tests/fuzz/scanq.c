/* What scanq reads that others wrote: the first byte chooses between clamd's
 * answers, the lines in front of a message in quarantine, a line of rules,
 * a pattern with a value, and spamd's answers.
 *
 *	tests/fuzz/build scanq scanq/clamdreply.c scanq/rule.c \
 *	    scanq/pattern.c scanq/walkname.c scanq/spamdreply.c
 *
 * and, for one of the five alone, -DCHOICE=0 to 4
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/quarantined.h"
#include "scanq/clamdreply.h"
#include "scanq/pattern.h"
#include "scanq/rule.h"
#include "scanq/spamdreply.h"

static void
answer(char const *s, size_t n)
{
	char const *name;
	size_t len, fildes = n & 1;

	switch (clamdreply(s, n, (int)fildes, &name, &len)) {
	case CLAMD_CLEAN:
		if (n < 5 || memcmp(s + n - 4, " OK", 4))
			abort();
		break;
	case CLAMD_FOUND:
		if (name < s || !len || name + len > s + n - 7)
			abort();
		break;
	case CLAMD_UNKNOWN:
		break;
	}
}

static void
kept(char const *s, size_t n)
{
	struct quarantined q = QUARANTINED_ZERO;

	if (quarantined_read(s, n, &q) == 1 && q.message + q.size != n)
		abort();
	stralloc_free(&q.id);
	stralloc_free(&q.date);
	stralloc_free(&q.reason);
	stralloc_free(&q.envelope);
}

/* What is read and packed is read again as the same. */
static void
line(char const *s, size_t n)
{
	stralloc work = STRALLOC_ZERO, record = STRALLOC_ZERO;
	char const *why, *warning;
	struct rule r, u;

	if (rule_read(s, n, &work, &r, &why, &warning) == 1 &&
	    (rule_pack(&record, &r) != 1 ||
	    rule_unpack(record.s, record.len, &u) != 1 ||
	    u.subject != r.subject || u.size != r.size ||
	    u.text.n != r.text.n))
		abort();
	rule_unpack(s, n, &u);
	stralloc_free(&work);
	stralloc_free(&record);
}

static void
match(char const *s, size_t n)
{
	struct pattern p = PATTERN_ZERO;
	char const *nl = memchr(s, '\n', n), *why;
	size_t k = nl ? (size_t)(nl - s) : n;

	if (pattern_read(&p, s, k, &why) == 1 &&
	    pattern_compile(&p, &why) == 1 && k < n)
		pattern_match(&p, s + k + 1, n - k - 1);
	pattern_free(&p);
}

static void
opinion(char const *s, size_t n)
{
	struct spamdreply r;

	if (spamdreply(s, n, &r) == 1 &&
	    (!memmem(s, n, "\r\n\r\n", 4) || r.spam < 0 || r.spam > 1))
		abort();
}

#ifndef CHOICE
#define CHOICE (data[0] % 5)
#endif

int
LLVMFuzzerTestOneInput(uint8_t const *data, size_t n)
{
	static void (*const parse[])(char const *, size_t) = {
		answer, kept, line, match, opinion
	};
	char *copy;

	if (!n)
		return 0;
	copy = malloc(n);
	memcpy(copy, data + 1, n - 1);
	parse[CHOICE](copy, n - 1);
	free(copy);
	return 0;
}
