/* maildrop: the messages of one Maildir as a POP3 session sees them: a list
 * that is made once, at the start, in the order of arrival, and does not
 * change its numbers (RFC 1939 3), whatever else happens to the Maildir.
 *
 * Names stand in one block; a message costs its name and 24 bytes.  Sizes are
 * octets as sent (RFC 1939 11: each line ends in CR LF): the name says it
 * (",W="), or pop3sizes does (pop3d/sizes.h), or the file is read when somebody
 * asks.
 */
#ifndef MAILDROP_H
#define MAILDROP_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

enum {
	MAILDROP_UID = 72,		/* room for a unique id and its NUL */
	MAILDROP_MOST = 10000000,	/* messages; the rest is not seen */
	MAILDROP_REFRESH = 100,		/* looks for renamed files */
	MAILDROP_MEASURED = 100		/* so many are worth remembering */
};

struct mailmsg {
	uint64_t time;		/* that the name begins with */
	uint64_t size;		/* MAILDROP_UNKNOWN, or octets as sent */
	uint32_t name;		/* offset in names */
	uint8_t fresh;		/* in new/, else in cur/ */
	uint8_t named;		/* the size stands in the name */
	uint8_t deleted;
	uint8_t removed;	/* by maildrop_commit */
};
#define MAILDROP_UNKNOWN ((uint64_t)-1)

struct maildrop {
	struct mailmsg *msg;
	size_t count, room;
	stralloc names;
	int dir, fresh, cur;	/* directories: itself, new/, cur/ */
	unsigned int refreshed;	/* so many looks */
	size_t removed;		/* messages, by maildrop_commit */
	uint64_t removed_bytes;	/* as Maildir++ counts them */
	size_t measured;	/* files read for their sizes */
	int loaded;		/* what pop3sizes says is known */
};
#define MAILDROP_ZERO { 0, 0, 0, STRALLOC_ZERO, -1, -1, -1, 0, 0, 0, 0, 0 }

/* Opens the Maildir at path.  1, or -1 with errno. */
extern int maildrop_open(struct maildrop *d, char const *path);
/* Lists it, once.  1, or -1 with errno. */
extern int maildrop_list(struct maildrop *d);
extern void maildrop_close(struct maildrop *d);

/* The file of message i (from 0), for reading, also where somebody has moved
 * it to cur/ or changed its flags: never a symbolic link, never anything but a
 * regular file.  The descriptor, or -1.
 */
extern int maildrop_file(struct maildrop *d, size_t i);

/* Octets of message i as sent.  1; -1 with errno: it is gone, or unreadable. */
extern int maildrop_size(struct maildrop *d, size_t i, uint64_t *out);

/* Does message i come before the one of that name, which may have flags?
 * < 0, 0 it is the one, > 0.
 */
extern int maildrop_order(struct maildrop const *d, size_t i,
    char const *name);

/* The unique id of message i: the name up to its flags, where RFC 1939 7
 * allows that (70 characters of 0x21 to 0x7e); else the name up to its first
 * comma, which is unique by the rules of Maildir; else a hash of it.
 */
extern void maildrop_uid(struct maildrop const *d, size_t i,
    char out[static MAILDROP_UID]);

/* What QUIT does: removes what is marked deleted, notes that in maildirsize if
 * there is one (Maildir++), moves the rest of new/ to cur/, removes what is
 * older than 36 hours from tmp/, and writes pop3sizes, if that is worth it.
 * 1; 0: something marked is still there.
 */
extern int maildrop_commit(struct maildrop *d);

/* Notes in maildirsize of that directory, if there is one, what
 * maildrop_commit has removed.  If that fails, what is there is counted when
 * there seems to be no room.
 */
extern void maildrop_note(struct maildrop const *d, int dir);

#endif
