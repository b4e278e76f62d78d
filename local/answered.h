/* answered: who has had an answer lately: a directory with one small file a
 * sender, whose lines are the times of the answers.
 */
#ifndef LOCAL_ANSWERED_H
#define LOCAL_ANSWERED_H

enum { ANSWERED_MOST = 1000 };	/* senders within the time */

/* Notes an answer.  0: it may be sent; else why not: the sender has had
 * "number" of them within the last "seconds", or too many others have had
 * one, or the directory cannot be used.
 */
extern char const *answered(char const *dir, char const *sender,
    unsigned int seconds, unsigned int number);

#endif
