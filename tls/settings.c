#include "tls/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/exitcode.h"
#include "lib/log.h"
#include "lib/setting.h"

/* forward secrecy, and no CBC */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

static FILE *
open_setting(char const *file)
{
	FILE *f = 0;

	if (setting_open(file, &f) == -1)
		log_die(EXIT_TEMP, "unable to read a setting", file);
	return f;
}

/* The first line of a setting.  1, 0 */
static int
setting(char const *file, char *line)
{
	int r = setting_line(file, line);

	if (r == -1)
		log_die(EXIT_TEMP, "unable to read a setting", file);
	return r;
}

static void
user(char const *name, struct role *out)
{
	int r = setting_user(name, out);

	if (r == -1)
		log_die(EXIT_TEMP, "unable to look up a user", name);
	if (!r)
		log_die(EXIT_PERM, "no such user", name);
}

static void
role(char const *wanted, struct role *out)
{
	char name[SETTING_LINE];
	int r = setting_role(wanted, name);

	if (r == -1)
		log_die(EXIT_TEMP, "unable to read a setting", "conf-users");
	if (!r)
		log_die(EXIT_PERM, "no such role in conf-users", wanted);
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
		log_die(EXIT_PERM, "too many users", "control/tlsusers");
	s->uid[s->users++] = uid;
}

static void
read_users(struct settings *s)
{
	struct role r;
	char line[SETTING_LINE];
	FILE *f;

	allow(s, 0);
	role("smtpd", &r);
	allow(s, r.uid);
	role("popup", &r);
	allow(s, r.uid);
	f = open_setting("control/tlsusers");
	while (f && setting_next(f, line)) {
		user(line, &r);
		allow(s, r.uid);
	}
	if (f)
		fclose(f);
}

static unsigned int
number(char const *file, unsigned int otherwise)
{
	char line[SETTING_LINE];
	unsigned long n;
	char *end;

	if (!setting(file, line))
		return otherwise;
	n = strtoul(line, &end, 10);
	if (*end || line[0] == '-' || n < 1 || n > 1000000)
		log_die(EXIT_PERM, "not a number", file);
	return (unsigned int)n;
}

void
settings_read(struct settings *s)
{
	char line[SETTING_LINE];

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
