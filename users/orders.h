/* orders: what authd is asked on socket/auth/limits.  Records, a letter and
 * fields with NUL behind each:
 *
 *	S user recipients   one more message of his, to so many
 *	  K                 he may, and it is counted
 *	  M text, R text    he may not: too many messages, or recipients
 *	  T                 trouble
 *	L                   root alone: who is slowed, blocked, or has sent;
 *	  {kind name count number...}, any number of records, then
 *	  E                 kind a, u: address or account, its failures, seconds
 *	                    that it is blocked for; s: user, messages and
 *	                    recipients of an hour and of a day
 *	C name              root alone: forget what is known of it
 *	  K, N              done; nothing was
 */
#ifndef ORDERS_H
#define ORDERS_H

#include <stddef.h>
#include <stdint.h>

/* Answers the record s[0..n) on fd.  seconds: of guess.h. */
extern void orders_answer(int fd, int is_root, char const *s, size_t n,
    uint64_t seconds);

/* What has been counted is kept in auth/usage.  load: at the start, silent if
 * there is none; save: if anything has changed; both log trouble.
 */
extern void orders_load(void);
extern void orders_save(void);
extern int orders_changed(void);

#endif
