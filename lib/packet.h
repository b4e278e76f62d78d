/* packet: records between two of our processes, over SOCK_SEQPACKET unix
 * sockets, each with at most one descriptor.  A record is whole or absent:
 * nothing to parse for boundaries.  At most LIMIT_PACKET bytes.
 */
#ifndef PACKET_H
#define PACKET_H

#include <stddef.h>
#include <sys/types.h>

/* Connects to, or makes, the socket at path.  The descriptor (close-on-exec),
 * or -1 with errno.  packet_listen replaces a stale socket, gives it mode.
 */
extern int packet_connect(char const *path);
extern int packet_listen(char const *path, int mode, int backlog);

/* packet_recv on that socket waits so many seconds at most, then fails with
 * EAGAIN.  1, -1.  (packet_connect sets 60 s for connecting and sending: a
 * service that is stopped must not hang us.)
 */
extern int packet_timeout(int sock, unsigned int seconds);

/* Sends one record, with descriptor fd unless that is -1.  1, or -1 with
 * errno; never SIGPIPE.
 */
extern int packet_send(int sock, char const *s, size_t n, int fd);

/* Receives one record into s.  *fd, if fd is not null, gets the descriptor
 * that came with it (close-on-exec) or -1; a descriptor nobody asked for is
 * closed.  1 with *n set; 0 the other end is gone; -1 with errno (EMSGSIZE:
 * a record longer than max).
 */
extern int packet_recv(int sock, char *s, size_t max, size_t *n, int *fd);

/* Who is at the other end, as the kernel says (SO_PEERCRED).  1, -1. */
extern int packet_peer(int sock, pid_t *pid, uid_t *uid);

#endif
