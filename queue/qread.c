#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/date822.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/log.h"
#include "lib/msgfile.h"
#include "lib/route.h"
#include "queue/listing.h"

char const *PROG = "qread";

struct reader {
	struct route route;
	int routes;		/* are they known? */
	stralloc env, escaped, target;
};

static void
warn(uint64_t id, char const *what, char const *why)
{
	log_start("warning", what);
	log_number("id", id);
	log_string("reason", why);
	log_end();
}

/* An address as it may go to a terminal. */
static char const *
printable(struct reader *r, char const *s, size_t n)
{
	r->escaped.len = 0;
	if (log_escape(&r->escaped, s, n) == -1 || !stralloc_0(&r->escaped))
		strerr_dief1x(EXIT_TEMP, "out of memory");
	return r->escaped.s;
}

static char const *
channel(struct reader *r, char const *s, size_t n)
{
	size_t prefix;

	if (!r->routes)
		return "unknown";
	r->target.len = 0;
	return route_address(&r->route, s, n, &r->target, &prefix) == 1 ?
	    "local" : "remote";
}

static void
print_head(struct reader *r, uint64_t id, struct msgfile const *m)
{
	char date[DATE822_LEN + 1];
	size_t pos = 0, n;
	char const *value, *from = "", *held = "";
	char letter;

	while (msgfile_next(&r->env, &pos, &letter, &value, &n)) {
		if (letter == 'h' && *value == 'H')
			held = " held";
		if (letter == 'F')
			from = printable(r, value, n);
	}
	n = date822(date, m->birth / 1000000);
	date[n > 6 ? n - 6 : 0] = 0;	/* " -0000" */
	printf("%s GMT  #%llu  %llu  <%s>%s\n", date, (unsigned long long)id,
	    (unsigned long long)m->body, from, held);
}

static void
print_message(struct reader *r, uint64_t id, struct msgfile const *m)
{
	size_t pos = 0, n;
	char const *value;
	char letter;

	print_head(r, id, m);
	while (msgfile_next(&r->env, &pos, &letter, &value, &n))
		if (letter == 'T' || letter == 'D')
			printf("%s\t%s\t%s\n", letter == 'D' ? "  done" : "",
			    channel(r, value, n), printable(r, value, n));
}

static void
read_message(struct reader *r, uint64_t id)
{
	char path[MSGFILE_PATH];
	struct msgfile m;
	char const *why;
	int fd, result;

	msgfile_path(path, id);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1) {
		if (errno != ENOENT)	/* delivered meanwhile */
			warn(id, "message not readable", strerror(errno));
		return;
	}
	result = msgfile_read(fd, &m, &r->env, &why);
	if (result == 1)
		print_message(r, id, &m);
	else
		warn(id, result ? "message not readable" : "message damaged",
		    result ? strerror(errno) : why);
	close(fd);
}

/* Lists the messages in the queue: date, id, size, sender, and recipients
 * with those marked that are done.
 *
 * Runs as: root, or a member of the queue's group
 * Reads:   queue/mess, control/{me,locals,virtualdomains,percenthack,
 *          envnoathost}
 * Writes:  nothing
 * Trusts:  queued
 * Trusted by: nobody
 */
int
main(int argc, char *const *argv)
{
	static struct reader r = { .route = ROUTE_ZERO };
	genalloc ids = GENALLOC_ZERO;
	char const *dir;
	size_t i;

	(void)argv;
	if (argc != 1)
		strerr_dieusage(EXIT_USAGE, "qread");
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
	r.routes = route_load(&r.route) == 1;
	if (chdir("queue") == -1)
		strerr_diefu1sys(EXIT_TEMP, "enter queue");
	if (listing_read(&ids, &dir) == -1)
		strerr_diefu2sys(EXIT_TEMP, "read queue/", dir);
	for (i = 0; i < genalloc_len(uint64_t, &ids); i++)
		read_message(&r, genalloc_s(uint64_t, &ids)[i]);
	if (fflush(stdout))
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	return EXIT_DONE;
}
