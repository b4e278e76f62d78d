/* tool: what the verbs of queuectl share: the messages that were chosen, and
 * send, if it is there to be asked.  What cannot go on ends the program, with
 * a message.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stdint.h>

#include <skalibs/stralloc.h>

#include "queue/look.h"
#include "queue/show.h"

struct tool {
	int json;
	struct choice choice;
	struct look look;	/* what tool_each has in hand */
	stralloc answer;	/* send's last one */
	uint64_t bad;		/* messages that were not dealt with */
	uint64_t printed;
};

extern void tool_usage(void) __attribute__((noreturn));
extern void tool_nomem(void) __attribute__((noreturn));
extern void tool_send_is_gone(void) __attribute__((noreturn));

/* Words of the command line that choose messages, up to a null pointer. */
extern void tool_words(struct tool *t, char const *const *argv);

/* Calls f for each message that fits.  It may change the queue. */
typedef void tool_message(struct tool *t, struct look *l, void *ctx);
extern void tool_each(struct tool *t, tool_message *f, void *ctx);

/* From here on send is necessary. */
extern void tool_need_send(void);

/* What send says of a message.  0: its reason is not the one that was asked
 * for.
 */
extern int tool_ask(struct tool *t, struct look const *l, struct said *said);

#endif
