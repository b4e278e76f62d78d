/* confine profile prog...: give up what a service does not need, then run
 * prog, which keeps to it, and so does all that it starts.
 *
 * What goes stands in profiles/PROFILE below the home directory, and in
 * profiles/PROFILE.local behind it, for what the administrator adds.  One
 * setting a line:
 *
 *	user smtpd			become the user of a role of conf-users
 *	ids smtpd			say who that is in $UID and $GID
 *	umask 077
 *	limit nofile 1024		setrlimit
 *	capabilities setuid setgid	of root, these and no others
 *	read control /etc/passwd	of all files, these and those below
 *	exec bin
 *	write queue
 *	forbid bind connect signal	TCP ports, processes outside
 *	connect 53			all the same, to this TCP port
 *
 * Always: descriptors above 2 are closed, no_new_privs, and the system calls
 * that no service has business with (lib/sandbox.h) are refused.
 *
 * Runs as: root, or the profile's user.  Reads: conf-users, profiles/.
 * Writes: nothing.  Trusts: the profile.  Trusted by: every service.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <skalibs/exec.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/role.h"
#include "lib/sandbox.h"

#define USAGE "confine profile prog..."

enum {
	PATHS = 64,		/* of one profile; a profile is short */
	PORTS = 16,
	CLOSE_RANGE = 436	/* Linux 5.9; absent from older headers */
};

struct number {
	char const *name;
	int value;
};

static struct number const limit_names[] = {
	{ "as", RLIMIT_AS }, { "core", RLIMIT_CORE }, { "cpu", RLIMIT_CPU },
	{ "data", RLIMIT_DATA }, { "fsize", RLIMIT_FSIZE },
	{ "memlock", RLIMIT_MEMLOCK }, { "nofile", RLIMIT_NOFILE },
	{ "nproc", RLIMIT_NPROC }, { "stack", RLIMIT_STACK }, { 0, 0 }
};

/* linux/capability.h */
static struct number const capability_names[] = {
	{ "chown", 0 }, { "dac_override", 1 }, { "dac_read_search", 2 },
	{ "fowner", 3 }, { "kill", 5 }, { "setgid", 6 }, { "setuid", 7 },
	{ "net_bind_service", 10 }, { "sys_chroot", 18 }, { 0, 0 }
};

static struct number const forbid_names[] = {
	{ "bind", SANDBOX_BIND }, { "connect", SANDBOX_CONNECT },
	{ "signal", SANDBOX_SIGNAL }, { 0, 0 }
};

struct profile {
	struct role user;
	struct role ids;
	int has_user;
	int has_ids;
	int has_capabilities;
	uint64_t capabilities;
	int forbid;
	uint16_t port[PORTS];
	size_t ports;
	struct sandbox_path path[PATHS];
	size_t paths;
	struct rlimit limit[RLIM_NLIMITS];
	char has_limit[RLIM_NLIMITS];
};

/* where in the profile a fault is */
static char const *where;

static void
die_bad(char const *what, char const *text)
{
	strerr_dief(EXIT_PERM, where, ": ", what, ": ", text);
}

static int
number_of(struct number const *table, char const *word)
{
	for (; table->name; table++)
		if (strcmp(table->name, word) == 0)
			return table->value;
	die_bad("unknown word", word);
	return 0;
}

/* Cuts the next word off *line; "" at the end. */
static char *
next_word(char **line)
{
	char *s = *line + strspn(*line, " \t");
	char *end = s + strcspn(s, " \t");

	*line = *end ? end + 1 : end;
	*end = 0;
	return s;
}

static void
find_role(struct role *out, char const *name)
{
	int r = role_find(name, out);

	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "look up role ", name);
	if (!r)
		die_bad("no such role in conf-users, or no such user", name);
}

static void
set_limit(struct profile *p, char const *name, char const *value)
{
	int which = number_of(limit_names, name);
	uint64_t n;

	if (!*value || !uint640_scan(value, &n))
		die_bad("not a number", value);
	p->limit[which].rlim_cur = p->limit[which].rlim_max = (rlim_t)n;
	p->has_limit[which] = 1;
}

static void
set_umask(char const *value)
{
	unsigned int mode;

	if (!*value || !uint0_oscan(value, &mode) || mode > 0777)
		die_bad("not a file mode", value);
	umask((mode_t)mode);
}

static void
add_path(struct profile *p, char const *path, int rights)
{
	if (p->paths == PATHS)
		die_bad("too many paths at", path);
	p->path[p->paths].path = path;
	p->path[p->paths++].rights = rights;
}

static void
add_port(struct profile *p, char const *port)
{
	unsigned int n;

	if (!uint0_scan(port, &n) || !n || n > 65535)
		die_bad("not a port", port);
	if (p->ports == PORTS)
		die_bad("too many ports at", port);
	p->port[p->ports++] = (uint16_t)n;
}

/* a setting that takes any number of words */
static void
add_word(struct profile *p, char const *setting, char const *word)
{
	if (strcmp(setting, "read") == 0)
		add_path(p, word, SANDBOX_READ);
	else if (strcmp(setting, "exec") == 0)
		add_path(p, word, SANDBOX_EXEC);
	else if (strcmp(setting, "write") == 0)
		add_path(p, word, SANDBOX_READ | SANDBOX_WRITE);
	else if (strcmp(setting, "forbid") == 0)
		p->forbid |= number_of(forbid_names, word);
	else if (strcmp(setting, "connect") == 0)
		add_port(p, word);
	else if (strcmp(setting, "capabilities") == 0)
		p->capabilities |=
		    (uint64_t)1 << number_of(capability_names, word);
	else
		die_bad("unknown setting", setting);
}

static void
parse_line(struct profile *p, char *line)
{
	char *setting = next_word(&line);
	char *word = next_word(&line);

	if (strcmp(setting, "capabilities") == 0) {
		p->has_capabilities = 1;
	} else if (strcmp(setting, "user") == 0) {
		find_role(&p->user, word);
		p->has_user = 1;
		return;
	} else if (strcmp(setting, "ids") == 0) {
		find_role(&p->ids, word);
		p->has_ids = 1;
		return;
	} else if (strcmp(setting, "umask") == 0) {
		set_umask(word);
		return;
	} else if (strcmp(setting, "limit") == 0) {
		set_limit(p, word, next_word(&line));
		return;
	} else if (!*word) {
		die_bad("nothing behind", setting);
	}
	for (; *word; word = next_word(&line))
		add_word(p, setting, word);
}

/* 1, or 0: no such file.  The words stay in memory: paths point there. */
static int
parse_file(struct profile *p, char const *name, char const *suffix)
{
	stralloc file = STRALLOC_ZERO;
	stralloc list = STRALLOC_ZERO;
	size_t i, n;
	int r;

	if (!stralloc_cats(&file, "profiles/") || !stralloc_cats(&file, name) ||
	    !stralloc_cats(&file, suffix) || !stralloc_0(&file))
		strerr_diefusys(EXIT_TEMP, "allocate memory");
	where = file.s;
	r = control_list(file.s, &list);
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "read ", file.s);
	for (i = 0; r && i < list.len; i += n) {
		n = strlen(list.s + i) + 1;
		parse_line(p, list.s + i);
	}
	return r;
}

static void
say_ids(struct role const *ids)
{
	char uid[UINT32_FMT], gid[UINT32_FMT];

	uid[uint32_fmt(uid, (uint32_t)ids->uid)] = 0;
	gid[uint32_fmt(gid, (uint32_t)ids->gid)] = 0;
	if (setenv("UID", uid, 1) == -1 || setenv("GID", gid, 1) == -1)
		strerr_diefusys(EXIT_TEMP, "set environment");
}

static void
set_limits(struct profile const *p)
{
	struct rlimit now;
	struct rlimit want;
	int i;

	for (i = 0; i < RLIM_NLIMITS; i++) {
		if (!p->has_limit[i])
			continue;
		want = p->limit[i];
		/* never up, where the machine or a container says less */
		if (getrlimit(i, &now) == 0 && now.rlim_max < want.rlim_max)
			want = now;
		if (setrlimit(i, &want) == -1)
			strerr_diefusys(EXIT_TEMP, "set resource limits");
	}
}

static void
close_rest(void)
{
	int fd;

	if (syscall(CLOSE_RANGE, 3, ~0U, 0) == 0)
		return;
	for (fd = 3; fd < 1024; fd++)
		close(fd);
}

/* The order matters: each step must still be allowed when it is taken. */
static void
apply(struct profile const *p)
{
	close_rest();
	set_limits(p);
	if (p->has_capabilities && geteuid() == 0 &&
	    sandbox_capabilities(p->capabilities) == -1)
		strerr_diefusys(EXIT_TEMP, "give up capabilities");
	if (p->has_user && role_become(&p->user) == -1)
		strerr_diefusys(EXIT_TEMP, "become the user of the profile");
	if (sandbox_no_new_privs() == -1)
		strerr_diefusys(EXIT_TEMP, "set no_new_privs");
	if (p->paths && sandbox_paths(p->path, p->paths) == -1)
		strerr_diefusys(EXIT_TEMP, "restrict paths");
	if (p->forbid && sandbox_forbid(p->forbid, p->port, p->ports) == -1)
		strerr_diefusys(EXIT_TEMP, "restrict ports and signals");
	if (sandbox_syscalls() == -1)
		strerr_diefusys(EXIT_TEMP, "restrict system calls");
	if (*sandbox_missing())
		strerr_warni("not on this kernel: ", sandbox_missing());
}

int
main(int argc, char const *const *argv)
{
	static struct profile p;

	PROG = "confine";
	if (argc < 3)
		strerr_dieusage(EXIT_USAGE, USAGE);
	if (!*argv[1] || *argv[1] == '.' || strchr(argv[1], '/'))
		strerr_dief(EXIT_USAGE, "not the name of a profile: ", argv[1]);
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "enter ", home_path());
	if (!parse_file(&p, argv[1], ""))
		strerr_dief(EXIT_PERM, "nothing in ", where);
	parse_file(&p, argv[1], ".local");
	if (p.has_ids)
		say_ids(&p.ids);
	apply(&p);
	exec(argv + 2);
	strerr_dieexec(EXIT_TEMP, argv[2]);
}
