/* log: one line per event on standard error, in one write(2).
 *
 *	smtpd: info: accepted session=65f1-3 from=<a@b.example> size=1044
 *
 * A line is built with log_start, any number of items, and log_end.  Values
 * may be hostile: bytes outside 0x21..0x7e, backslash, quote and comma go out
 * as \xHH, a value is cut at LOG_VALUE bytes and a line at LIMIT_LOGLINE, so
 * that a logger never tears it.  $POSTERN_SESSION, if set, is added as
 * session=.  Lines that cannot be written are lost: mail does not wait for a
 * log.
 *
 * For messages about this machine's own files and calls, without foreign
 * bytes, <skalibs/strerr.h> serves: strerr_diefusys and friends.
 */
#ifndef LOG_H
#define LOG_H

#include <stddef.h>
#include <stdint.h>

struct stralloc_s;	/* skalibs' stralloc */

enum { LOG_VALUE = 256 };

/* The program's name.  libskarnet has this variable; a program without it
 * brings its own.
 */
extern char const *PROG;

/* level: "info", "warning", "fatal" */
extern void log_start(char const *level, char const *event);
extern void log_value(char const *name, char const *s, size_t n);
extern void log_string(char const *name, char const *s);
extern void log_path(char const *name, char const *s, size_t n); /* <s> */
extern void log_number(char const *name, uint64_t u);
extern void log_errno(int e);		/* reason= as strerror says */
/* signal= or exit=, as wait(2) tells of a process */
extern void log_status(int status);
extern void log_end(void);

/* A whole line, "fatal": name= if name is not 0, reason= as errno says unless
 * code is EXIT_PERM.  Exits code.
 */
extern void log_die(int code, char const *event, char const *name)
    __attribute__((noreturn));

/* Appends s, escaped as above.  1, or -1 out of memory. */
extern int log_escape(struct stralloc_s *out, char const *s, size_t n);
/* One byte, escaped, into room for 4.  Its length. */
extern size_t log_escape_byte(char *out, unsigned char c);

/* A fault of ours, not of the world: says so and exits 111. */
extern void bug(char const *what) __attribute__((noreturn));

#endif
