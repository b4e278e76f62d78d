/* roaming: POP before SMTP.  Who has read mail may send mail from the same
 * address for a while; off unless control/roaming says for how many minutes.
 *
 *	roaming/open-smtp   vpopmail's format, one address a line, with the
 *	                    time of its last login behind a tab
 *	roaming/smtp.cdb    the same as access rules that end by themselves
 *	                    (rules/rule.h), for rulesrun in front of smtpd
 *	roaming/lock        held (flock) by whoever changes them
 *
 * Home is the current directory.
 */
#ifndef ROAMING_H
#define ROAMING_H

/* For how many minutes; 0: off.  Trouble is logged, and means 0. */
extern unsigned int roaming_minutes(void);

/* Somebody has logged in from that address.  Nothing is written while its
 * rule has more than half of its time left.
 * 1; 0 it is no address; -1 with errno
 */
extern int roaming_open(char const *ip, unsigned int minutes);

/* Writes both files anew, without what has ended; *left: how many addresses
 * are open.  1, -1 with errno.
 */
extern int roaming_clear(unsigned int minutes, unsigned int *left);

#endif
