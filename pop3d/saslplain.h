/* saslplain: the client's one message of the SASL mechanism PLAIN (RFC 4616),
 * in base64: authzid NUL authcid NUL password.
 */
#ifndef SASLPLAIN_H
#define SASLPLAIN_H

#include <stddef.h>

struct saslplain {
	char text[1024];	/* decoded; wipe it when done */
	char const *login, *password;	/* in text; both NUL-terminated */
};

/* Takes s[0..n) apart.
 *  1  login and password are not empty, and nobody else's identity is asked
 *     for
 *  0  anything else
 */
extern int saslplain_parse(char const *s, size_t n, struct saslplain *out);

#endif
