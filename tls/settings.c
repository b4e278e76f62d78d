/* With the distribution's C library, for its user table; so without skalibs,
 * and lib/control.
 */
#include "tls/settings.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/exitcode.h"
#include "lib/log.h"

/* forward secrecy, and no CBC */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

enum { NAME = 32, LINE = 512 };

static void
die(int code, char const *what, char const *name)
{
	log_start("fatal", what);
	log_string("name", name);
	if (code == EXIT_TEMP)
		log_errno(errno);
	log_end();
	_exit(code);
}

/* The next line that says something, without blanks at its end.  1, 0 */
static int
next_line(FILE *f, char *line)
{
	size_t n;

	while (fgets(line, LINE, f)) {
		n = strlen(line);
		while (n && strchr(" \t\r\n", line[n-1]))
			n--;
		line[n] = 0;
		if (n && line[0] != '#')
			return 1;
	}
	return 0;
}

static FILE *
open_setting(char const *file)
{
	FILE *f = fopen(file, "re");

	if (!f && errno != ENOENT)
		die(EXIT_TEMP, "unable to read a setting", file);
	return f;
}

/* The first line of a setting.  1, 0 */
static int
setting(char const *file, char *line)
{
	FILE *f = open_setting(file);
	int r = f ? next_line(f, line) : 0;

	if (f)
		fclose(f);
	return r;
}

static void
user(char const *name, struct role *out)
{
	struct passwd *p;

	errno = 0;
	p = getpwnam(name);
	if (!p && errno && errno != ENOENT)
		die(EXIT_TEMP, "unable to look up a user", name);
	if (!p)
		die(EXIT_PERM, "no such user", name);
	out->uid = p->pw_uid;
	out->gid = p->pw_gid;
}

static void
role(char const *wanted, struct role *out)
{
	char line[LINE], name[NAME + 1], of[NAME + 1];
	FILE *f = fopen("conf-users", "re");
	int found = 0;

	if (!f)
		die(EXIT_TEMP, "unable to read a setting", "conf-users");
	while (!found && next_line(f, line))
		found = sscanf(line, "%32s %32s", of, name) == 2 &&
		    strcmp(of, wanted) == 0;
	fclose(f);
	if (!found)
		die(EXIT_PERM, "no such role in conf-users", wanted);
	user(name, out);
}

static void
allow(struct settings *s, uid_t uid)
{
	unsigned int i;

	for (i = 0; i < s->users; i++)
		if (s->uid[i] == uid)
			return;
	if (s->users == CONN_USERS)
		die(EXIT_PERM, "too many users", "control/tlsusers");
	s->uid[s->users++] = uid;
}

static void
read_users(struct settings *s)
{
	struct role r;
	char line[LINE];
	FILE *f;

	allow(s, 0);
	role("smtpd", &r);
	allow(s, r.uid);
	role("popup", &r);
	allow(s, r.uid);
	f = open_setting("control/tlsusers");
	while (f && next_line(f, line)) {
		user(line, &r);
		allow(s, r.uid);
	}
	if (f)
		fclose(f);
}

static unsigned int
number(char const *file, unsigned int otherwise)
{
	char line[LINE];
	unsigned long n;
	char *end;

	if (!setting(file, line))
		return otherwise;
	n = strtoul(line, &end, 10);
	if (*end || line[0] == '-' || n < 1 || n > 1000000)
		die(EXIT_PERM, "not a number", file);
	return (unsigned int)n;
}

void
settings_read(struct settings *s)
{
	char line[LINE];

	role("tls", &s->tls);
	read_users(s);
	s->sessions = number("control/concurrencytls", 1000);
	s->handshake = number("control/timeouttls", 60);
	/* the programs behind are less patient */
	s->idle = number("control/timeouttlsidle", 3600);
	memcpy(s->ciphers, CIPHERS, sizeof CIPHERS);
	if (setting("control/tlsciphers", line))
		memcpy(s->ciphers, line, sizeof s->ciphers);
}
