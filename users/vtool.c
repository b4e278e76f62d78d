#include "users/vtool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/bytestr.h>
#include <skalibs/djbunix.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/job.h"
#include "lib/mailbox.h"
#include "lib/spawn.h"

extern char **environ;

static void
die_memory(void)
{
	strerr_diefu(EXIT_TEMP, "go on: out of memory");
}

void
vtool_begin(char const *prog)
{
	PROG = prog;
	umask(077);
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "change directory to ", home_path());
}

void
vtool_lock(void)
{
	struct role auth = { -1, -1 };
	int fd;

	fd = open("users/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	/* rehash holds it too */
	if (fd != -1 && role_find("auth", &auth) == 1 &&
	    (fchown(fd, -1, auth.gid) == -1 || fchmod(fd, 0640) == -1))
		strerr_diefusys(EXIT_TEMP, "give users/lock to role auth");
	if (fd == -1 || flock(fd, LOCK_EX) == -1)
		strerr_diefusys(EXIT_TEMP, "lock users/lock");
}

static char *
lower(char const *s)
{
	char *copy = strdup(s);

	if (!copy)
		die_memory();
	case_lowerb(copy, strlen(copy));
	return copy;
}

char *
vtool_domain(char const *s)
{
	char *domain = lower(s);

	/* vpopmail and users/cdb tell a domain from a user by its dot */
	if (!mailbox_domain_ok(domain, strlen(domain)) ||
	    !strchr(domain, '.'))
		strerr_dief(EXIT_PERM, "not a domain name: ", s);
	return domain;
}

static char *
default_domain(char const *user)
{
	stralloc domain = STRALLOC_ZERO;
	int r = control_line("control/defaultvdomain", &domain);

	if (r == 0)
		strerr_dief(EXIT_PERM, "not user@domain: ", user);
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "read control/defaultvdomain");
	if (!stralloc_0(&domain))
		die_memory();
	return domain.s;
}

char *
vtool_address(char const *s, char **domain)
{
	char *address = lower(s);
	char *at = strchr(address, '@');

	if (at)
		*at++ = 0;
	if (!mailbox_name_ok(address, strlen(address)))
		strerr_dief(EXIT_PERM, "not a user name: ", address);
	*domain = vtool_domain(at ? at : default_domain(address));
	return address;
}

void
vtool_open(struct vdomain *d, char const *domain)
{
	int r = vdomain_open(d, domain);

	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "open the domain ", domain);
	if (r == 0)
		strerr_dief(EXIT_PERM, "no such domain: ", domain);
}

void
vtool_change(struct vdomain *d, char const *domain)
{
	int r;

	vtool_open(d, domain);
	r = vdomain_stale(d);
	if (r == 1) {
		vdomain_sweep(d);
		r = vdomain_tables(d);
	}
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "write the tables of ", domain);
}

/* "+domain-:domain:..." of users/assign */
void
vtool_domains(int aliases, void (*f)(char const *, void *), void *arg)
{
	stralloc all = STRALLOC_ZERO;
	char const *line, *second;
	size_t pos = 0, n, len, real;
	char name[128];

	if (!openslurpclose(&all, "users/assign") && errno != ENOENT)
		strerr_diefusys(EXIT_TEMP, "read users/assign");
	while (vpasswd_line(all.s, all.len, &pos, &line, &n)) {
		len = vpasswd_name(line, n);
		if (len < 3 || len >= n || len >= sizeof name ||
		    *line != '+' || line[len-1] != '-')
			continue;
		second = line + len + 1;
		real = vpasswd_name(second, n - len - 1);
		if (!memchr(second, '.', real) || (!aliases &&
		    (real != len - 2 || memcmp(second, line + 1, real))))
			continue;
		memcpy(name, line + 1, len - 2);
		name[len - 2] = 0;
		f(name, arg);
	}
	stralloc_free(&all);
}

void
vtool_policy_ok(char const *word)
{
	if (!*word || word[strcspn(word, " \t\r\n'\"\\$`&;|<>(){}*?~#")] ||
	    *word == '/' || *word == '.')
		strerr_dief(EXIT_PERM, "not a user or address: ", word);
}

void
vtool_policy(struct vdomain const *d, char const *word, stralloc *out)
{
	struct vpasswd p = VPASSWD_ZERO;
	char const *at = "", *domain = "";
	size_t home = strlen(d->path.s) - strlen(d->name.s) -
	    strlen("domains/");

	vtool_policy_ok(word);
	if (!strchr(word, '@') && strcmp(word, "delete") &&
	    strcmp(word, "bounce-no-mailbox")) {
		vtool_user(d, word, &p);
		at = "@";
		domain = d->name.s;
	}
	if (!stralloc_cats(out, "| ") || !stralloc_catb(out, d->path.s, home) ||
	    !stralloc_cats(out, "bin/vdelivermail '' ") ||
	    !stralloc_cats(out, word) || !stralloc_cats(out, at) ||
	    !stralloc_cats(out, domain) || !stralloc_append(out, '\n'))
		die_memory();
	stralloc_free(&p.sa);
}

char *
vtool_default_quota(struct vdomain const *d)
{
	stralloc line = STRALLOC_ZERO;
	char quota[64];
	char *out;
	int r;

	limits_user_quota(&d->limits, quota, sizeof quota);
	if (*quota)
		return vtool_quota(quota);
	r = control_line("control/defaultquota", &line);
	if (r == -1 || (r == 1 && !stralloc_0(&line)))
		strerr_diefusys(EXIT_TEMP, "read control/defaultquota");
	out = vtool_quota(r == 1 ? line.s : "NOQUOTA");
	stralloc_free(&line);
	return out;
}

static int
is_of(char const *file, char const *name, char const *domain)
{
	char const *at = strrchr(file, '@');

	return at && strcmp(at + 1, domain) == 0 && (!name || at == file ||
	    ((size_t)(at - file) == strlen(name) &&
	    !memcmp(file, name, at - file)));
}

void
vtool_not_full(struct vdomain const *d, char const *name)
{
	DIR *dir = opendir("users/full");
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir)) != 0)
		if (is_of(e->d_name, name, d->name.s))
			unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
}

void
vtool_user(struct vdomain const *d, char const *name, struct vpasswd *out)
{
	int r = vdomain_user(d, name, out);

	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "read ", d->path.s, "/vpasswd");
	if (r == 0)
		strerr_dief(EXIT_PERM, "no such user: ", name, "@", d->name.s);
}

unsigned int
vtool_random(char const *arg)
{
	unsigned int n = VTOOL_RANDOM;

	if (arg && (!uint0_scan(arg, &n) || n < 8 || n > 64))
		strerr_dief(EXIT_USAGE, "-r takes a number from 8 to 64");
	return n;
}

static void
draw(unsigned int n, stralloc *out)
{
	/* 32 of them: no letter is likelier than another */
	static char const letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	unsigned char c;

	out->len = 0;
	while (n--)
		if (getrandom(&c, 1, 0) != 1 ||
		    !stralloc_append(out, letters[c % 32]))
			strerr_diefusys(EXIT_TEMP, "draw a password");
	if (!stralloc_0(out))
		die_memory();
	vtool_say("Random password: ", out->s);
}

/* A line of standard input, without its LF, with NUL. */
static void
read_line(stralloc *out)
{
	char c = 0;

	out->len = 0;
	while (out->len < 256 && fd_read(0, &c, 1) == 1 && c != '\n')
		if (!stralloc_append(out, c))
			die_memory();
	if (!stralloc_0(out))
		die_memory();
}

static void
prompt(stralloc *out)
{
	struct termios was, quiet;
	stralloc again = STRALLOC_ZERO;
	int terminal = tcgetattr(0, &was) == 0;

	if (!terminal) {
		read_line(out);
		return;
	}
	quiet = was;
	quiet.c_lflag &= ~ECHO;
	tcsetattr(0, TCSAFLUSH, &quiet);
	allwrite(2, "Password: ", 10);
	read_line(out);
	allwrite(2, "\nAgain: ", 8);
	read_line(&again);
	allwrite(2, "\n", 1);
	tcsetattr(0, TCSAFLUSH, &was);
	if (strcmp(out->s, again.s) != 0)
		strerr_dief(EXIT_PERM, "the passwords differ");
	stralloc_free(&again);
}

void
vtool_password(char const *arg, unsigned int random, stralloc *out)
{
	if (random) {
		draw(random, out);
		return;
	}
	if (!arg)
		prompt(out);
	else if (!stralloc_copys(out, arg) || !stralloc_0(out))
		die_memory();
	else			/* everybody sees the arguments */
		explicit_bzero((char *)arg, strlen(arg));
	if (out->len < 2)
		strerr_dief(EXIT_PERM, "an empty password is none");
	/* 512 bytes hold it with a login and a stamp (checkpassword) */
	if (out->len > 256)
		strerr_dief(EXIT_PERM, "the password is longer than 255 bytes");
}

void
vtool_hash(stralloc const *password, stralloc *out)
{
	static char const *const argv[] = { "bin/pwhash", 0 };
	struct spawn_fd fds[2] = { { -1, 0 }, { -1, 1 } };
	char answer[1024];
	size_t n;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		strerr_diefusys(EXIT_TEMP, "make a socket");
	fds[0].from = fds[1].from = pair[1];
	if (spawn(argv, (char const *const *)environ, fds, 2) == -1)
		strerr_diefusys(EXIT_TEMP, "start bin/pwhash");
	close(pair[1]);
	out->len = 0;
	if (job_puts(out, "h") == -1 ||
	    job_puts(out, password->s) == -1)
		die_memory();
	if (allwrite(pair[0], out->s, out->len) != out->len)
		strerr_diefusys(EXIT_TEMP, "ask bin/pwhash");
	shutdown(pair[0], SHUT_WR);
	n = allread(pair[0], answer, sizeof answer);
	close(pair[0]);
	explicit_bzero(out->s, out->len);
	if (n < 3 || *answer != 'h' || answer[n-1])
		strerr_dief(EXIT_TEMP, "bin/pwhash makes no hash");
	if (!stralloc_copyb(out, answer + 1, n - 1))
		die_memory();
}

char *
vtool_quota(char const *s)
{
	char text[64];
	uint64_t u, unit = 1;
	char const *rest;

	if (strcasecmp(s, "NOQUOTA") == 0)
		return strdup("NOQUOTA");
	rest = s + uint64_scan(s, &u);
	if (rest != s && (*rest == 'K' || *rest == 'k'))
		unit = 1024;
	else if (rest != s && (*rest == 'M' || *rest == 'm'))
		unit = 1048576;
	if (rest == s || u > UINT64_MAX / 2 / unit)
		strerr_dief(EXIT_PERM, "not a quota: ", s);
	rest += unit != 1;
	rest += unit != 1 && (*rest == 'B' || *rest == 'b');
	if (unit == 1 && strcmp(rest, "C") == 0)
		return strdup(s);
	rest += unit == 1 && *rest == 'S';
	/* "1000S,50C": the count stays as it is */
	if (*rest && (*rest != ',' || strspn(rest + 1, "0123456789") + 2 !=
	    strlen(rest) || rest[strlen(rest) - 1] != 'C' ||
	    strlen(rest) > 20))
		strerr_dief(EXIT_PERM, "not a quota: ", s);
	snprintf(text, sizeof text, "%lluS%s",
	    (unsigned long long)(u * unit), rest);
	return strdup(text);
}

/* The exit code of a program, -1 if it has none. */
static int
run(char const *const *argv, int quietly)
{
	struct spawn_fd fds[3] = { { 0, 0 }, { 1, 1 }, { 2, 2 } };
	int status, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pid;

	if (quietly && null != -1)
		fds[0].from = fds[1].from = fds[2].from = null;
	pid = spawn(argv, (char const *const *)environ, fds, 3);
	if (null != -1)
		close(null);
	if (pid == -1)
		return -1;
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
vtool_usersmake(void)
{
	static char const *const argv[] = { "bin/usersmake", 0 };

	return run(argv, 0) == 0 ? 1 : -1;
}

void
vtool_reload(void)
{
	static char const *const argv[] = { "bin/mailctl", "reload", 0 };

	/* without a supervisor nothing runs that could be told */
	if (access(argv[0], X_OK) == 0)
		run(argv, 1);
}

void
vtool_say(char const *name, char const *value)
{
	if (allwrite(1, name, strlen(name)) != strlen(name) ||
	    allwrite(1, value, strlen(value)) != strlen(value) ||
	    allwrite(1, "\n", 1) != 1)
		strerr_diefusys(EXIT_TEMP, "write to standard output");
}

void
vtool_field(char const *wanted, char letter, char const *label,
    char const *value)
{
	if (!*wanted || strchr(wanted, 'a'))
		vtool_say(label, value);
	else if (strchr(wanted, letter))
		vtool_say("", value);
}
