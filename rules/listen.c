/* listen waits for TCP connections and runs a program for each, as
 * tcpserver(1) does: access rules from a cdb, limits for each address and
 * network, IPv4 and IPv6.
 *
 * Runs as: root until the addresses are bound, then -u and -g, before the
 * first client.  Reads: the cdb of rules, conf-users.  Writes: its log.
 * Trusts: the rules.  Trusted by: the program, for the client's address and
 * the environment.
 */
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/sgetopt.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/role.h"
#include "rules/balancers.h"
#include "rules/behind.h"
#include "rules/children.h"
#include "rules/connenv.h"
#include "rules/connlog.h"
#include "rules/server.h"

#define USAGE "listen [-146XUPpHhRroOdDqQv] [-c limit] [-C per-address] " \
	"[-n per-network] [-w n/seconds] [-W n/seconds] [-x rules.cdb] " \
	"[-B smtp|pop3|text] [-u uid|role] [-g gid] [-b backlog] " \
	"[-l localname] [-I interface] [-G delay] [-k grace] " \
	"[-s file] [-t seconds] [-y balancers] host port prog..."

enum { MOST_CONNECTIONS = 100000 };

static void
die_usage(void)
{
	strerr_dieusage(EXIT_USAGE, USAGE);
}

struct options {
	struct server server;
	struct listener_options socket;
	struct behind behind;
	char const *user, *group, *localhost, *refusal;
	int print_port;
	enum connlog_level level;
};

static unsigned int
number(char const *s, unsigned int most)
{
	unsigned int u;

	if (!uint0_scan(s, &u) || u > most)
		strerr_dief(EXIT_USAGE, "not a number in range: ", s);
	return u;
}

static struct peers_rate
rate(char const *s)
{
	struct peers_rate r;

	if (!peers_scan_rate(s, &r))
		strerr_dief(EXIT_USAGE, "not a rate such as 20/60: ", s);
	return r;
}

static char const *
from_env(char const *name)
{
	char const *s = getenv(name);

	if (!s)
		strerr_dienotset(EXIT_USAGE, name);
	return s;
}

static unsigned int
interface(char const *name)
{
	unsigned int u = if_nametoindex(name);

	if (!u)
		strerr_diefusys(EXIT_TEMP, "find interface ", name);
	return u;
}

static void
set_flag(struct options *o, int c)
{
	switch (c) {
	case '1': o->print_port = 1; break;
	case '4': o->socket.six = 0; break;
	case '6': o->socket.six = 1; break;
	case 'X': o->server.judge.open_without_rules = 1; break;
	case 'U':
		o->user = from_env("UID");
		o->group = from_env("GID");
		break;
	case 'd': o->socket.delay = 1; break;
	case 'D': o->socket.delay = 0; break;
	case 'q': o->level = CONNLOG_NOTHING; break;
	case 'Q': o->level = CONNLOG_TROUBLE; break;
	case 'v': o->level = CONNLOG_ALL; break;
	case 'h': o->behind.names = 1; break;
	case 'H': o->behind.names = o->behind.paranoid = 0; break;
	case 'p': o->behind.names = o->behind.paranoid = 1; break;
	case 'P': o->behind.paranoid = 0; break;
	/* Linux drops source routes itself */
	case 'r': o->behind.owner = 1; break;
	case 'R': o->behind.owner = 0; break;
	case 'o': case 'O': break;
	default: die_usage();
	}
}

static void
set_option(struct options *o, int c, char const *arg)
{
	struct server *s = &o->server;
	struct peers_limits *limits = &s->judge.limits;

	switch (c) {
	case 'c': s->limit = number(arg, MOST_CONNECTIONS); break;
	case 'C': limits->address = number(arg, MOST_CONNECTIONS); break;
	case 'n': limits->network = number(arg, MOST_CONNECTIONS); break;
	case 'w': limits->address_rate = rate(arg); break;
	case 'W': limits->network_rate = rate(arg); break;
	case 'x': s->judge.rules.path = arg; break;
	case 's': s->optional = arg; break;
	case 'B': o->refusal = arg; break;
	case 'u': o->user = arg; break;
	case 'g': o->group = arg; break;
	case 'b': o->socket.backlog = number(arg, 65535); break;
	case 'l': o->localhost = arg; break;
	case 'I': o->socket.interface = interface(arg); break;
	case 'G': s->judge.greet_delay = number(arg, 3600); break;
	case 'k': s->grace = number(arg, 86400); break;
	case 'y':
		if (!balancers_list(arg))
			strerr_dief(EXIT_USAGE, "not a list of addresses: ",
			    arg);
		break;
	case 't': o->behind.seconds = number(arg, 3600); break;
	default: set_flag(o, c);
	}
}

/* Splits "a,b" in place: the next piece, 0 after the last. */
static char *
piece(char **list)
{
	char *s = *list;

	if (!s)
		return 0;
	*list = strchr(s, ',');
	if (*list)
		*(*list)++ = 0;
	return s;
}

static void
open_one(struct options *o, char const *host, char const *port)
{
	struct server *s = &o->server;
	int r;

	if (s->listeners == LISTENER_MOST)
		strerr_dief(EXIT_USAGE, "too many addresses and ports");
	r = listener_open(s->listener + s->listeners, host, port, &o->socket);
	if (r == -1)
		strerr_diefusys(EXIT_TEMP, "bind ", host, " port ", port);
	if (r == 0)
		strerr_dief(EXIT_USAGE, "not an address and a port: ", host,
		    " ", port);
	s->listeners++;
}

static void
open_all(struct options *o, char const *hosts, char const *ports)
{
	char *host_list = strdup(hosts), *rest = host_list, *host, *port;

	while (host_list && (host = piece(&rest))) {
		char *port_list = strdup(ports), *more = port_list;

		if (!port_list)
			strerr_diefusys(EXIT_TEMP, "read ", ports);
		while ((port = piece(&more)))
			open_one(o, host, port);
		free(port_list);
	}
	if (!host_list)
		strerr_diefusys(EXIT_TEMP, "read ", hosts);
	free(host_list);
}

static void
adopt_one(struct options *o, int fd)
{
	struct server *s = &o->server;
	char text[INT_FMT];

	text[int_fmt(text, fd)] = 0;
	if (s->listeners == LISTENER_MOST)
		strerr_dief(EXIT_USAGE, "too many inherited sockets");
	if (!listener_adopt(s->listener + s->listeners, fd, &o->socket))
		strerr_dief(EXIT_USAGE, "not a listening socket: descriptor ",
		    text);
	s->listeners++;
}

/* sd_listen_fds(3): sockets from descriptor 3 on, if they are meant for this
 * process.  1, or 0: none. */
static int
adopt_all(struct options *o)
{
	char const *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	unsigned int mine, sockets, i;

	if (!pid || !n || !uint0_scan(pid, &mine) ||
	    !uint0_scan(n, &sockets) || mine != (unsigned int)getpid())
		return 0;
	for (i = 0; i < sockets; i++)
		adopt_one(o, 3 + i);
	return sockets > 0;
}

static void
print_port(struct options const *o)
{
	char text[UINT_FMT + 1];
	size_t n = uint_fmt(text, o->server.listener[0].port);

	text[n++] = '\n';
	if (write(1, text, n) == -1)
		strerr_diefusys(EXIT_TEMP, "write the port");
}

/* conf-users is in the home directory; ours stays where it was, for the sake
 * of the program and of relative paths. */
static int
find_role(char const *name, struct role *to)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (here == -1)
		return -1;
	r = home_enter() == 1 ? role_find(name, to) : -1;
	if (fchdir(here) == -1)
		r = -1;
	close(here);
	return r;
}

/* -u takes a number, as tcpserver does, or a role of conf-users. */
static void
drop_privileges(struct options const *o)
{
	struct role to = { geteuid(), getegid() };

	if (!o->user && !o->group)
		return;
	if (o->user && !uint0_scan(o->user, &to.uid) &&
	    find_role(o->user, &to) != 1)
		strerr_dief(EXIT_TEMP, "neither a uid nor a role of "
		    "conf-users: ", o->user);
	if (o->group && !uint0_scan(o->group, &to.gid))
		strerr_dief(EXIT_USAGE, "not a gid: ", o->group);
	if (role_become(&to) == -1)
		strerr_diefusys(EXIT_TEMP, "become ",
		    o->user ? o->user : o->group);
}

static void
init_modules(struct options *o)
{
	connlog_init(o->level, o->localhost);
	if (peers_init(o->server.limit) == -1 ||
	    children_init(o->server.limit) == -1 ||
	    balancers_init(o->server.limit) == -1 ||
	    connenv_init((char const *const *)environ, o->localhost) == -1 ||
	    server_init(&o->server) == -1)
		strerr_diefusys(EXIT_TEMP, "make room for clients");
}

static void
choose_program(struct options *o, char const *const *argv)
{
	struct server *s = &o->server;

	s->argv = argv;
	s->shorter = argv + 1;
	if (!o->behind.names && !o->behind.owner)
		return;
	s->judge.limits_only = s->judge.rules.path != 0;
	o->behind.rules = s->judge.rules.path;
	o->behind.refusal = o->refusal;
	o->behind.open_without_rules = s->judge.open_without_rules;
	o->behind.quiet = o->level != CONNLOG_ALL;
	s->argv = behind_words(&o->behind, argv);
	s->shorter = behind_words(&o->behind, argv + 1);
	if (!s->argv || !s->shorter)
		strerr_diefusys(EXIT_TEMP, "make room for the program");
}

int
main(int argc, char const *const *argv)
{
	static struct options o = {
		.server = { .limit = 40, .grace = 5 },
		.socket = { .backlog = 1024 },
		.behind = { .seconds = 5 },
		.level = CONNLOG_TROUBLE
	};
	subgetopt l = SUBGETOPT_ZERO;
	int c;

	PROG = "listen";
	while ((c = subgetopt_r(argc, argv, "146XUPpHhRroOdDqQvc:C:n:w:W:x:B:u:"
	    "g:b:l:I:G:k:s:t:y:", &l)) != -1)
		set_option(&o, c, l.arg);
	argc -= l.ind;
	argv += l.ind;
	if (argc < 3 || !o.server.limit)
		die_usage();
	if (o.localhost && strlen(o.localhost) > CONNENV_LOCALHOST)
		strerr_dief(EXIT_USAGE, "name too long: ", o.localhost);
	if (!refusal_lines(&o.server.refusal, o.refusal))
		strerr_dief(EXIT_USAGE, "text of -B is too long");
	if (o.server.optional && !argv[3])
		die_usage();
	choose_program(&o, argv + 2);
	if (!adopt_all(&o))
		open_all(&o, argv[0], argv[1]);
	drop_privileges(&o);
	init_modules(&o);
	/* who reads it may send signals */
	if (o.print_port)
		print_port(&o);
	server_run();
	return 0;
}
