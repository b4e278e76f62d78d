/* sts: MTA-STS (RFC 8461): a domain's word, fetched by HTTPS, that its mail
 * exchangers have certificates.  It is kept in remote/sts/DOMAIN for as long
 * as it says: once believed, it cannot be made to disappear.
 *
 *	id ID LF until SECONDS LF retry SECONDS LF, and the policy's text
 */
#ifndef REMOTE_STS_H
#define REMOTE_STS_H

#include "remote/stspolicy.h"

/* The policy to be kept for the domain.  1; 0 there is none, or none that is
 * to be enforced.
 */
extern int sts_find(struct stspolicy *p, char const *domain);

#endif
