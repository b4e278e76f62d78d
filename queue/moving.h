/* moving: messages as a stream from one queue to another.
 *
 *	POSTERN1 LF
 *	M id birth held envelope body crc LF	then the envelope, then the body
 *	E count LF
 *
 * birth in microseconds, held 0 or 1, lengths in bytes, all decimal; crc:
 * CRC32C of envelope and body, hexadecimal.  The envelope is "F" reverse-path
 * NUL and "T" recipient NUL for each that is not done.
 */
#ifndef MOVING_H
#define MOVING_H

#include <stdio.h>

#include "queue/look.h"

/* 1, -1. */
extern int moving_start(FILE *out);
extern int moving_put(FILE *out, struct look const *l);
extern int moving_end(FILE *out, uint64_t count);

/* What import made of one. */
typedef void moving_told(void *ctx, uint64_t old, uint64_t id, int held);

/* Queues all of a stream.  1; 0 it is malformed or cut short, what was told is
 * queued; -1 a message could not be queued, *why says.
 */
extern int moving_import(FILE *in, moving_told *told, void *ctx,
    char const **why);

/* Queues a copy of one for another recipient.  1 with the new id; -1. */
extern int moving_copy(struct look const *l, char const *to, uint64_t *id,
    char const **why);

#endif
