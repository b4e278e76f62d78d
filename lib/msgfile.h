/* msgfile: the one file that holds a queued message.
 *
 *	body       our Received line, then the message as it came
 *	envelope   NUL-terminated records, a letter and its value:
 *	           u  uid that queued it     p  its process id
 *	           s  session id             h  "-", or "H": held
 *	           F  reverse-path           T  recipient (one each)
 *	           D  in place of T: this recipient is done
 *	end        MSGFILE_END bytes of text, "END1 ...\n": lengths of body and
 *	           envelope, time of arrival in microseconds, CRC32C of body,
 *	           of envelope (as if no recipient were done and nothing held),
 *	           and of this record; in hexadecimal
 *
 * The end record makes a file a message: without it, or with one that does
 * not fit, the file was never acknowledged, or is damaged.  Marks (D, H) are
 * single bytes written in place and not synced: after a crash a delivery may
 * be repeated, and nothing else happens.
 *
 * A message's name is its id, a decimal number that only grows:
 * mess/NN/ID below the queue directory, where NN = ID / 1000 mod 64.
 */
#ifndef MSGFILE_H
#define MSGFILE_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

enum {
	MSGFILE_END = 83,	/* bytes of the end record */
	MSGFILE_SPLIT = 64,	/* directories below mess/ */
	MSGFILE_PATH = 40	/* room for a path and its NUL */
};

struct msgfile {
	uint64_t body;		/* bytes of the body, also envelope's offset */
	uint64_t envelope;	/* bytes */
	uint64_t birth;		/* microseconds since 1970 */
	uint32_t body_crc;
	uint32_t envelope_crc;
};

/* "mess/NN/ID"; its length. */
extern size_t msgfile_path(char *out, uint64_t id);

/* The id in a file name of n bytes.  1, or 0: not an id. */
extern int msgfile_id(char const *name, size_t n, uint64_t *id);

/* Starts an envelope in *env with the records u, p, s, h. */
extern int msgfile_envelope(stralloc *env, uint64_t uid, uint64_t pid,
    char const *session);			/* 1, -1 */

/* CRC of an envelope, with D read as T and H as -. */
extern uint32_t msgfile_envelope_crc(char const *env, size_t n);

/* Writes MSGFILE_END bytes. */
extern void msgfile_end(char *out, struct msgfile const *m);

/* Reads and checks the end record and the envelope of fd, which may be open
 * for reading only; its offset does not move.
 *  1  *m and *env stored
 *  0  no message, or a damaged one; *why says what is wrong with it
 * -1  trouble, errno says which
 */
extern int msgfile_read(int fd, struct msgfile *m, stralloc *env,
    char const **why);

/* Reads the whole body and compares its CRC.  1 whole; 0 damaged; -1. */
extern int msgfile_check(int fd, struct msgfile const *m);

/* The record at *pos of an envelope: its letter, and its value without the
 * NUL.  *pos moves behind it.  1; 0 at the end.
 */
extern int msgfile_next(stralloc const *env, size_t *pos, char *letter,
    char const **value, size_t *n);

#endif
