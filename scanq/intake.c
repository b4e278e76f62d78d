#include "scanq/intake.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/enqueue.h"
#include "lib/given.h"

static void
fill(char room[INTAKE_ROOM], char const *line, size_t n)
{
	memset(room, ' ', INTAKE_ROOM);
	if (n > INTAKE_ROOM - 1)
		n = INTAKE_ROOM - 1;
	memcpy(room, line, n);
	room[INTAKE_ROOM - 1] = '\n';
}

int
intake_read(struct intake *i, char const *line, size_t n)
{
	char room[INTAKE_ROOM];
	int code;

	i->readonly = -1;
	fill(room, line, n);
	if (spool_open(&i->spool, INTAKE_ROOM) == -1 ||
	    spool_front(&i->spool, room, INTAKE_ROOM) == -1)
		return QUEUE_MEMORY;
	code = given_message(&i->spool, 0);
	if (code)
		return code;
	i->mapped = (size_t)i->spool.end;
	i->map = mmap(0, i->mapped, PROT_READ, MAP_SHARED, i->spool.fd, 0);
	if (i->map == MAP_FAILED)
		return QUEUE_MEMORY;
	i->message = i->map + INTAKE_ROOM;
	i->size = i->mapped - INTAKE_ROOM;
	i->readonly = spool_reopen(i->spool.fd);
	return 0;
}

int
intake_finish(struct intake *i, char const *lines, size_t n)
{
	off_t at = INTAKE_ROOM - (off_t)n;

	if (spool_front(&i->spool, lines, n) == -1)
		return -1;
	if (i->readonly == -1)
		return i->spool.fd;
	return lseek(i->readonly, at, SEEK_SET) == -1 ? -1 : i->readonly;
}
