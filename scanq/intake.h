/* intake: the message that scanq was given, in a file without a name, with
 * room in front for the header lines that scanq adds when it knows them: see
 * lib/spool.h for where it is.
 */
#ifndef INTAKE_H
#define INTAKE_H

#include <stddef.h>

#include "lib/spool.h"

enum { INTAKE_ROOM = 4096 };	/* in front */

struct intake {
	struct spool spool;	/* written through */
	int readonly;		/* the same file; -1: there is no /proc */
	char const *map;	/* all of it: INTAKE_ROOM, then the message */
	size_t mapped;
	char const *message;
	size_t size;		/* of the message */
};

/* Reads descriptor 0 to its end.  The room in front is filled with one header
 * line, line[0..n), blanks added: what the virus scanner will see there.  0;
 * else qmail-queue's exit code.
 */
extern int intake_read(struct intake *i, char const *line, size_t n);

/* Puts header lines in front of the message.  The descriptor to read it from,
 * which is then at their start; -1.
 */
extern int intake_finish(struct intake *i, char const *lines, size_t n);

#endif
