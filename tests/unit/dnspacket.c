#include "tests/fuzz/dnsq.c"

#include <dirent.h>
#include <sys/resource.h>

#include "tests/unit/tap.h"

static int
named(char const *type, char const *name, char const *want)
{
	struct dnsname q;
	stralloc text = { 0 };
	int r = dnspacket_name(&q, type, name);

	if (r == 1 && dnspacket_text(&text, &q) == 1)
		r = want && strlen(want) == text.len &&
		    memcmp(want, text.s, text.len) == 0;
	else
		r = !want;
	free(text.s);
	return r;
}

/* Everything that the fuzzer found worth keeping, cut at every length. */
static unsigned int
replay(char const *directory)
{
	static uint8_t data[DNSPACKET_MAX + 1];
	char path[512];
	unsigned int files = 0;
	DIR *d = opendir(directory);
	struct dirent *e;
	size_t n, i;
	FILE *f;

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
		f = *e->d_name == '.' ? 0 : fopen(path, "rb");
		if (!f)
			continue;
		n = fread(data, 1, sizeof data, f);
		fclose(f);
		for (i = n < 600 ? 0 : n; i <= n; i++)
			LLVMFuzzerTestOneInput(data, i);
		files++;
	}
	if (d)
		closedir(d);
	return files;
}

static void
test_names(void)
{
	char longest[256];
	struct dnsname q;

	ok(named("A", "Example.ORG.", "example.org"), "case, and a dot behind");
	ok(named("mx", ".", "."), "the root");
	ok(named("txt", "a\\057b\\.c.x", "a\\057b\\056c.x"), "odd bytes");
	ok(named("a", "a..b", 0) && named("a", ".a", 0) && named("a", "", 0),
	    "empty labels");
	ok(named("a", "a\\", 0), "a backslash at the end");
	ok(named("any", "a", 0) && named("", "a", 0), "unknown types");
	ok(named("a", "192.0.2.1", "192.0.2.1") &&
	    named("ptr", "192.0.2.1", "1.2.0.192.in-addr.arpa"),
	    "addresses are turned round for ptr alone");
	memset(longest, 'a', sizeof longest);
	longest[63] = longest[127] = longest[191] = '.';
	longest[253] = 0;
	ok(dnspacket_name(&q, "a", longest) == 1 && q.len == 255,
	    "253 characters are a name");
	longest[253] = 'a';
	longest[254] = 0;
	ok(dnspacket_name(&q, "a", longest) == 0, "254 are not");
	ok(strcmp(dnspacket_type(52), "tlsa") == 0 &&
	    strcmp(dnspacket_type(99), "-") == 0, "types have names");
}

static void
test_queries(void)
{
	char query[DNSPACKET_QUERY], dice[DNSPACKET_NAME];
	struct dnsname q;
	size_t n;

	dnspacket_name(&q, "a", "a1.example");
	memset(dice, 0x20, sizeof dice);
	n = dnspacket_query(query, &q, "id", dice, 0);
	ok(n == 12 + 12 + 4 && memcmp(query + 12, "\2A1\7EXAMPLE\0\0\1\0\1", 16)
	    == 0, "random case touches letters alone");
	ok(dnspacket_match(query, n, query, n) == DNSPACKET_FOREIGN,
	    "a query is no reply");
	query[2] |= 0x80;
	ok(dnspacket_match(query, n, query, n) == DNSPACKET_OURS,
	    "the same as a reply is");
	ok(dnspacket_match(query, n, query, n - 1) == DNSPACKET_FOREIGN,
	    "cut short it is not");
}

/* A reply with one record, rdata[0..len), and rest[0..more) behind it. */
static int
answered(char const *type, char number, char const *rdata, size_t len,
    char const *rest, size_t more)
{
	char reply[DNSPACKET_QUERY + 64];
	char const head[] = { '\300', 12, 0, number, 0, 1, 0, 0, 0, 0, 0,
	    (char)len };
	stralloc text = { 0 };
	struct dnsname q;
	char const *why = "";
	size_t n;
	int r;

	dnspacket_name(&q, type, "a.x");
	n = dnspacket_query(reply, &q, "id", 0, 0);
	reply[2] |= 0x80;
	reply[7] = 1;
	memcpy(reply + n, head, sizeof head);
	n += sizeof head;
	memcpy(reply + n, rdata, len);
	memcpy(reply + n + len, rest, more);
	r = dnspacket_read(&q, reply, n + len + more, &text, &why);
	free(text.s);
	return r;
}

static void
test_short_records(void)
{
	ok(answered("mx", 15, "\0\12\300\14", 4, "", 0) == DNSPACKET_ANSWER,
	    "an MX record");
	ok(answered("mx", 15, "\0\12", 2, "\300\14", 2) == DNSPACKET_FAILED,
	    "without a name it is none");
	ok(answered("tlsa", 52, "\3\1\1\7", 4, "", 0) == DNSPACKET_ANSWER,
	    "a TLSA record");
	ok(answered("tlsa", 52, "\3\1\1", 3, "", 0) == DNSPACKET_FAILED,
	    "without a certificate it is none");
}

/* A text whose bytes are all escaped, under a limit that leaves no room. */
static void
test_want_of_memory(void)
{
	static char reply[DNSPACKET_MAX], query[DNSPACKET_QUERY];
	static void *hog[4096];
	static char const record[] = "\300\14\0\20\0\1\0\0\0\0\72\0";
	struct rlimit old, small = { 0, 0 };
	stralloc text = { 0 };
	struct dnsname q;
	char const *why = "";
	size_t n, i;
	int r;

	dnspacket_name(&q, "txt", "a.x");
	n = dnspacket_query(query, &q, "id", 0, 0);
	memcpy(reply, query, n);
	reply[2] |= 0x80;
	ok(dnspacket_read(&q, reply, n, &text, &why) == DNSPACKET_NODATA,
	    "no record");
	reply[7] = 1;
	memcpy(reply + n, record, sizeof record - 1);
	n += sizeof record - 1;
	for (i = 0; i < 58; i++)	/* 0x3a00 bytes */
		reply[n + 256 * i] = '\377';
	n += 58 * 256;
	getrlimit(RLIMIT_AS, &old);
	small.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_AS, &small);
	/* room for names stays, room for texts does not */
	for (i = 0; i < 4096 && (hog[i] = malloc(4096)); i++)
		;
	r = dnspacket_read(&q, reply, n, &text, &why);
	setrlimit(RLIMIT_AS, &old);
	while (i--)
		free(hog[i]);
	ok(r == DNSPACKET_FAILED && strcmp(why, "nomemory") == 0,
	    "want of memory is no fault of the packet");
	ok(dnspacket_read(&q, reply, n, &text, &why) == DNSPACKET_ANSWER,
	    "which is a good one");
	free(text.s);
}

int
main(void)
{
	unsigned int files;

	test_names();
	test_queries();
	test_short_records();
	test_want_of_memory();
	files = replay("tests/fuzz/seeds/dnsq");
	ok(files > 100, "what the fuzzer kept, whole and cut");
	return tap_done();
}
