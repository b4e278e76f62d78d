/* intake: the message that scanq was given, in a file without a name, with
 * room in front for the header lines that scanq adds when it knows them.
 *
 * Up to INTAKE_MEMORY bytes in memory (memfd), above in an unlinked file
 * below $TMPDIR or /tmp, unless none can be made there.
 */
#ifndef INTAKE_H
#define INTAKE_H

#include <stddef.h>
#include <stdint.h>

#include <skalibs/stralloc.h>

enum {
	INTAKE_ROOM = 4096,	/* in front */
	INTAKE_MEMORY = 1048576
};

struct intake {
	int fd;			/* written through */
	int readonly;		/* the same file; -1: there is no /proc */
	char const *map;	/* all of it: INTAKE_ROOM, then the message */
	size_t mapped;
	char const *message;
	size_t size;		/* of the message */
};

/* Reads fd to its end.  The room in front is filled with one header line,
 * line[0..n), blanks added: what the virus scanner will see there.  0; else
 * qmail-queue's exit code.
 */
extern int intake_read(struct intake *i, int fd, char const *line, size_t n);

/* Puts header lines in front of the message.  The descriptor to read it from,
 * which is then at their start; -1.
 */
extern int intake_finish(struct intake *i, char const *lines, size_t n);

/* A file in memory: s[0..n), then t[0..tn).  A descriptor at its start; -1. */
extern int intake_memory(char const *s, size_t n, char const *t, size_t tn);

/* The same, for reading alone (where there is /proc): for others to look at. */
extern int intake_file(char const *s, size_t n, char const *t, size_t tn);

/* A second, read-only descriptor of fd's file; -1. */
extern int intake_reopen(int fd);

/* Reads qmail-queue's envelope: *env is "F" sender NUL, "T" recipient NUL and
 * so on, without the NUL that ends it.  0; else an exit code.
 */
extern int intake_envelope(int fd, stralloc *env);

#endif
