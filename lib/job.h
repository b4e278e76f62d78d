/* job: what send asks of lspawn and rspawn, and lspawn of local; and their
 * answers.  Records of <packet.h>, fields NUL-terminated.
 *
 *	send to spawner   id, sender, host, then for each recipient a
 *	                  delivery number and the recipient; with the message
 *	                  open for reading (never at a certain offset)
 *	spawner to send   delivery number, then a letter and a text: K done,
 *	                  Z try later, D failed for good, C the message file
 *	                  is damaged; any number of such pairs
 *	rspawn to remote  the packet that send sent
 *	remote to rspawn  as spawner to send, about that packet's deliveries
 *	lspawn to local   user, home, local, dash, ext, host, sender, default
 *	                  delivery: the arguments of qmail-local; with the
 *	                  message
 *	local to lspawn   a letter and a text
 *
 * host is empty for lspawn.  The sender may be "", "#@[]" or a VERP one.
 */
#ifndef JOB_H
#define JOB_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* Appends a field.  1, or -1 out of memory. */
extern int job_put(stralloc *out, char const *s, size_t n);
extern int job_puts(stralloc *out, char const *s);
extern int job_number(stralloc *out, uint64_t u);

/* The next field of s[*pos..n), as a C string in place; 0: none is left, or
 * the last one has no NUL.
 */
extern char const *job_field(char const *s, size_t n, size_t *pos);
/* The next field, as a number.  1, or 0: absent or not a number. */
extern int job_field_number(char const *s, size_t n, size_t *pos,
    uint64_t *out);

#endif
