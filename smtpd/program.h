/* program: another program that smtpd asks something of: RCPTCHECK,
 * namecheck, the one that checks passwords.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Starts it with one more descriptor, for it alone: descriptor "to" is its end
 * of a pipe, *ours the other one.  how: it writes to it, or reads from it.
 * Its standard input is empty, its output our log.  The process id, or -1 with
 * errno.
 */
enum program_pipe { PROGRAM_WRITES, PROGRAM_READS };
extern pid_t program_start(char const *const *argv, enum program_pipe how,
    int to, int *ours);

/* What it writes goes to text with NUL, printable, as much as fits in max;
 * until it closes its end or the time is over.
 */
extern void program_hear(int fd, char *text, size_t max, uint64_t until);

/* Its end, which it is given until then to come to.  The exit code, or -1:
 * it was killed.
 */
extern int program_end(pid_t pid, uint64_t until);

/* Begins a warning about it; then items and log_end.  code as program_end
 * says; 0: it did not start, reason in errno.
 */
extern void program_log(char const *event, char const *name, int code);

#endif
