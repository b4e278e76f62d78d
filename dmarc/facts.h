/* facts: what dmarcd is told about a message, and what it finds out.  See
 * dmarc/protocol.h for the letters.
 */
#ifndef FACTS_H
#define FACTS_H

#include "dmarc/ask.h"
#include "dmarc/protocol.h"

struct facts {
	char const *ip, *helo, *sender, *author;
};

struct signature {
	char result, why;
	char domain[PROTOCOL_DOMAIN + 1];
	char selector[PROTOCOL_SELECTOR + 1];
};

struct findings {
	char spf;
	char spf_domain[PROTOCOL_DOMAIN + 1];	/* "": none was asked about */
	unsigned int signatures;
	struct signature signature[PROTOCOL_SIGNATURES];
	char dmarc, policy;
	unsigned char pct;
};

#endif
