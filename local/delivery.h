/* delivery: one message for one recipient, from the job to the outcome. */
#ifndef LOCAL_DELIVERY_H
#define LOCAL_DELIVERY_H

#include <sys/types.h>

#include <skalibs/stralloc.h>

#include "local/body.h"
#include "local/outcome.h"

struct delivery {
	/* the job, as qmail-local's arguments */
	char const *user;
	char const *home;
	char const *local;
	char const *dash;
	char const *ext;
	char const *host;
	char const *sender;
	char const *fallback;	/* default delivery instructions */
	struct body *body;
	int whole_file;		/* nothing stands behind the body */
	int capture;		/* commands' output goes into the outcome */
	int dry;		/* say what would be done, do nothing */
	struct mailbox const *box; /* of a virtual domain's user, or 0, */
	char const *box_name;	/* and that user's name */
	/* made of it */
	stralloc recipient;	/* local@host */
	stralloc dtline;	/* Delivered-To line; these two with their LF */
	stralloc rpline;	/* Return-Path line */
	stralloc new_sender;	/* of forwards, once that is known */
	int new_sender_known;
	char const *matched;	/* what "default" stood for; 0: no such file */
	stralloc forwards;	/* T recipient NUL, each */
	unsigned int files, forwarded, programs;
	pid_t queued_by;	/* "qp" of the forward */
	struct outcome outcome;
};
#define DELIVERY_ZERO { .recipient = STRALLOC_ZERO, .dtline = STRALLOC_ZERO, \
	.rpline = STRALLOC_ZERO, .new_sender = STRALLOC_ZERO, \
	.forwards = STRALLOC_ZERO, .outcome = { 0, STRALLOC_ZERO } }

/* Does the job: the outcome is in d->outcome.  The current directory
 * afterwards is any.  Nothing else stays behind but memory for reuse.
 */
extern void delivery_run(struct delivery *d);

/* Gives the memory of the last job back and forgets it. */
extern void delivery_reset(struct delivery *d);

#endif
