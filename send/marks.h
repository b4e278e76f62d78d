/* marks: what send asks of queued (INTERNALS 3.4): mark recipients done,
 * remove a message, set one aside, hold or release one.
 *
 * Asked without waiting: requests stand in line, go out as queued takes them,
 * and are answered in order.  While queued is away they stay in line; what was
 * asked and not answered is asked again, which does no harm: all of them are
 * the same when done twice.
 */
#ifndef MARKS_H
#define MARKS_H

#include <stddef.h>
#include <stdint.h>

struct mark {
	struct mark *next;
	uint32_t message;	/* index in the table */
	uint64_t id;
	char kind;		/* 'D', 'R', 'B', 'H' */
	uint64_t ticket;	/* who waits for the answer; 0: nobody */
	size_t n;
	char packet[];
};

struct mark_list {
	struct mark *head, **tail;
};

struct marks {
	int sock;		/* -1: not connected */
	size_t pending;		/* all that are not answered */
	size_t asked_n;		/* of these, sent */
	struct mark_list todo, asked, failed;
};

extern void marks_init(struct marks *m);

/* Puts a request in line; rest: what follows "id NUL".  1; -1 no memory. */
extern int marks_ask(struct marks *m, char kind, uint32_t message,
    uint64_t id, char const *rest, size_t n, uint64_t ticket);

/* Connects if necessary, and sends what queued takes.  1 all sent or enough
 * under way; 0 the socket is full: wait until it is writable; -1 queued
 * cannot be reached.
 */
extern int marks_send(struct marks *m);

/* The next answer.  1: *out is the request (the caller's to free), *err 0 or
 * queued's errno; 0 none yet; -1 queued is away.
 */
extern int marks_answer(struct marks *m, struct mark **out, int *err);

/* A request that queued could not fulfil: kept until marks_again. */
extern void marks_later(struct marks *m, struct mark *k);
extern void marks_again(struct marks *m);

/* Nothing is asked or about to be; what failed may still be kept. */
extern int marks_idle(struct marks const *m);

#endif
