#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/maildir.h"
#include "tests/unit/tap.h"

static struct maildir m;

/* How many files; the name of the last one. */
static int
files(char const *path, char *name)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.') {
			strcpy(name, e->d_name);
			n++;
		}
	if (d)
		closedir(d);
	return n;
}

static void
make(void)
{
	mkdir("M", 0700);
	mkdir("M/tmp", 0700);
	mkdir("M/new", 0700);
	mkdir("M/cur", 0700);
}

static void
delivers(void)
{
	static char big[20000], back[30000];
	char name[MAILDIR_NAME], path[300];
	int fd, n;

	memset(big, 'x', sizeof big);
	big[sizeof big - 1] = '\r';
	ok(maildir_open(&m, "./M/") == 1, "opens, with slashes behind");
	ok(maildir_put(&m, "a\nb\r\n", 5) == 1 &&
	    maildir_put(&m, big, sizeof big) == 1 &&
	    maildir_put(&m, "\n\n", 2) == 1, "takes small and large pieces");
	ok(files("M/new", name) == 0, "nothing is seen before commit");
	ok(maildir_commit(&m) == 1, "commits");
	ok(files("M/new", name) == 1 && files("M/tmp", path) == 0,
	    "one file in new, none in tmp");
	ok(strstr(name, ",S=20007,W=20009") && !strchr(name, ':'),
	    "both sizes stand in the name");
	snprintf(path, sizeof path, "M/new/%s", name);
	fd = open(path, O_RDONLY);
	n = read(fd, back, sizeof back);
	close(fd);
	ok(n == 20007 && !memcmp(back, "a\nb\r\n", 5) &&
	    !memcmp(back + 5, big, sizeof big) &&
	    !memcmp(back + 20005, "\n\n", 2), "the bytes are the same");
	unlink(path);
	ok(maildir_open(&m, "M") == 1 && maildir_put(&m, "a\nb", 3) == 1 &&
	    maildir_commit(&m) == 1 && files("M/new", name) == 1 &&
	    strstr(name, ",S=3,W=6"), "POP3 ends a last line without LF");
	snprintf(path, sizeof path, "M/new/%s", name);
	unlink(path);
	maildir_open(&m, "M");
	maildir_put(&m, "ab\r", 3);
	ok(maildir_commit(&m) == 1 && files("M/new", name) == 1 &&
	    strstr(name, ",S=3,W=4"), "with an LF alone, where a CR is");
	snprintf(path, sizeof path, "M/new/%s", name);
	unlink(path);
}

static void
many(void)
{
	char name[MAILDIR_NAME];
	int i, bad = 0;

	for (i = 0; i < 100; i++)
		if (maildir_open(&m, "M") != 1 || maildir_commit(&m) != 1)
			bad++;
	ok(!bad && files("M/new", name) == 100, "100 names differ");
	maildir_open(&m, "M");
	maildir_put(&m, "x", 1);
	maildir_abort(&m);
	ok(files("M/new", name) == 100 && files("M/tmp", name) == 0,
	    "abort leaves nothing");
}

static int
refused(char const *path, int e)
{
	char name[MAILDIR_NAME];

	errno = 0;
	if (maildir_open(&m, path) != -1) {
		maildir_abort(&m);
		return 0;
	}
	return errno == e && files("victim", name) == 0;
}

static void
links(void)
{
	mkdir("victim", 0700);
	symlink("M", "L");
	ok(refused("L", ENOTDIR) || refused("L", ELOOP),
	    "a link to a Maildir");
	ok(refused("./L//", ENOTDIR) || refused("./L//", ELOOP),
	    "the same with slashes");
	ok(refused("none", ENOENT), "no directory");
	ok(refused("", ENOENT), "no name");
	ok(refused("victim", ENOENT), "no Maildir");
	rename("M/tmp", "M/tmp.away");
	symlink("../victim", "M/tmp");
	ok(refused("M", ENOTDIR), "tmp is a link");
	unlink("M/tmp");
	mkfifo("M/tmp", 0600);
	ok(refused("M", ENOTDIR), "tmp is a fifo");
	unlink("M/tmp");
	rename("M/tmp.away", "M/tmp");
	rename("M/new", "M/new.away");
	symlink("../victim", "M/new");
	ok(refused("M", ENOTDIR), "new is a link");
	unlink("M/new");
	rename("M/new.away", "M/new");
}

static void
wipe(char const *dir)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", dir, (char *)0);
		_exit(111);
	}
	waitpid(pid, 0, 0);
}

int
main(void)
{
	char dir[] = "/tmp/postern-test.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) == -1)
		return 111;
	make();
	delivers();
	many();
	links();
	wipe(dir);
	return tap_done();
}
