/* deadhosts: addresses that did not answer, shared by all remotes: the file
 * remote/deadhosts, in place of qmail's queue/lock/tcpto.  One that has not
 * answered twice in a row is left alone: for 2 minutes, then 4, 8, ..., up to
 * an hour.  Without the file, or with a damaged one, every address is tried.
 *
 * 256 records of 32 bytes in this machine's byte order: address (16), time
 * of the last failure in seconds since 1970 (8), failures (4), 0 (4).
 */
#ifndef REMOTE_DEADHOSTS_H
#define REMOTE_DEADHOSTS_H

#include "lib/ipaddr.h"

/* 1 leave it alone; 0 try it. */
extern int deadhosts_skip(struct ipaddr const *ip);

/* It did not answer; it did. */
extern void deadhosts_failed(struct ipaddr const *ip);
extern void deadhosts_answered(struct ipaddr const *ip);

#endif
