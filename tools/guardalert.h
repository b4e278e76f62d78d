/* guardalert: mail to the administrator about who was blocked, with the
 * messages that led to it; one mail a round, so many an hour.
 */
#ifndef GUARDALERT_H
#define GUARDALERT_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "tools/guardconf.h"
#include "tools/guardread.h"

enum { GUARDALERT_RECENT = 1024, GUARDALERT_ITEMS = 200 };

struct guardalert {
	struct guardread_message *recent;
	uint64_t saw;		/* how many; the latest ones are in recent */
	stralloc text;
	unsigned int items;	/* in text, and not written there any more */
	char about[400];	/* the first of them, in one line */
	/* between two rounds */
	uint64_t hour, sent, held;
};

/* A message was counted. */
extern void guardalert_saw(struct guardalert *a,
    struct guardread_message const *m, uint64_t us);

/* until: 0 is only a warning; why: the reason why not more.  1, -1 memory */
extern int guardalert_add(struct guardalert *a, char const *name, uint32_t n,
    unsigned int window, uint64_t until, char const *why);

/* What was added, if there is anything and the hour has room.  1, -1: told */
extern int guardalert_send(struct guardalert *a, struct guardconf const *c,
    uint64_t now);

extern int guardalert_save(struct guardalert const *a, stralloc *out);
extern int guardalert_load(struct guardalert *a, char *s);

extern char const *guardalert_kind(char const *name);

/* "client 192.0.2.7 until 2026-11-25T22:41:12Z (20 messages)\n"; its length */
extern int guardalert_line(char *out, size_t room, char const *name,
    uint64_t until, uint32_t count);

#endif
