/* dnsrun: a process of dnsq(1) that answers questions.  Meanwhile the caller
 * may have other things to wait for.
 */
#ifndef DNSRUN_H
#define DNSRUN_H

#include <stddef.h>
#include <sys/types.h>

#include <skalibs/stralloc.h>

struct dnsrun {
	int fd;			/* to poll for reading; -1: it is over */
	pid_t pid;
	stralloc line;		/* what is not a whole line yet */
};

/* Appends a question to words.  1, -1. */
extern int dnsrun_ask(stralloc *words, char const *type, char const *name);

/* Starts to ask.  1; 0 dnsq cannot be run, and fd is -1; -1 out of memory. */
extern int dnsrun_start(struct dnsrun *d, stralloc const *words,
    unsigned int seconds);

/* fd is readable: hands on each whole line of what came, without its LF.  1;
 * 0 it was the end, and fd is -1.
 */
extern int dnsrun_read(struct dnsrun *d,
    void (*line)(void *, char const *, size_t), void *data);

/* Nothing more is wanted of it. */
extern void dnsrun_end(struct dnsrun *d);

#endif
