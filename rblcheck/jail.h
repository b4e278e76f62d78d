/* jail: what dnsq may do once it has read its settings: talk to IPv4 and IPv6
 * addresses, read and write what is open.  No file, no program, no other
 * process.  A call of anything else kills it.
 */
#ifndef JAIL_H
#define JAIL_H

/* 1; 0 the kernel has no seccomp, or knows other system calls than we do:
 * nothing is restricted.
 */
extern int jail(void);

#endif
