/* route: where an address goes: control/locals, virtualdomains, percenthack,
 * envnoathost (qmail-send(8)'s meanings).
 */
#ifndef ROUTE_H
#define ROUTE_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

/* A list file with a hash table over its keys: thousands of domains are
 * usual, and each recipient asks for several names.
 */
struct route_map {
	stralloc text;		/* entries, each NUL-terminated */
	uint32_t *slot;		/* offset of an entry plus 1; 0: free */
	size_t slots;		/* a power of 2, or 0 */
};
#define ROUTE_MAP_ZERO { STRALLOC_ZERO, 0, 0 }

struct route {
	struct route_map locals, virtualdomains, percenthack;
	stralloc envnoathost;
	char const *file;	/* that the last load failed at */
};
#define ROUTE_ZERO { ROUTE_MAP_ZERO, ROUTE_MAP_ZERO, ROUTE_MAP_ZERO, \
	STRALLOC_ZERO, 0 }

/* Reads the control files; again at SIGHUP.  On failure the old tables stay,
 * and r->file is the file.
 * The home directory is the current directory.  1, or -1 with errno.
 */
extern int route_load(struct route *r);
/* The same without percenthack and envnoathost: enough for an address that has
 * a domain and no '%'.
 */
extern int route_load_domains(struct route *r);
extern void route_free(struct route *r);

/*  1  local: *out is the address that lspawn gets, "prepend-user@domain" for
 *     a virtual domain; *prefix the length of "prepend-" (0: none), which a
 *     bounce does not show
 *  0  remote: *out is the address, "@envnoathost" added if it had no domain
 * -1  out of memory
 */
extern int route_address(struct route const *r, char const *s, size_t n,
    stralloc *out, size_t *prefix);

#endif
