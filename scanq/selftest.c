#include "scanq/selftest.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>

#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/spool.h"
#include "scanq/scan.h"
#include "scanq/testalert.h"

#define SETTING "control/virusscan"

enum { NESTED = 20 };

/* In pieces, so that no scanner takes this program for a virus. */
static char const *const eicar[] = {
	"X5O!P%@AP[4\\", "PZX54(P^)7CC)7}$", "EICAR-STANDARD", "-ANTIVIRUS-",
	"TEST-FILE!", "$H+H*"
};

static int
put_eicar(stralloc *out)
{
	size_t i;

	for (i = 0; i < sizeof eicar / sizeof *eicar; i++)
		if (!stralloc_cats(out, eicar[i]))
			return -1;
	return 1;
}

static int
put_base64(stralloc *out, stralloc const *in)
{
	static char const digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned char const *s = (unsigned char const *)in->s;
	size_t i;
	char c[4];

	for (i = 0; i < in->len; i += 3) {
		unsigned long v = (unsigned long)s[i] << 16 |
		    (i + 1 < in->len ? s[i + 1] << 8 : 0) |
		    (i + 2 < in->len ? s[i + 2] : 0);

		c[0] = digit[v >> 18];
		c[1] = digit[v >> 12 & 63];
		c[2] = i + 1 < in->len ? digit[v >> 6 & 63] : '=';
		c[3] = i + 2 < in->len ? digit[v & 63] : '=';
		if (!stralloc_catb(out, c, 4) ||
		    (i % 54 == 51 && !stralloc_append(out, '\n')))
			return -1;
	}
	return stralloc_append(out, '\n') ? 1 : -1;
}

static unsigned long
crc32(char const *s, size_t n)
{
	unsigned long c = 0xffffffff;
	int i;

	while (n--) {
		c ^= (unsigned char)*s++;
		for (i = 0; i < 8; i++)
			c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
	}
	return c ^ 0xffffffff;
}

static int
put_number(stralloc *out, unsigned long v, int n)
{
	while (n--) {
		if (!stralloc_append(out, (char)(v & 255)))
			return -1;
		v >>= 8;
	}
	return 1;
}

/* What the local header and the directory have in common. */
static int
put_entry(stralloc *out, unsigned long flags, unsigned long crc, size_t size,
    size_t plain, char const *name)
{
	return put_number(out, 20, 2) == 1 && put_number(out, flags, 2) == 1 &&
	    put_number(out, 0, 2) == 1 &&
	    put_number(out, 0x5a210000, 4) == 1 &&
	    put_number(out, crc, 4) == 1 && put_number(out, size, 4) == 1 &&
	    put_number(out, plain, 4) == 1 &&
	    put_number(out, strlen(name), 2) == 1 ?
	    put_number(out, 0, 2) : -1;
}

/* A zip archive with one stored file; encrypted: as if with a password. */
static int
put_zip(stralloc *out, stralloc const *in, int encrypted)
{
	static char const name[] = "eicar.com";
	unsigned long crc = crc32(in->s, in->len), flags = encrypted ? 1 : 0;
	size_t size = in->len + (encrypted ? 12 : 0), start = out->len, at;

	if (!stralloc_catb(out, "PK\3\4", 4) ||
	    put_entry(out, flags, crc, size, in->len, name) == -1 ||
	    !stralloc_cats(out, name) ||
	    (encrypted && !stralloc_catb(out, "kq4z9w7p2vn1", 12)))
		return -1;
	at = out->len;
	if (!stralloc_catb(out, in->s, in->len))
		return -1;
	for (; encrypted && at < out->len; at++)
		out->s[at] ^= 0x55;
	at = out->len;
	if (!stralloc_catb(out, "PK\1\2\24\0", 6) ||
	    put_entry(out, flags, crc, size, in->len, name) == -1 ||
	    put_number(out, 0, 14) == -1 || !stralloc_cats(out, name))
		return -1;
	size = out->len - at;
	return stralloc_catb(out, "PK\5\6\0\0\0\0\1\0\1\0", 12) &&
	    put_number(out, size, 4) == 1 &&
	    put_number(out, at - start, 4) == 1 ? put_number(out, 0, 2) : -1;
}

static int
put_mail(stralloc *out, stralloc const *in, char const *name)
{
	return stralloc_cats(out, "From: a@test.example\nSubject: test\n"
	    "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
	    "--b\nContent-Type: application/octet-stream; name=") &&
	    stralloc_cats(out, name) &&
	    stralloc_cats(out, "\nContent-Transfer-Encoding: base64\n\n") &&
	    put_base64(out, in) == 1 && stralloc_cats(out, "--b--\n") ? 1 : -1;
}

static int
put_nested(stralloc *out, stralloc const *in)
{
	int i;

	for (i = 0; i < NESTED; i++)
		if (!stralloc_cats(out, "From: a@test.example\nSubject: test\n"
		    "MIME-Version: 1.0\nContent-Type: message/rfc822\n\n"))
			return -1;
	return put_mail(out, in, "eicar.com");
}

static stralloc said = STRALLOC_ZERO;

/* A result, also for the administrator's mail. */
static void
say(char const *s, size_t n)
{
	allwrite(1, s, n);
	stralloc_catb(&said, s, n);
}

/* Something that is not as it should be. */
static void
complain(char const *level, char const *a, char const *b, char const *c)
{
	strerr_warn(PROG, ": ", level, ": ", a, b, c);
	if (stralloc_cats(&said, a) && stralloc_cats(&said, b) &&
	    stralloc_cats(&said, c))
		stralloc_append(&said, '\n');
}

/* Shows it one object.  1 found; 0 not; -1 no verdict. */
static int
show(struct scan *s, char const *what, stralloc const *object)
{
	struct talk const *t = &s->clamd.talk;
	enum clamd_verdict v;
	char text[400];
	int n, fd = spool_bytes(object->s, object->len, "", 0);

	v = clamd_scan(&s->clamd, fd, object->s, object->len, &s->signature);
	if (fd != -1)
		close(fd);
	if (v == CLAMD_FOUND)
		n = snprintf(text, sizeof text, "%-28s found: %.*s\n", what,
		    (int)s->signature.len, s->signature.s);
	else if (v == CLAMD_CLEAN)
		n = snprintf(text, sizeof text, "%-28s not found\n", what);
	else
		n = snprintf(text, sizeof text,
		    "%-28s no verdict: %s: %s%s%s\n", what,
		    t->at ? t->at : "clamd", t->why,
		    t->error || t->answer[0] ? ": " : "",
		    t->error ? strerror(t->error) : t->answer);
	say(text, (size_t)n);
	return v == CLAMD_FOUND ? 1 : v == CLAMD_CLEAN ? 0 : -1;
}

struct object {
	char const *what;
	int must;		/* be found */
	char const *otherwise;
	stralloc bytes;
};

enum { PLAIN, BASE64, ZIP, ENCRYPTED, DEEP, CLEAN, OBJECTS };

static struct object objects[OBJECTS] = {
	{ "EICAR, plain", 1, "no signatures?", STRALLOC_ZERO },
	{ "EICAR, in base64 mail", 1, "ScanMail is off", STRALLOC_ZERO },
	{ "EICAR, in a zip", 1, "ScanArchive is off", STRALLOC_ZERO },
	{ "EICAR, in an encrypted zip", 0, "AlertEncrypted is off",
	    STRALLOC_ZERO },
	{ "EICAR, 20 messages deep", 0,
	    "AlertExceedsMax is off, or MaxRecursion low", STRALLOC_ZERO },
	{ "nothing", 0, "", STRALLOC_ZERO }
};

static int
make_objects(void)
{
	stralloc virus = STRALLOC_ZERO;

	return put_eicar(&virus) == 1 &&
	    stralloc_copy(&objects[PLAIN].bytes, &virus) &&
	    put_mail(&objects[BASE64].bytes, &virus, "eicar.com") == 1 &&
	    put_zip(&objects[ZIP].bytes, &virus, 0) == 1 &&
	    put_zip(&objects[ENCRYPTED].bytes, &virus, 1) == 1 &&
	    put_nested(&objects[DEEP].bytes, &virus) == 1 &&
	    stralloc_copys(&objects[CLEAN].bytes, "Subject: test\n\nhello\n") ?
	    1 : -1;
}

/* Only what says off is changed: optional is somebody's decision. */
static int
turn_on(enum virus_mode mode)
{
	static char const text[] = "# scanq -t -e has found clamd working\n"
	    "required\n";
	int fd;

	if (mode != VIRUS_OFF)
		return EXIT_DONE;
	fd = open(SETTING ".new", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd == -1 || allwrite(fd, text, sizeof text - 1) < sizeof text - 1 ||
	    fsync(fd) == -1 || close(fd) == -1 ||
	    rename(SETTING ".new", SETTING) == -1) {
		strerr_warnwu1sys("write " SETTING);
		return EXIT_TEMP;
	}
	strerr_warni1x("virus scanning is on: " SETTING " says required");
	return EXIT_DONE;
}

static int
judge_objects(struct scan *s)
{
	struct object *o;
	int good = 1, r;

	for (o = objects; o < objects + OBJECTS; o++) {
		r = show(s, o->what, &o->bytes);
		if (r == -1)
			return 0;
		if (o == objects + CLEAN) {
			if (r == 1)
				complain("warning",
				    "it finds viruses in nothing", "", "");
			good &= !r;
		} else if (!r) {
			complain("warning", o->what, " is not found: ",
			    o->otherwise);
			good &= !o->must;
		}
	}
	return good;
}

static int
fatal(char const *why)
{
	complain("fatal", why, "", "");
	return EXIT_TEMP;
}

static int
test(struct scan *s)
{
	if (scan_settings(s))
		return fatal(s->why);
	if (!s->clamd.servers)
		return fatal("control/clamd names no server: mail is not "
		    "scanned for viruses");
	if (make_objects() == -1)
		return fatal("out of memory");
	if (clamd_version(&s->clamd, &s->version) == 1) {
		s->version.s[s->version.len - 1] = '\n';
		say(s->version.s, s->version.len);
	}
	return judge_objects(s) ? EXIT_DONE :
	    fatal("this clamd does not protect anybody");
}

int
selftest(int enable, int alert)
{
	static struct scan s;
	int r;

	s.mode = VIRUS_REQUIRED;	/* should the settings be bad */
	r = test(&s);
	if (r == EXIT_DONE) {
		if (alert && testalert_good() == -1)
			strerr_warnwu1sys("note that all is well");
		return enable ? turn_on(s.mode) : r;
	}
	/* where scanning is off, nothing is missed */
	if (alert && s.mode != VIRUS_OFF)
		testalert_bad(&said, s.mode == VIRUS_REQUIRED,
		    (uint64_t)time(0));
	return r;
}
