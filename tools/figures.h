/* figures: what happened, in numbers, from the events of all logs.
 *
 * Two uses: one day (from, to), or everything from where the last reading has
 * stopped on, added to what it counted (figures_load, figures_save).
 */
#ifndef FIGURES_H
#define FIGURES_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

#include "tools/logevent.h"
#include "tools/logfiles.h"
#include "tools/tally.h"

enum figure {
	FIGURE_CONNECTIONS,
	FIGURE_DENIED,		/* by listen */
	FIGURE_QUEUED,		/* by queued */
	FIGURE_MESSAGES,	/* told by send; the same, one of ours */
	FIGURE_BYTES,
	FIGURE_RECIPIENTS,	/* accepted by smtpd */
	FIGURE_REFUSED,		/* of whatever door */
	FIGURE_VIRUSES,
	FIGURE_LOCAL_SUCCESS,
	FIGURE_LOCAL_DEFERRAL,
	FIGURE_LOCAL_FAILURE,
	FIGURE_REMOTE_SUCCESS,
	FIGURE_REMOTE_DEFERRAL,
	FIGURE_REMOTE_FAILURE,
	FIGURE_BOUNCES,
	FIGURE_LOGINS,
	FIGURE_LOGINS_REFUSED,
	FIGURE_SENDERS_ACCEPTED,	/* by dmarcq: what it has checked */
	FIGURE_SENDERS_REFUSED,
	FIGURE_SENDERS_PUT_OFF,
	FIGURES
};

enum {
	FIGURES_STEPS = 8,
	FIGURES_LOGS = 64,
	FIGURES_LISTS = 64	/* DNS lists; more are not counted */
};

struct figures_place {
	char log[64];
	struct logplace at;
};

/* What a DNS list has said. */
struct figures_list {
	uint64_t said[LOGEVENT_SAID];
	uint64_t step[FIGURES_STEPS];	/* how fast: figures_answers */
	uint64_t ms;			/* all that together */
};

struct figures {
	uint64_t from, to;	/* 0, 0: everything */
	uint64_t count[FIGURES];
	uint64_t in[24], refused[24], out[24];	/* by hour of local time */
	uint64_t delay[FIGURES_STEPS];	/* until success: figures_delays */
	uint64_t seconds;		/* all delays together */
	uint64_t age[FIGURES_STEPS];	/* of what is left: figures_ages */
	uint64_t said[LOGEVENT_CHECKS][LOGEVENT_RESULTS];	/* dmarcq */
	struct tally reasons, senders, destinations, clients, viruses;
	struct tally authors;		/* domains for which DMARC failed */
	struct tally open;		/* messages; count[0]: birth */
	struct tally running;		/* deliveries; id, remote */
	struct tally domain;		/* delivery: where it goes */
	struct tally lists;		/* names; entry i is */
	struct figures_list list[FIGURES_LISTS];	/* list[i] */
	struct figures_place place[FIGURES_LOGS];
	size_t places;
};

/* Upper ends in seconds; the last step has none. */
extern uint64_t const figures_delays[FIGURES_STEPS - 1];
extern uint64_t const figures_ages[FIGURES_STEPS - 1];
extern uint64_t const figures_answers[FIGURES_STEPS - 1];	/* in ms */
extern char const *const figures_names[FIGURES];

extern int figures_init(struct figures *f);	/* 1, -1 out of memory */
extern void figures_event(struct figures *f, uint64_t us,
    struct logevent const *e);
/* How many messages dmarcq has checked. */
extern uint64_t figures_checked(struct figures const *f);
/* How many checks ended so, of whatever kind. */
extern uint64_t figures_said(struct figures const *f, enum logevent_result r);
/* Of a DNS list: how often it was asked; how many answers took a known time;
 * how many of these more than a second. */
extern uint64_t figures_asked(struct figures_list const *l);
extern uint64_t figures_timed(struct figures_list const *l);
extern uint64_t figures_slow(struct figures_list const *l);

/* Of u[0..n); 0 of none. */
extern uint64_t figures_highest(uint64_t const *u, size_t n);

/* After the last event. now: the age of what is left is counted from here. */
extern void figures_end(struct figures *f, uint64_t now);

/* Where reading the log of that name goes on; 0 too many logs. */
extern struct logplace *figures_place(struct figures *f, char const *log);

/* As text.  load: 1, 0 malformed (then *f is as after init), -1 memory. */
extern int figures_save(struct figures const *f, stralloc *out);
extern int figures_load(struct figures *f, char *s);

#endif
