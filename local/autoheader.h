/* autoheader: may this message be answered by a program (RFC 3834 2.)? */
#ifndef LOCAL_AUTOHEADER_H
#define LOCAL_AUTOHEADER_H

#include <stddef.h>

struct autoheader {
	char subject[256];	/* of the message; printable */
	char message_id[512];	/* "<...>", or "" */
	int to_me;		/* named in To, Cc, or the like */
};

/* Why that sender gets no answer; 0: it may.  own: the user's addresses. */
extern char const *autoheader_sender(char const *sender,
    char const *const *own, size_t n);

/* Reads the header from fd.  The same; *h is filled in. */
extern char const *autoheader_read(struct autoheader *h, int fd,
    char const *const *own, size_t n);

#endif
