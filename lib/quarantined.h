/* quarantined: the header lines in front of a message in quarantine, which
 * hold its envelope and the reason, so that it can be let go as it came.
 *
 *	X-Postern-Quarantine: id ID
 *	X-Postern-Quarantine-Date: date
 *	X-Postern-Quarantine-Reason: text
 *	X-Postern-Quarantine-Sender: address
 *	X-Postern-Quarantine-Recipient: address	(one line for each)
 *	X-Postern-Quarantine-End: size of the message
 *
 * The message follows without a change.  In addresses, bytes that are not
 * printable, blank, and "%" are written %HH.
 */
#ifndef QUARANTINED_H
#define QUARANTINED_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

struct quarantined {
	stralloc id, date, reason;
	stralloc envelope;	/* "F" sender NUL "T" recipient NUL ... */
	uint64_t size;
	size_t message;		/* offset of the message */
};
#define QUARANTINED_ZERO { STRALLOC_ZERO, STRALLOC_ZERO, STRALLOC_ZERO, \
	STRALLOC_ZERO, 0, 0 }

/* Appends the lines.  1, -1. */
extern int quarantined_write(stralloc *out, struct quarantined const *q);

/* Reads a file of the quarantine from its start: lines that delivery has put
 * in front (Return-Path, Delivered-To, Received) are passed over.
 *  1  *q stored; strings have a NUL behind them
 *  0  not a message that scanq has put there
 * -1  out of memory
 */
extern int quarantined_read(char const *s, size_t n, struct quarantined *q);

#endif
