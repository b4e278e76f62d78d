/* smtpaddress: the address of a MAIL or RCPT command (RFC 5321 4.1.2).
 *
 * Out comes the address as the queue keeps it: local part without its
 * quotes and backslashes, '@', domain.  Source routes ("@a,@b:") are read and
 * ignored (RFC 5321 appendix C).  One verdict, after all checks; nothing is
 * filled in before.
 *
 * Wider than the RFC, as qmail is: the angle brackets may be missing, the
 * domain too ("<postmaster>"), dots may stand anywhere in a local part, and
 * more than one '@' may ("a@b@c": whoever relays has to look).  Bytes above
 * 127 need SMTPUTF8 and are refused.
 */
#ifndef SMTPADDRESS_H
#define SMTPADDRESS_H

#include <stddef.h>

#include <skalibs/stralloc.h>

/* arg[0..n): what follows "FROM:" or "TO:", blanks in front allowed.
 *  1  *out is the address ("" for "<>"), *rest the offset behind it, where
 *     ESMTP parameters may follow
 *  0  not an address: malformed, holds a control byte or NUL, or is longer
 *     than LIMIT_ADDRESS; *out untouched
 * -1  out of memory
 */
extern int smtpaddress_parse(char const *arg, size_t n, stralloc *out,
    size_t *rest);

/* Offset of the '@' that separates local part and domain: the last one; n if
 * there is none.
 */
extern size_t smtpaddress_at(char const *s, size_t n);

/* Does a local part ask some other server to relay, by a percent sign, a bang
 * or a further '@'?  1, 0.
 */
extern int smtpaddress_detours(char const *local, size_t n);

/* Appends the address quoted as RFC 5321 wants it on the wire (the local part
 * in quotes where it is no dot-string).  1; 0: it holds a control byte, which
 * nothing can quote; -1 out of memory.
 */
extern int smtpaddress_quote(char const *s, size_t n, stralloc *out);

#endif
