/* behind: what listen runs for a client, when names are to be looked up.
 *
 * A lookup takes its time, and listen waits for nobody: so it is done in the
 * client's own process, by clientname(8), and then rulesrun(8) applies the
 * rules, which may speak of the name.
 */
#ifndef BEHIND_H
#define BEHIND_H

struct behind {
	int names;		/* look up names */
	int owner;		/* ask the client's host: TCPREMOTEINFO */
	int paranoid;
	unsigned int seconds;
	char const *rules;	/* the cdb, or 0 */
	char const *refusal;	/* text of -B, or 0 */
	int open_without_rules, quiet;
};

/* The words of clientname and rulesrun with argv behind them; or 0, with
 * errno.
 */
extern char const *const *behind_words(struct behind const *b,
    char const *const *argv);

#endif
