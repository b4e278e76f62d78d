/* stream: bytes between a TLS connection and its clear side. */
#ifndef TLS_STREAM_H
#define TLS_STREAM_H

#include <openssl/ssl.h>

/* Waits for what an attempt on ssl, which did not succeed, needs, until the
 * monotonic second.  1 try again; 0 it never will; -1 too late.
 */
extern int stream_wait(SSL *ssl, int result, int fd, long until);

/* Both ways, until either side has ended; what the clear side said before its
 * end still goes out.  Both descriptors are non-blocking.
 */
extern void stream_run(SSL *ssl, int fd, int clear);

#endif
