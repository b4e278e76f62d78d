/* place: one of the sessions that a mailbox may have at a time.
 *
 * Maildir/pop3sessions has a byte for each of them, which its session holds
 * locked: the kernel gives it back whatever ends the session.  The time of
 * the file is that of the last login, if there is a byte in it.
 */
#ifndef PLACE_H
#define PLACE_H

enum { PLACE_IN_USE = 1, PLACE_TOO_SOON };

struct place_limits {
	unsigned int sessions;	/* at a time; 0: any number */
	unsigned int delay;	/* seconds between logins; 0: none */
};

/* Takes a place until this process ends, in the Maildir that dir is.
 * 1; 0 with *why; -1 with errno: nobody knows, and nothing is held
 */
extern int place_take(int dir, struct place_limits const *l, int *why);

#endif
