/* check: one message, in a process of its own, which ends with it. */
#ifndef CHECK_H
#define CHECK_H

/* Answers the question that comes over connection; dns: a socket to dnsq.  An
 * exit code.
 */
extern int check(int connection, int dns);

#endif
