/* Access rules and PROXY headers out of the fuzzer's bytes.  The first byte
 * chooses: a line of rules, a cdb to look up in, or a header.
 *
 * A line that compiles has keys without blanks, which compile to themselves;
 * its data reads back as what was written.  No cdb and no header does harm.
 *
 * tests/fuzz/build rules rules/rule.c rules/ruleline.c rules/proxyheader.c
 * and, for one of the three alone, -DCHOICE="'l'"
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "rules/proxyheader.h"
#include "rules/rule.h"
#include "rules/ruleline.h"

#ifndef CHOICE
#define CHOICE *s
#endif

extern int LLVMFuzzerTestOneInput(unsigned char const *, size_t);

static void
must(int good)
{
	if (!good)
		abort();
}

static void
compiles_to_itself(char const *key, size_t n)
{
	static struct ruleline again = RULELINE_ZERO;
	stralloc line = STRALLOC_ZERO;

	must(stralloc_catb(&line, key, n) && stralloc_cats(&line, ":allow"));
	must(ruleline_parse(line.s, line.len, &again) == 1);
	must(again.keys.len == n + 1 && memcmp(again.keys.s, key, n) == 0);
	stralloc_free(&line);
}

static void
line(char const *s, size_t n)
{
	static struct ruleline l = RULELINE_ZERO;
	struct rule r;
	char const *v;
	size_t i, len, pos = 0, variables = 0;

	if (memchr(s, '\n', n) || ruleline_parse(s, n, &l) != 1)
		return;
	for (i = 0; i < l.keys.len; i += len + 1) {
		len = strlen(l.keys.s + i);
		must(!memchr(l.keys.s + i, ' ', len));
		/* "1-2.3-4" expands its first range alone */
		if (!memchr(l.keys.s + i, '-', len))
			compiles_to_itself(l.keys.s + i, len);
	}
	rule_read(&r, l.data.s, l.data.len);
	must(r.until == 0);
	while (rule_variable(&r, &pos, &v))
		variables++;
	for (i = 0; i < l.data.len; i += strlen(l.data.s + i) + 1)
		variables -= l.data.s[i] == '+';
	must(variables == 0);
}

static void
lookup(char const *s, size_t n)
{
	static char const *const ips[] = {
		"10.1.2.3", "2001:db8::1", "unknown", "", 0
	};
	struct rule_client who = { 0, "mx.a.example", "joe" };
	struct cdbfile c = CDBFILE_ZERO;
	struct rule r;
	char path[64];
	char const *v;
	size_t i, pos;
	int fd = memfd_create("rules", MFD_CLOEXEC);

	must(fd != -1 && write(fd, s, n) == (ssize_t)n);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (cdbfile_open(&c, path) == 1) {
		for (i = 0; i < sizeof ips / sizeof *ips; i++) {
			who.ip = ips[i];
			pos = 0;
			if (rule_find(&c, &who, 1, &r) != 1)
				continue;
			while (rule_variable(&r, &pos, &v))
				must(strchr(v, '=') != 0);
		}
		cdbfile_close(&c);
	}
	close(fd);
}

static void
header(unsigned char const *s, size_t n)
{
	struct connection c;
	size_t len = 0;

	if (n > PROXYHEADER_MAX)
		n = PROXYHEADER_MAX;
	memset(&c, 0, sizeof c);
	if (proxyheader_length(s, n, &len) != 1 || len > n)
		return;
	proxyheader_parse(s, len, &c);
	must(c.remote_port <= 65535 && c.local_port <= 65535);
}

int
LLVMFuzzerTestOneInput(unsigned char const *s, size_t n)
{
	PROG = "fuzz";
	if (!n)
		return 0;
	switch (CHOICE) {
	case 'l': line((char const *)s + 1, n - 1); break;
	case 'c': lookup((char const *)s + 1, n - 1); break;
	case 'h': header(s + 1, n - 1); break;
	}
	return 0;
}
