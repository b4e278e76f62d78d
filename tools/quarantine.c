#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <skalibs/allreadwrite.h>
#include <skalibs/sgetopt.h>
#include <skalibs/stralloc.h>
#include <skalibs/strerr.h>
#include <skalibs/types.h>

#include "lib/control.h"
#include "lib/date822.h"
#include "lib/enqueue.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/quarantined.h"
#include "lib/role.h"

#define USAGE "quarantine list | show id | headers id | release id... | " \
	"delete id... | expire [-s megabytes] days | digest"

char const *PROG = "quarantine";

/* A message in quarantine. */
struct kept {
	char *path;		/* below the Maildir: new/NAME, cur/NAME */
	time_t time;
	off_t size;
	int released;
};

/* One that is open. */
struct opened {
	char const *map;
	size_t n;
	struct quarantined q;
};

static int dir = -1;		/* the Maildir */
static uid_t caller;
static struct kept *kept;
static size_t count;
static stralloc out = STRALLOC_ZERO;
static int to_mail;		/* out is kept for a message */
static struct opened opened = { 0, 0, QUARANTINED_ZERO };

static void
die_memory(void)
{
	strerr_dief1x(EXIT_TEMP, "out of memory");
}

static void
put(char const *s, size_t n)
{
	if (!stralloc_catb(&out, s, n))
		die_memory();
	if (out.len < 65536 || to_mail)
		return;
	if (allwrite(1, out.s, out.len) < out.len)
		strerr_diefu1sys(EXIT_TEMP, "write");
	out.len = 0;
}

static void
puts_out(char const *s)
{
	put(s, strlen(s));
}

static void
flush(void)
{
	if (allwrite(1, out.s, out.len) < out.len)
		strerr_diefu1sys(EXIT_TEMP, "write");
	out.len = 0;
}

/* What comes from a message must not steer the terminal that shows it. */
static void
put_safe(char const *s, size_t n, int lines)
{
	static char const hex[] = "0123456789abcdef";
	char c[4] = "\\x";
	size_t i;

	for (i = 0; i < n; i++) {
		c[2] = hex[(unsigned char)s[i] >> 4];
		c[3] = hex[s[i] & 15];
		if ((s[i] >= 32 && s[i] < 127 && s[i] != '\\') ||
		    (lines && (s[i] == '\n' || s[i] == '\t')))
			put(s + i, 1);
		else if (!lines || s[i] != '\r' || i + 1 == n ||
		    s[i + 1] != '\n')
			put(c, 4);
	}
}

/* ---- the Maildir */

/* Where the Maildir is another's, what is a message now may be a link to
 * anything when it is deleted.
 */
static void
become_owner(void)
{
	struct role owner;
	struct stat st;

	if (fstat(dir, &st) == -1)
		strerr_diefu1sys(EXIT_TEMP, "examine the Maildir");
	owner.uid = st.st_uid;
	owner.gid = st.st_gid;
	caller = getuid();
	if (geteuid() == 0 && owner.uid && role_become(&owner) == -1)
		strerr_diefu1sys(EXIT_TEMP, "become the Maildir's owner");
}

static void
open_dir(void)
{
	stralloc path = STRALLOC_ZERO;
	int r = control_line("control/quarantinedir", &path);

	if (r == -1)
		strerr_diefu1sys(EXIT_TEMP, "read control/quarantinedir");
	if ((!r && !stralloc_copys(&path, "alias/quarantine")) ||
	    !stralloc_0(&path))
		die_memory();
	dir = open(path.s, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir == -1)
		strerr_diefu2sys(EXIT_TEMP, "open ", path.s);
	stralloc_free(&path);
	become_owner();
}

static void
add(char const *sub, char const *name)
{
	struct kept *k;
	struct stat st;
	char const *info = strstr(name, ":2,");

	if (!(count & (count + 1))) {
		k = realloc(kept, (count * 2 + 2) * sizeof *kept);
		if (!k)
			die_memory();
		kept = k;
	}
	k = kept + count;
	k->path = malloc(strlen(name) + 5);
	if (!k->path)
		die_memory();
	memcpy(k->path, sub, 4);
	memcpy(k->path + 4, name, strlen(name) + 1);
	if (fstatat(dir, k->path, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode)) {
		free(k->path);
		return;
	}
	k->time = st.st_mtime;
	k->size = st.st_size;
	k->released = info && strchr(info, 'P');
	count++;
}

static void
read_sub(char const *sub)
{
	int fd = openat(dir, sub, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	DIR *d = fd == -1 ? 0 : fdopendir(fd);
	struct dirent *e;

	if (!d)
		strerr_diefu2sys(EXIT_TEMP, "open ", sub);
	for (errno = 0; (e = readdir(d)); errno = 0)
		if (e->d_name[0] != '.')
			add(sub, e->d_name);
	if (errno)
		strerr_diefu2sys(EXIT_TEMP, "read ", sub);
	closedir(d);
}

static int
older(void const *a, void const *b)
{
	struct kept const *x = a, *y = b;

	return x->time < y->time ? -1 : x->time > y->time ? 1 :
	    strcmp(x->path + 4, y->path + 4);
}

static void
read_all(void)
{
	open_dir();
	read_sub("new/");
	read_sub("cur/");
	if (count)
		qsort(kept, count, sizeof *kept, older);
}

static void
close_one(void)
{
	if (opened.map)
		munmap((void *)opened.map, opened.n);
	opened.map = 0;
}

/* 1; 0: not a message that scanq has put here, or gone. */
static int
open_one(struct kept const *k)
{
	int fd = openat(dir, k->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	void *map;

	close_one();
	if (fd == -1)
		return 0;
	map = k->size ? mmap(0, (size_t)k->size, PROT_READ, MAP_PRIVATE, fd,
	    0) : MAP_FAILED;
	close(fd);
	if (map == MAP_FAILED)
		return 0;
	opened.map = map;
	opened.n = (size_t)k->size;
	switch (quarantined_read(opened.map, opened.n, &opened.q)) {
	case 1: return 1;
	case -1: die_memory();
	}
	return 0;
}

static struct kept *
find(char const *id)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (open_one(kept + i) && !strcmp(opened.q.id.s, id))
			return kept + i;
	return 0;
}

static struct kept *
must_find(char const *id)
{
	struct kept *k = find(id);

	if (!k)
		strerr_dief2x(EXIT_PERM, "no such message in quarantine: ",
		    id);
	return k;
}

/* ---- showing */

static void
put_line(struct kept const *k)
{
	stralloc const *env = &opened.q.envelope;
	size_t first = strlen(env->s) + 1, i, n = 0;
	char size[40];

	put_safe(opened.q.id.s, opened.q.id.len - 1, 0);
	snprintf(size, sizeof size, " %9llu ",
	    (unsigned long long)opened.q.size);
	puts_out(size);
	puts_out(k->released ? "released <" : "kept     <");
	put_safe(env->s + 1, strlen(env->s + 1), 0);
	puts_out("> <");
	if (first < env->len)
		put_safe(env->s + first + 1, strlen(env->s + first + 1), 0);
	puts_out(">");
	for (i = first; i < env->len; i += strlen(env->s + i) + 1)
		n++;
	if (n > 1) {
		snprintf(size, sizeof size, " +%zu", n - 1);
		puts_out(size);
	}
	puts_out(" ");
	put_safe(opened.q.reason.s, opened.q.reason.len - 1, 0);
	puts_out("\n");
}

/* since: only what came then or later */
static size_t
put_list(time_t since)
{
	size_t i, n = 0;

	for (i = 0; i < count; i++)
		if (kept[i].time >= since && open_one(kept + i)) {
			put_line(kept + i);
			n++;
		}
	return n;
}

static void
show(char const *id, int all)
{
	stralloc const *env;
	char const *s, *end;
	size_t i, n;

	must_find(id);
	env = &opened.q.envelope;
	s = opened.map + opened.q.message;
	n = (size_t)opened.q.size;
	end = memmem(s, n, "\n\n", 2);
	if (!all && end)
		n = (size_t)(end - s) + 1;
	if (all) {
		puts_out("date:   ");
		put_safe(opened.q.date.s, opened.q.date.len - 1, 0);
		puts_out("\nreason: ");
		put_safe(opened.q.reason.s, opened.q.reason.len - 1, 0);
		for (i = 0; i < env->len; i += strlen(env->s + i) + 1) {
			puts_out(env->s[i] == 'F' ? "\nfrom:   " :
			    "\nto:     ");
			put_safe(env->s + i + 1, strlen(env->s + i + 1), 0);
		}
		puts_out("\n\n");
	}
	put_safe(s, n, 1);
}

/* ---- changing */

/* Straight to the queue: what would scan it would keep it again. */
static void
no_scanner(void)
{
	char const *s = getenv("SCANQ_QUEUE");

	if (s && *s) {
		if (setenv("QMAILQUEUE", s, 1) == -1)
			die_memory();
	} else {
		unsetenv("QMAILQUEUE");
	}
}

static void
die_queue(enqueue *q, char const *id)
{
	strerr_dief(EXIT_TEMP, "not queued: ", id, ": ", enqueue_reply(q));
}

static void
mark_released(struct kept *k)
{
	char const *name = k->path + 4, *info = strstr(name, ":2,");
	stralloc to = STRALLOC_ZERO;

	if (!stralloc_copys(&to, "cur/") || !stralloc_cats(&to, name) ||
	    (!info && !stralloc_cats(&to, ":2,")) ||
	    !stralloc_append(&to, 'P') || !stralloc_0(&to))
		die_memory();
	if (!k->released && renameat(dir, k->path, dir, to.s) == -1)
		strerr_warnwu2sys("mark as released: ", k->path);
	stralloc_free(&to);
}

static void
release(char const *id)
{
	static enqueue q;
	struct kept *k = must_find(id);
	char date[DATE822_LEN + 1], head[200];
	int n;

	date[date822(date, (uint64_t)time(0))] = 0;
	n = snprintf(head, sizeof head, "X-Postern-Released: %.60s by uid %lu;"
	    " %s\n", id, (unsigned long)caller, date);
	if (enqueue_open(&q) == -1)
		die_queue(&q, id);
	enqueue_put(&q, head, (size_t)n);
	enqueue_put(&q, opened.map + opened.q.message, (size_t)opened.q.size);
	if (enqueue_close(&q, &opened.q.envelope) != QUEUE_OK)
		die_queue(&q, id);
	mark_released(k);
	strerr_warni2x("released: ", id);
}

static void
remove_one(struct kept *k)
{
	if (unlinkat(dir, k->path, 0) == -1 && errno != ENOENT)
		strerr_diefu2sys(EXIT_TEMP, "delete ", k->path);
}

/* The oldest first, until all are young enough and there is little enough. */
static void
expire(unsigned int days, uint64_t most)
{
	time_t since = time(0) - (time_t)days * 86400;
	uint64_t sum = 0;
	size_t i, n = 0;
	char fmt[UINT64_FMT];

	for (i = 0; i < count; i++)
		sum += (uint64_t)kept[i].size;
	for (i = 0; i < count && (kept[i].time < since || sum > most); i++) {
		sum -= (uint64_t)kept[i].size;
		remove_one(kept + i);
		n++;
	}
	fmt[uint64_fmt(fmt, n)] = 0;
	strerr_warni2x("deleted: ", fmt);
}

/* A list of the last day, by mail. */
static void
digest(void)
{
	static enqueue q;
	stralloc me = STRALLOC_ZERO, to = STRALLOC_ZERO, env = STRALLOC_ZERO;
	stralloc head = STRALLOC_ZERO;
	int r = control_line("control/scanadmin", &to);

	if (r == -1 || control_line_or_me("control/me", &me) != 1)
		strerr_diefu1sys(EXIT_TEMP, "read control/scanadmin, "
		    "control/me");
	to_mail = 1;
	if (!put_list(time(0) - 86400))
		return;
	if ((r == 0 && (!stralloc_copys(&to, "postmaster@") ||
	    !stralloc_cat(&to, &me))) ||
	    !stralloc_copyb(&env, "F\0T", 3) || !stralloc_cat(&env, &to) ||
	    !stralloc_0(&env) || !stralloc_copys(&head, "From: postmaster@") ||
	    !stralloc_cat(&head, &me) || !stralloc_cats(&head, "\nTo: ") ||
	    !stralloc_cat(&head, &to) || !stralloc_cats(&head,
	    "\nAuto-Submitted: auto-generated\n"
	    "Subject: quarantine of the last day\n\n"))
		die_memory();
	if (enqueue_open(&q) == -1)
		die_queue(&q, "digest");
	enqueue_put(&q, head.s, head.len);
	enqueue_put(&q, out.s, out.len);
	out.len = 0;
	if (enqueue_close(&q, &env) != QUEUE_OK)
		die_queue(&q, "digest");
}

/* ---- */

static void
expire_command(int argc, char const *const *argv)
{
	subgetopt l = SUBGETOPT_ZERO;
	unsigned int days, megabytes;
	uint64_t most = UINT64_MAX;
	int c;

	while ((c = subgetopt_r(argc, argv, "s:", &l)) != -1) {
		if (c != 's' || !uint0_scan(l.arg, &megabytes))
			strerr_dieusage(EXIT_USAGE, USAGE);
		most = (uint64_t)megabytes << 20;
	}
	if (argc - l.ind != 1 || !uint0_scan(argv[l.ind], &days))
		strerr_dieusage(EXIT_USAGE, USAGE);
	read_all();
	expire(days, most);
}

static void
each(int argc, char const *const *argv, int releasing)
{
	int i;

	if (argc < 2)
		strerr_dieusage(EXIT_USAGE, USAGE);
	no_scanner();
	read_all();
	for (i = 1; i < argc; i++) {
		if (releasing)
			release(argv[i]);
		else
			remove_one(must_find(argv[i]));
	}
}

/* Shows what scanq(8) keeps in quarantine, lets it go or deletes it.
 *
 * Runs as: the owner of the quarantine's Maildir, whom root becomes
 * Reads:   the Maildir, control/
 * Writes:  the Maildir; the queue
 * Trusts:  the lines that scanq put in front of each message
 * Trusted by: the administrator's terminal, which sees no raw byte
 */
int
main(int argc, char const *const *argv)
{
	char const *verb = argc > 1 ? argv[1] : "";

	argc--;
	argv++;
	if (home_enter() == -1)
		strerr_diefu2sys(EXIT_TEMP, "enter ", home_path());
	if (!strcmp(verb, "expire")) {
		expire_command(argc, argv);
	} else if (!strcmp(verb, "release") || !strcmp(verb, "delete")) {
		each(argc, argv, *verb == 'r');
	} else if (argc == 1 && (!strcmp(verb, "list") ||
	    !strcmp(verb, "digest"))) {
		no_scanner();
		read_all();
		if (*verb == 'l')
			put_list(0);
		else
			digest();
	} else if (argc == 2 && (!strcmp(verb, "show") ||
	    !strcmp(verb, "headers"))) {
		read_all();
		show(argv[1], *verb == 's');
	} else {
		strerr_dieusage(EXIT_USAGE, USAGE);
	}
	flush();
	close_one();
	return EXIT_DONE;
}
