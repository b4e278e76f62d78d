/* import: take over a qmail, netqmail or notqmail installation, with vpopmail,
 * simscan and qmail-scanner.
 *
 * Nothing of the source is changed or run.  What is here already stays.  It
 * can be run again: what has been changed or removed here since is left so.
 *
 * Runs as: root.  Reads: the source: control/, users/assign, alias/, access
 * rules, vpopmail's domains, scanners' rules.  Writes: the same of ours;
 * users/imported.  Trusts: its caller; not the source.  Trusted by: the
 * administrator.
 */
#include "users/import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/assign.h"
#include "lib/exitcode.h"
#include "lib/mailbox.h"
#include "lib/spawn.h"
#include "users/domainlist.h"
#include "users/textfile.h"
#include "users/vtool.h"

#define USAGE "import [-n] [-q qmail] [-v vpopmail] [-s smtp-rules] " \
	"[-p pop3-rules] [-a attachments] [root]"

extern char **environ;

struct import import;

static struct {
	char const *smtp, *pop3, *attachments, *root;
} given;

static char const *const singles[] = { "bouncefrom", "bouncehost",
	"bouncemaxbytes", "concurrencyincoming", "concurrencylocal",
	"concurrencyremote", "databytes",
	"defaultdelivery", "defaultdomain", "defaulthost", "doublebouncehost",
	"doublebounceto", "envnoathost", "helohost", "idhost", "localiphost",
	"maxrcpt", "me", "outgoingip", "plusdomain", "queuelifetime",
	"smtpgreeting", "timeoutconnect", "timeoutremote", "timeoutsmtpd", 0 };
static char const *const lists[] = { "authsenders", "badhelo", "badmailfrom",
	"badrcptto", "locals", "moreipme", "morercpthosts", "notipme",
	"percenthack", "qmqpservers", "rcpthosts", "smtproutes",
	"virtualdomains", 0 };
/* carried over elsewhere, or made of what is */
static char const *const elsewhere[] = { ".", "..", "simcontrol", "ssattach",
	"simcontrol.cdb", "simversions.cdb", "morercpthosts.cdb", "tcp.smtp",
	"tcp.smtp.cdb", "defaultvdomain", 0 };

static int
is_in(char const *const *list, char const *name)
{
	for (; *list; list++)
		if (!strcmp(*list, name))
			return 1;
	return 0;
}

/* Good until the next call but one. */
static char *
path(char const *dir, char const *name)
{
	static char out[2][5000];
	static int which;

	which = !which;
	if (snprintf(out[which], sizeof out[0], "%s/%s", dir, name) >=
	    (int)sizeof out[0])
		import_die("use the path", dir);
	return out[which];
}

/* Calls f for each name in a directory of the source. */
static void
for_each(char const *top, char const *sub,
    void (*f)(char const *dir, char const *name))
{
	char dir[5000];
	struct dirent *e;
	DIR *d;
	int fd;

	snprintf(dir, sizeof dir, "%s", path(top, sub));
	fd = import_open(dir, O_DIRECTORY);
	d = fd == -1 ? 0 : fdopendir(fd);
	if (!d) {
		if (errno != ENOENT)
			import_trouble(dir);
		return;
	}
	while ((e = readdir(d)) != 0)
		f(dir, e->d_name);
	closedir(d);
}

/* ---- control files */

static void
single(char const *from, char const *to)
{
	struct role const root = { 0, 0 };
	stralloc old = STRALLOC_ZERO;
	char const *name = to + strlen("control/");
	int dir;

	if (import_slurp(from, &old) == 1) {
		dir = open("control", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir == -1)
			import_die("open", "control");
		if (import_file(dir, name, to, &old, &root, 0644))
			import_done(to);
		close(dir);
	}
	stralloc_free(&old);
}

static int
is_virtual(char const *domain, size_t n)
{
	struct assign a = ASSIGN_ZERO;
	char key[128];
	int r;

	if (n > 100)
		return 0;
	memcpy(key, domain, n);
	key[n] = '-';
	r = assign_find(key, n + 1, &a);
	r = r == 1 && !*a.ext && strchr(a.user, '.');
	stralloc_free(&a.sa);
	return r;
}

/* What domainlist has written for a domain is not written again, and a domain
 * of vpopmail that did not come along is not accepted.
 */
static int
no_vpopmail(stralloc *line)
{
	size_t n = vpasswd_name(line->s, line->len);

	return n == line->len || line->len != 2 * n + 1 ||
	    memcmp(line->s, line->s + n + 1, n);
}

static int
no_virtual(stralloc *line)
{
	return !is_virtual(line->s, line->len);
}

static void
control(char const *dir, char const *name)
{
	stralloc text = STRALLOC_ZERO;
	char to[300];

	if (is_in(elsewhere, name))
		return;
	if (strlen(name) > 200 || (!is_in(singles, name) &&
	    !is_in(lists, name))) {
		import_miss(path(dir, name), ": nothing here reads it");
		return;
	}
	snprintf(to, sizeof to, "control/%s", name);
	if (is_in(singles, name)) {
		single(path(dir, name), to);
		return;
	}
	if (import_slurp(path(dir, name), &text) == 1)
		import_lines(&text, to, !strcmp(name, "virtualdomains") ?
		    no_vpopmail : !strcmp(name, "locals") ? no_virtual : 0);
	if (!strcmp(name, "morercpthosts") && !import.dry &&
	    domainlist_compile() == -1)
		import_die("compile", to);
	stralloc_free(&text);
}

/* ---- users of the system, and aliases */

/* "=local:user:uid:gid:home:dash:ext:": the account must be the same here. */
static int
same_account(stralloc *line)
{
	static char copy[1024];
	char *field[5], *s = copy;
	struct passwd *pw;
	unsigned long uid, gid;
	struct stat st;
	int i;

	if (line->len < 2 || line->len >= sizeof copy || *line->s == '.')
		return 0;
	memcpy(copy, line->s, line->len);
	copy[line->len] = 0;
	for (i = 0; i < 5; i++) {
		field[i] = s;
		s += strcspn(s, ":");
		if (!*s)
			return 0;
		*s++ = 0;
	}
	if (*copy == '+' && strchr(field[1], '.'))
		return 0;		/* a domain of vpopmail's */
	pw = getpwnam(field[1]);
	if (pw && ulong0_scan(field[2], &uid) && ulong0_scan(field[3], &gid) &&
	    pw->pw_uid == uid && pw->pw_gid == gid &&
	    stat(field[4], &st) == 0)
		return 1;
	import_miss("users/assign: ", field[0], ": no user ", field[1],
	    " with that uid, gid and home directory here");
	return 0;
}

static void
assign_lines(stralloc const *text)
{
	struct record r;
	stralloc line = STRALLOC_ZERO;
	char const *s;
	size_t pos = 0, n;

	record_open(&r, "users.assign");
	while (vpasswd_line(text->s, text->len, &pos, &s, &n)) {
		struct textfile_edit e = { .sorted = 1 };

		if (!stralloc_copyb(&line, s, n))
			import_die("go on:", "out of memory");
		if (!n || memchr(s, 0, n) || record_has(&r, s, n) ||
		    !same_account(&line))
			continue;
		record_add(&r, s, n);
		if (!stralloc_0(&line))
			import_die("go on:", "out of memory");
		e.add = line.s;
		if (!import.dry && textfile_edit("users/assign", &e) == -1)
			import_die("write", "users/assign");
		import_done("users/assign: ", line.s);
	}
	record_close(&r);
	stralloc_free(&line);
}

static void
alias(char const *dir, char const *name)
{
	stralloc text = STRALLOC_ZERO, new = STRALLOC_ZERO;
	struct role owner;
	char to[300];
	int fd;

	if (strncmp(name, ".qmail", 6) || strlen(name) > 200)
		return;
	if (role_find("alias", &owner) != 1)
		import_die("look up", "the role alias");
	snprintf(to, sizeof to, "alias/%s", name);
	if (import_slurp(path(dir, name), &text) == 1) {
		import_instructions(&text, &new, to);
		fd = open("alias", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd == -1)
			import_die("open", "alias");
		if (import_file(fd, name, to, &new, &owner, 0644))
			import_done(to);
		close(fd);
	}
	stralloc_free(&text);
	stralloc_free(&new);
}

/* ---- vpopmail */

/* "+domain-:real:uid:gid:dir:-::"; real 0: the line is none of that kind. */
struct domain {
	char name[128], real[128], dir[1024];
};

static int
domain_line(char const *s, size_t n, struct domain *out)
{
	char copy[2048];

	*out->real = 0;
	if (n >= sizeof copy || memchr(s, 0, n))
		return 0;
	memcpy(copy, s, n);
	copy[n] = 0;
	return sscanf(copy, "+%126[^:]:%126[^:]:%*[0-9]:%*[0-9]:%1022[^:]:-::",
	    out->name, out->real, out->dir) == 3 &&
	    strchr(out->real, '.') && strlen(out->name) > 1 &&
	    out->name[strlen(out->name) - 1] == '-';
}

static int
domain_ok(struct domain *d)
{
	d->name[strlen(d->name) - 1] = 0;
	if (mailbox_domain_ok(d->name, strlen(d->name)) &&
	    mailbox_domain_ok(d->real, strlen(d->real)))
		return 1;
	import_miss("users/assign: not a domain: ", d->name);
	return 0;
}

static void
other_name(struct domain const *a, struct record *r)
{
	struct vdomain d = VDOMAIN_ZERO, there = VDOMAIN_ZERO;

	if (record_has(r, a->name, strlen(a->name)))
		goto out;
	if (vdomain_open(&there, a->name) == 1 &&
	    strcmp(there.name.s, a->real)) {
		import_miss(a->name, ": is a domain here, or a name of one");
		goto out;
	}
	if (vdomain_open(&d, a->real) != 1 && !import.dry) {
		import_miss(a->name, ": there is no domain ", a->real);
		goto out;
	}
	if (!import.dry && domainlist_add(&d, a->name) == -1)
		import_die("make the alias domain", a->name);
	record_add(r, a->name, strlen(a->name));
	import_done("domain ", a->name, ", another name of ", a->real);
out:
	vdomain_close(&d);
	vdomain_close(&there);
}

static void
domains(stralloc const *text)
{
	struct domain d;
	struct record r;
	char const *s;
	size_t pos = 0, n;

	while (vpasswd_line(text->s, text->len, &pos, &s, &n))
		if (domain_line(s, n, &d) && domain_ok(&d) &&
		    !strcmp(d.name, d.real))
			import_domain(d.name, d.dir);
	record_open(&r, "aliasdomains");
	for (pos = 0; vpasswd_line(text->s, text->len, &pos, &s, &n);)
		if (domain_line(s, n, &d) && domain_ok(&d) &&
		    strcmp(d.name, d.real))
			other_name(&d, &r);
	record_close(&r);
}

/* ---- access rules */

static stralloc rules = STRALLOC_ZERO;	/* ours, before */

static int
has_key(char const *s, size_t n)
{
	char const *line;
	size_t pos = 0, len;

	while (vpasswd_line(rules.s, rules.len, &pos, &line, &len))
		if (len > n && line[n] == ':' && !memcmp(line, s, n))
			return 1;
	return 0;
}

/* A scanner of the source is ours from now on; no other queue program is. */
static void
queue_program(stralloc *line)
{
	stralloc out = STRALLOC_ZERO;
	char *at = memmem(line->s, line->len, ",QMAILQUEUE=", 12), *end;
	size_t front, len;
	int scanner;

	if (!at)
		return;
	front = at - line->s;
	len = line->len - front - 12;
	at += 12;
	end = len > 1 ? memchr(at + 1, *at, len - 1) : 0;
	len = end ? (size_t)(end - at) + 1 : len;
	scanner = memmem(at, len, "scan", 4) != 0;
	if (!scanner && !memmem(at, len, "/qmail-queue", 12))
		import_miss("a rule's QMAILQUEUE, which is not ours");
	if (!stralloc_catb(&out, line->s, front) ||
	    (scanner && (!stralloc_cats(&out, ",QMAILQUEUE=\"") ||
	    !stralloc_cats(&out, import.home) ||
	    !stralloc_cats(&out, "/bin/scanq\""))) ||
	    !stralloc_catb(&out, at + len,
	    line->s + line->len - (at + len)))
		import_die("go on:", "out of memory");
	stralloc_free(line);
	*line = out;
}

static int
rule(stralloc *line)
{
	size_t n = vpasswd_name(line->s, line->len);

	if (n == line->len)
		return 0;
	queue_program(line);
	if (!has_key(line->s, n))
		return 1;
	if (memmem(rules.s, rules.len, line->s, line->len))
		return 1;		/* the same */
	line->len = n;
	if (!stralloc_0(line))
		import_die("go on:", "out of memory");
	import_kept("the rule of ours for \"", line->s, "\"");
	return 0;
}

static void
rules_file(char const *from, char const *to)
{
	stralloc text = STRALLOC_ZERO;

	if (import_slurp(from, &text) == 1) {
		rules.len = 0;
		if (!openslurpclose(&rules, to) && errno != ENOENT)
			import_die("read", to);
		import_lines(&text, to, rule);
	}
	stralloc_free(&text);
}

/* ---- scanners */

#define ATTACHMENTS "rules/quarantine-attachments.txt"

/* ".mp3" on a line, or several with colons: one rule each. */
static void
ssattach(void)
{
	stralloc text = STRALLOC_ZERO, out = STRALLOC_ZERO;
	size_t i, n;

	if (import_slurp(path(import.qmail, "control/ssattach"), &text) == 1)
		for (i = 0; i < text.len; i += n + 1) {
			for (n = 0; i + n < text.len &&
			    !memchr(":\n\r \t,", text.s[i+n], 6); n++)
				;
			if (n < 2 || n > 40 || text.s[i] != '.')
				continue;
			if (!stralloc_catb(&out, text.s + i, n) ||
			    !stralloc_cats(&out,
			    "\t0\tattachment (simscan)\n"))
				import_die("go on:", "out of memory");
		}
	if (out.len)
		import_lines(&out, ATTACHMENTS, 0);
	stralloc_free(&text);
	stralloc_free(&out);
}

/* Our own scanrules reads a copy, and says what it cannot use. */
static void
simcontrol(void)
{
	static struct textfile_owner const root = { 0, 0, 0600 };
	static char const *const argv[] = { "bin/scanrules", "-s",
	    "users/imported/simcontrol", 0 };
	struct spawn_fd out = { -1, 1 };
	stralloc text = STRALLOC_ZERO;
	int p[2], status;
	pid_t pid;

	if (import_slurp(path(import.qmail, "control/simcontrol"), &text) != 1)
		return;
	if (import.dry) {
		import_done("control/simcontrol, as far as scanrules can");
		return;
	}
	if (textfile_write(argv[2], text.s, text.len, &root) == -1 ||
	    pipecoe(p) == -1)
		import_die("copy", "control/simcontrol");
	out.from = p[1];
	pid = spawn(argv, (char const *const *)environ, &out, 1);
	close(p[1]);
	text.len = 0;
	if (pid == -1 || !slurp(&text, p[0]) ||
	    waitpid(pid, &status, 0) == -1)
		import_die("run", argv[0]);
	close(p[0]);
	if (status)
		import_miss("control/simcontrol: scanrules has refused it");
	else
		import_lines(&text, ATTACHMENTS, 0);
	stralloc_free(&text);
}

static void
attachments(char const *from)
{
	stralloc text = STRALLOC_ZERO;

	if (import_slurp(from, &text) == 1)
		import_lines(&text, ATTACHMENTS, 0);
	stralloc_free(&text);
}

/* ---- all of it */

static void
vpopmail(void)
{
	single(path(import.vpopmail, "etc/vlimits.default"),
	    "control/vlimits.default");
	single(path(import.vpopmail, "etc/defaultdomain"),
	    "control/defaultvdomain");
	rules_file(given.smtp ? given.smtp :
	    path(import.vpopmail, "etc/tcp.smtp"), "rules/smtp");
}

static void
everything(void)
{
	stralloc assign = STRALLOC_ZERO;

	if (import_slurp(path(import.qmail, "users/assign"), &assign) == 1) {
		domains(&assign);
		assign_lines(&assign);
	}
	for_each(import.qmail, "control", control);
	for_each(import.qmail, "alias", alias);
	vpopmail();
	if (!given.smtp) {
		rules_file("/etc/tcp.smtp", "rules/smtp");
		rules_file("/etc/tcprules.d/tcp.smtp", "rules/smtp");
		rules_file("/etc/tcp.pop3", "rules/pop3");
		rules_file("/etc/tcprules.d/tcp.pop3", "rules/pop3");
	}
	if (given.pop3)
		rules_file(given.pop3, "rules/pop3");
	simcontrol();
	ssattach();
	if (given.attachments) {
		attachments(given.attachments);
		return;
	}
	attachments("/var/spool/qmailscan/quarantine-attachments.txt");
	attachments("/var/spool/qmailscan/quarantine-events.txt");
	attachments("/var/spool/qscan/quarantine-events.txt");
}

static void
options(int argc, char *const *argv)
{
	int c;

	import.qmail = "/var/qmail";
	import.vpopmail = "/home/vpopmail";
	while ((c = getopt(argc, argv, "nq:v:s:p:a:")) != -1) {
		switch (c) {
		case 'n': import.dry = 1; break;
		case 'q': import.qmail = optarg; break;
		case 'v': import.vpopmail = optarg; break;
		case 's': given.smtp = optarg; break;
		case 'p': given.pop3 = optarg; break;
		case 'a': given.attachments = optarg; break;
		default: strerr_dieusage(EXIT_USAGE, USAGE);
		}
	}
	if (argc - optind > 1 || *import.qmail != '/' ||
	    *import.vpopmail != '/')
		strerr_dieusage(EXIT_USAGE, USAGE);
	given.root = argc - optind ? argv[optind] : "/";
	/* before the home directory is entered */
	import.root = open(given.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (import.root == -1)
		strerr_diefusys(EXIT_TEMP, "open ", given.root);
}

int
main(int argc, char *const *argv)
{
	struct stat st;
	char number[32];
	int fd;

	PROG = "import";
	options(argc, argv);
	vtool_begin("import");
	vtool_lock();
	if (!getcwd(import.home, sizeof import.home) ||
	    (!import.dry && mkdir("users/imported", 0700) == -1 &&
	    errno != EEXIST))
		import_die("make", "users/imported");
	fd = import_open(import.qmail, O_DIRECTORY);
	if (fd == -1 || fstat(fd, &st) == -1)
		strerr_dief(EXIT_PERM, "no qmail in ", import.qmail,
		    " below ", given.root);
	close(fd);
	everything();
	if (!import.dry && vtool_usersmake() == -1)
		strerr_dief(EXIT_TEMP, "usersmake has refused users/assign");
	if (!import.dry)
		vtool_reload();
	snprintf(number, sizeof number, "%lu", import.missed);
	if (import.missed)
		vtool_say("things that could not be carried over: ", number);
	return import.missed ? EXIT_PERM : EXIT_DONE;
}
