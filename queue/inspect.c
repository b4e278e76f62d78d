#include "queue/inspect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/stralloc.h>

#include "lib/job.h"
#include "lib/msgfile.h"
#include "lib/packet.h"
#include "lib/role.h"
#include "queue/look.h"
#include "queue/orders.h"
#include "queue/show.h"

enum {
	OLD = 2 * 86400,	/* s: nobody writes one message for so long */
	MODE = 0640
};

static struct role owner;
static int sock = -1;		/* to queued */

static void
fault(struct inspection *v, char const *dir, char const *name,
    char const *what)
{
	v->faults++;
	printf("queue/%s/", dir);
	show_text(name, strlen(name));
	printf(": %s", what);
}

static void
put_right(struct inspection *v, int done, char const *how)
{
	if (!v->repair)
		putchar('\n');
	else if (done)
		printf(": %s\n", how);
	else
		printf(": not repaired: %s\n", strerror(errno));
	v->repaired += v->repair && done;
}

/* queued sets it aside, whatever send thinks of it.  1, 0 with errno. */
static int
set_aside(uint64_t id, char const *why)
{
	stralloc s = STRALLOC_ZERO;
	char answer[16];
	size_t n;
	int r;

	if (sock == -1)
		sock = packet_connect("socket/queue/queued");
	if (sock == -1)
		return 0;
	packet_timeout(sock, 30);
	r = stralloc_cats(&s, "B ") && job_number(&s, id) == 1 &&
	    job_puts(&s, why) == 1 && packet_send(sock, s.s, s.len, -1) == 1 &&
	    packet_recv(sock, answer, sizeof answer, &n, 0) == 1;
	stralloc_free(&s);
	if (r && answer[0] != '+')
		errno = EIO;
	return r && answer[0] == '+';
}

static int
known_to_send(uint64_t id)
{
	stralloc s = STRALLOC_ZERO;
	struct said said;

	show_ask(id, &said, &s);
	stralloc_free(&s);
	return said.state != 0;
}

static void
tell_send(uint64_t id)
{
	stralloc s = STRALLOC_ZERO;

	orders_ask('N', id, &s);
	stralloc_free(&s);
}

static void
whole_file(struct inspection *v, char const *dir, char const *name,
    uint64_t id, int fd)
{
	stralloc env = STRALLOC_ZERO;
	char const *why = "";
	struct msgfile m;
	struct stat st;
	int r = msgfile_read(fd, &m, &env, &why);

	stralloc_free(&env);
	if (r == 1) {
		r = msgfile_check(fd, &m);
		why = "body does not fit its checksum";
	}
	/* it may have been delivered while we read */
	if (r != 1 && fstat(fd, &st) == 0 && !st.st_nlink)
		return;
	if (r == -1) {
		fault(v, dir, name, "not readable");
		putchar('\n');
	} else if (r == 0) {
		fault(v, dir, name, why);
		put_right(v, v->repair && set_aside(id, why),
		    "set aside in queue/bad");
	} else if (v->send && orders_are_open() && !known_to_send(id) &&
	    fstat(fd, &st) == 0 && st.st_nlink) {
		fault(v, dir, name, "send does not know it");
		if (v->repair)
			tell_send(id);
		put_right(v, orders_are_open(), "told send");
	}
}

/* Only what has no name elsewhere: uid queue must not be given, through a
 * link in its directory, what is another's.
 */
static int
make_ours(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return 0;
	errno = EMLINK;
	return st.st_nlink == 1 && fchown(fd, owner.uid, owner.gid) == 0 &&
	    fchmod(fd, MODE) == 0;
}

static void
rights(struct inspection *v, char const *dir, char const *name, int fd,
    struct stat const *st)
{
	if (st->st_uid == owner.uid && st->st_gid == owner.gid &&
	    !(st->st_mode & 07777 & ~MODE) && (st->st_mode & 0600) == 0600)
		return;
	fault(v, dir, name, "owner or mode is wrong");
	put_right(v, v->repair && make_ours(fd), "set");
}

/* Never over another one, as a rename would. */
static int
move_home(char const *dir, char const *name, uint64_t id)
{
	char from[300], to[MSGFILE_PATH];

	msgfile_path(to, id);
	snprintf(from, sizeof from, "%s/%s", dir, name);
	if (linkat(look_queue(), from, look_queue(), to, 0) == -1 ||
	    unlinkat(look_queue(), from, 0) == -1)
		return 0;
	tell_send(id);
	return 1;
}

/* It lies where no program looks for it. */
static int
misplaced(struct inspection *v, char const *dir, char const *name,
    uint64_t id)
{
	char from[300], to[MSGFILE_PATH];

	msgfile_path(to, id);
	snprintf(from, sizeof from, "%s/%s", dir, name);
	if (strcmp(from, to) == 0)
		return 0;
	fault(v, dir, name, "in the wrong directory");
	put_right(v, v->repair && move_home(dir, name, id), "moved");
	return 1;
}

static void
entry(struct inspection *v, int at, char const *dir, char const *name)
{
	struct stat st;
	uint64_t id;
	int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK);

	if (fd == -1 && errno == ENOENT)
		return;
	v->messages++;
	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
		fault(v, dir, name, "not a regular file, or not readable");
		putchar('\n');
	} else if (msgfile_id(name, strlen(name), &id) != 1) {
		fault(v, dir, name, "its name is no id\n");
	} else if (!misplaced(v, dir, name, id)) {
		rights(v, dir, name, fd, &st);
		whole_file(v, dir, name, id, fd);
	}
	if (fd != -1)
		close(fd);
}

/* What nobody can be writing any more. */
static void
leftover(struct inspection *v, int at, char const *dir, char const *name)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    time(0) - st.st_mtime > OLD)
		fault(v, dir, name, "left over\n");
}

static int
is_whole(int fd)
{
	stralloc env = STRALLOC_ZERO;
	char const *why;
	struct msgfile m;
	int r = msgfile_read(fd, &m, &env, &why) == 1 &&
	    msgfile_check(fd, &m) == 1;

	stralloc_free(&env);
	return r;
}

/* What could not be read for its owner or mode only, goes back. */
static void
aside(struct inspection *v, int at, char const *dir, char const *name)
{
	uint64_t id;
	int fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK);

	if (fd != -1 && msgfile_id(name, strlen(name), &id) == 1 &&
	    is_whole(fd)) {
		fault(v, dir, name, "was set aside, but is whole");
		put_right(v, v->repair && make_ours(fd) &&
		    move_home(dir, name, id), "put back");
	} else {
		fault(v, dir, name, "was set aside as damaged\n");
	}
	if (fd != -1)
		close(fd);
}

static int
each(struct inspection *v, char const *dir,
    void (*f)(struct inspection *, int, char const *, char const *))
{
	int fd = openat(look_queue(), dir, O_RDONLY | O_DIRECTORY |
	    O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd == -1 ? 0 : fdopendir(fd);
	struct dirent *e;

	if (!d)
		return -1;
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			f(v, fd, dir, e->d_name);
	closedir(d);
	return 1;
}

int
inspect(struct inspection *v, char const **where)
{
	static char dir[16];
	unsigned int i;

	*where = "conf-users: queue";
	errno = ENOENT;
	if (role_find("queue", &owner) != 1)
		return -1;
	*where = dir;
	for (i = 0; i < MSGFILE_SPLIT; i++) {
		snprintf(dir, sizeof dir, "mess/%02u", i);
		if (each(v, dir, entry) == -1)
			return -1;
	}
	*where = "tmp or bad";
	/* tmp is for queue and root alone */
	if (each(v, "tmp", leftover) == -1 && errno != EACCES)
		return -1;
	return each(v, "bad", aside);
}
