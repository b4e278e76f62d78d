/* spamd: the opinion of SpamAssassin's spamd, or of rspamd in its place, about
 * a message.
 */
#ifndef SPAMD_H
#define SPAMD_H

#include <stddef.h>

#include <skalibs/stralloc.h>

#include "scanq/spamdreply.h"
#include "scanq/talk.h"

enum spamd_state {
	SPAMD_OFF,		/* no control/spamd */
	SPAMD_NOT_ASKED,	/* refused before, or the client may relay */
	SPAMD_TOO_LARGE,
	SPAMD_FAILED,		/* none answers: see talk */
	SPAMD_ASKED
};

struct spamd {
	stralloc list;		/* of servers, tried in order */
	enum spamd_state state;
	struct spamdreply reply;
	long quarantine, refuse; /* scores, or LONG_MAX */
	unsigned int limit;	/* bytes that are shown */
	unsigned int seconds;
	struct talk talk;
};

/* Reads the settings.  1; 0: *why names the one that is wrong; -1. */
extern int spamd_settings(struct spamd *s, char const **why);

/* Asks about data[0..n), and says in state how that went. */
extern void spamd_check(struct spamd *s, char const *data, size_t n);

/* "7.3" for 730, into text; its length. */
extern size_t spamd_format(char text[24], long score);

#endif
