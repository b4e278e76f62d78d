#include "rules/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skalibs/types.h>

struct place {
	struct ipaddr address;
	unsigned int port;
	int dual;
};

static int
scan_host(struct place *p, char const *host, int six)
{
	p->dual = strcmp(host, ":0") == 0;
	if (p->dual)
		host = "::";
	else if (strcmp(host, "0") == 0)
		host = six ? "::" : "0.0.0.0";
	else if (strcmp(host, "localhost") == 0)
		host = six ? "::1" : "127.0.0.1";
	return ipaddr_scan(host, strlen(host), &p->address);
}

static int
scan_port(struct place *p, char const *port)
{
	struct servent *service;

	if (uint0_scan(port, &p->port))
		return p->port <= 65535;
	service = getservbyname(port, "tcp");
	if (service)
		p->port = ntohs(service->s_port);
	return service != 0;
}

/* Accepted sockets inherit TCP_NODELAY: no call for each connection. */
static int
set_nodelay(int fd, struct listener_options const *o)
{
	int one = 1;

	return o->delay ? 0 :
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* What the socket is bound to.  1, or 0. */
static int
describe(struct listener *l, int fd)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	static unsigned char const zeros[16];

	if (getsockname(fd, (struct sockaddr *)&ss, &n) == -1 ||
	    !ipaddr_from((struct sockaddr *)&ss, &l->local, &l->port))
		return 0;
	l->fd = fd;
	l->wildcard = memcmp(l->local.b, zeros, 16) == 0 ||
	    (ipaddr_is4(&l->local) && memcmp(l->local.b + 12, zeros, 4) == 0);
	return 1;
}

static int
bind_socket(int fd, struct place const *p, struct listener_options const *o)
{
	struct sockaddr_storage ss;
	socklen_t n = ipaddr_to(&p->address, p->port, &ss);
	int one = 1, only = !p->dual;

	if (ss.ss_family == AF_INET6) {
		((struct sockaddr_in6 *)&ss)->sin6_scope_id = o->interface;
		if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only,
		    sizeof only) == -1)
			return -1;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == -1 ||
	    set_nodelay(fd, o) == -1 ||
	    bind(fd, (struct sockaddr *)&ss, n) == -1 ||
	    listen(fd, o->backlog) == -1)
		return -1;
	return 0;
}

int
listener_open(struct listener *l, char const *host, char const *port,
    struct listener_options const *o)
{
	struct place p;
	int fd, e;

	if (!scan_host(&p, host, o->six) || !scan_port(&p, port))
		return 0;
	fd = socket(ipaddr_is4(&p.address) ? AF_INET : AF_INET6,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (bind_socket(fd, &p, o) == -1 || !describe(l, fd)) {
		e = errno;
		close(fd);
		errno = e;
		return -1;
	}
	return 1;
}

int
listener_adopt(struct listener *l, int fd, struct listener_options const *o)
{
	int listening = 0;
	socklen_t n = sizeof listening;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) == -1 ||
	    !listening || !describe(l, fd) || set_nodelay(fd, o) == -1)
		return 0;
	return fcntl(fd, F_SETFD, FD_CLOEXEC) != -1 &&
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != -1;
}
