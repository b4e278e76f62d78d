/* attempt VERB [ARG]: try one thing that a sandbox may forbid; print "ok" or
 * the reason.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int
number(char const *s)
{
	return (int)strtol(s, 0, 10);
}

static int
tcp(char const *verb, char const *port)
{
	struct sockaddr_in a;
	int s = socket(AF_INET, SOCK_STREAM, 0);

	memset(&a, 0, sizeof a);
	a.sin_family = AF_INET;
	a.sin_port = htons((unsigned short)number(port));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (strcmp(verb, "bind") == 0)
		return bind(s, (void *)&a, sizeof a);
	return connect(s, (void *)&a, sizeof a);
}

static int
show(char const *what)
{
	struct rlimit l;
	uid_t r, e, s;
	gid_t gr, ge, gs;

	if (strcmp(what, "ids") == 0) {
		getresuid(&r, &e, &s);
		getresgid(&gr, &ge, &gs);
		printf("%d %d %d %d %d %d %d\n", r, e, s, gr, ge, gs,
		    getgroups(0, 0));
	} else if (strcmp(what, "env") == 0) {
		printf("%s %s\n", getenv("UID"), getenv("GID"));
	} else if (strcmp(what, "nnp") == 0) {
		printf("%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	} else if (strcmp(what, "nofile") == 0) {
		getrlimit(RLIMIT_NOFILE, &l);
		printf("%ld %ld\n", (long)l.rlim_cur, (long)l.rlim_max);
	}
	return 0;
}

static int
file(char const *verb, char const *path)
{
	char const *argv[] = { path, 0 };

	if (strcmp(verb, "read") == 0)
		return open(path, O_RDONLY);
	if (strcmp(verb, "append") == 0)
		return open(path, O_WRONLY | O_APPEND);
	if (strcmp(verb, "rename") == 0)	/* to another directory */
		return rename(path, "queue/sub/x");
	if (strcmp(verb, "create") == 0)
		return open(path, O_WRONLY | O_CREAT, 0600);
	return execv(path, (char **)argv);
}

static int
process(char const *verb, char const *arg)
{
	if (strcmp(verb, "kill") == 0)
		return kill(number(arg), 0);
	if (strcmp(verb, "ptrace") == 0)
		return (int)ptrace(PTRACE_TRACEME, 0, 0, 0);
	if (strcmp(verb, "unshare") == 0)
		return unshare(CLONE_NEWUSER);
	if (strcmp(verb, "clone") == 0)
		return (int)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0,
		    0, 0);
	if (strcmp(verb, "x32") == 0)
		return (int)syscall(0x40000000 + 39);
	if (strcmp(verb, "socket") == 0)
		return socket(number(arg), SOCK_RAW, 0);
	if (strcmp(verb, "chroot") == 0)
		return chroot(arg);
	if (strcmp(verb, "setuid") == 0)
		return setuid((uid_t)number(arg));
	if (strcmp(verb, "close") == 0)
		return close(number(arg));
	return 0;
}

int
main(int argc, char **argv)
{
	char const *verb = argc > 1 ? argv[1] : "ok";
	char const *arg = argc > 2 ? argv[2] : "";
	int r;

	if (strcmp(verb, "show") == 0)
		return show(arg);
	if (strstr("bind connect", verb))
		r = tcp(verb, arg);
	else if (strstr("read append create rename exec", verb))
		r = file(verb, arg);
	else
		r = process(verb, arg);
	puts(r == -1 ? strerror(errno) : "ok");
	return 0;
}
