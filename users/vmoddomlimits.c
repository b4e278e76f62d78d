/* vmoddomlimits: what a virtual domain may have.
 *
 * Runs as: root.  Reads: users/cdb, the domain's .qmailadmin-limits.  Writes:
 * that file, the domain's vpasswd.cdb, users/mailbox/DOMAIN.cdb, users/full.
 * Trusts: its caller.  Trusted by: the administrator.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/exitcode.h"
#include "users/vtool.h"

#define USAGE "vmoddomlimits [-S | -D] [-Q megabytes] [-M messages] " \
	"[-q quota] [-m messages] [-P accounts] [-A aliases] [-F forwards] " \
	"[-g flags] domain"

#define FLAGS "dpwirusxcm"

static char const *const flag_keys[] = {	/* in the order of FLAGS */
	"disable_password_changing", "disable_pop", "disable_webmail",
	"disable_imap", "disable_external_relay", "disable_dialup",
	"disable_smtp", "delete_spam", "disable_spamassassin",
	"disable_maildrop"
};

static struct {
	int option;
	char const *key;
} const numbers[] = {
	{ 'Q', "quota" }, { 'M', "maxmsgcount" }, { 'q', "default_quota" },
	{ 'm', "default_maxmsgcount" }, { 'P', "maxpopaccounts" },
	{ 'A', "maxaliases" }, { 'F', "maxforwards" }
};

static void
set(stralloc *text, char const *key, char const *value)
{
	if (limits_set(text, key, value) == -1)
		strerr_diefusys(EXIT_TEMP, "go on");
}

/* A number, or -1; and for -q a quota. */
static char const *
number(int option, char const *s)
{
	char *quota;
	uint64_t u;

	if (option == 'q') {
		quota = vtool_quota(s);
		if (!quota)
			strerr_diefusys(EXIT_TEMP, "go on");
		if (strchr(quota, ',') || !strcmp(quota, "NOQUOTA"))
			return strcmp(quota, "NOQUOTA") ? number(0, s) : "0";
		quota[strcspn(quota, "S")] = 0;
		return quota;
	}
	if (strcmp(s, "-1") && (!uint640_scan(s, &u) || u > 1ULL << 40))
		strerr_dief(EXIT_PERM, "not a number: ", s);
	return s;
}

static void
set_flags(stralloc *text, char const *letters)
{
	size_t i;

	if (letters[strspn(letters, FLAGS)])
		strerr_dief(EXIT_PERM, "no such flag: ",
		    letters + strspn(letters, FLAGS));
	for (i = 0; i < sizeof flag_keys / sizeof *flag_keys; i++)
		set(text, flag_keys[i],
		    strchr(letters, FLAGS[i]) ? "1" : "0");
}

/* The options into the text of the file.  Whether anything is to change. */
static int
apply(int argc, char *const *argv, stralloc *text)
{
	int c, any = 0;
	size_t i;

	optind = 1;
	while ((c = getopt(argc, argv, "SDQ:M:q:m:P:A:F:g:")) != -1) {
		if (c == 'g')
			set_flags(text, optarg);
		for (i = 0; i < sizeof numbers / sizeof *numbers; i++)
			if (numbers[i].option == c)
				set(text, numbers[i].key, number(c, optarg));
		any |= c != 'S' && c != 'D';
	}
	return any;
}

static void
show(struct vdomain const *d)
{
	stralloc text = STRALLOC_ZERO;
	int r = vdomain_read(d, LIMITS_FILE, &text);

	if (r == 0)
		r = openslurpclose(&text, LIMITS_DEFAULT) ? 1 :
		    errno == ENOENT ? 0 : -1;
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "read the limits of ", d->name.s);
	if (r == 1 && text.len && text.s[text.len - 1] == '\n')
		text.len--;
	if (r == 1 && text.len) {
		if (!stralloc_0(&text))
			strerr_diefusys(EXIT_TEMP, "go on");
		vtool_say("", text.s);
	}
}

static void
change(struct vdomain *d, int argc, char *const *argv, int remove)
{
	stralloc text = STRALLOC_ZERO;
	int r;

	if (!remove && vdomain_read(d, LIMITS_FILE, &text) == -1)
		strerr_diefusys(EXIT_TEMP, "read the limits of ", d->name.s);
	if (!apply(argc, argv, &text) && !remove)
		strerr_dieusage(EXIT_USAGE, USAGE);
	r = vdomain_begin(d, LIMITS_FILE);
	if (r == 1)
		r = remove ? vdomain_unlink(d, LIMITS_FILE) :
		    vdomain_write(d, LIMITS_FILE, text.s, text.len);
	if (r == 1)
		r = limits_read(d->dir, &d->limits);
	if (r == 1)
		r = vdomain_usage(d);
	if (r == 1)
		r = vdomain_tables(d);
	if (vdomain_end(d, LIMITS_FILE, r) == -1)
		strerr_diefusys(EXIT_TEMP, "write the limits of ", d->name.s);
	vtool_not_full(d, 0);
}

int
main(int argc, char *const *argv)
{
	struct vdomain d = VDOMAIN_ZERO;
	char const *domain;
	int c, wanted = 0;

	vtool_begin("vmoddomlimits");
	while ((c = getopt(argc, argv, "SDQ:M:q:m:P:A:F:g:")) != -1) {
		if (c == '?')
			strerr_dieusage(EXIT_USAGE, USAGE);
		if (c == 'S' || c == 'D')
			wanted = c;
	}
	if (argc - optind != 1)
		strerr_dieusage(EXIT_USAGE, USAGE);
	domain = vtool_domain(argv[optind]);
	vtool_lock();
	if (wanted == 'S') {
		vtool_open(&d, domain);
		show(&d);
		return 0;
	}
	vtool_change(&d, domain);
	change(&d, argc, argv, wanted == 'D');
	return 0;
}
