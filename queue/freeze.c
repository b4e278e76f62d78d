#include "queue/freeze.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/job.h"
#include "queue/ordering.h"
#include "queue/orders.h"

static char const file[] = "control/frozen";

static void
save_frozen(stralloc const *list)
{
	static char const tmp[] = "control/frozen.new";
	FILE *f;
	size_t i;
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd == -1 || fchmod(fd, 0644) == -1 || !(f = fdopen(fd, "w")))
		strerr_diefu2sys(EXIT_TEMP, "write ", tmp);
	for (i = 0; i < list->len; i += strlen(list->s + i) + 1)
		fprintf(f, "%s\n", list->s + i);
	if (ferror(f) || fflush(f) || fsync(fd) || fclose(f) ||
	    rename(tmp, file) == -1)
		strerr_diefu2sys(EXIT_TEMP, "write ", file);
}

/* Two of us at once would each write what the other one has not.  Until the
 * descriptor is closed. */
static int
lock(void)
{
	int fd = open("control", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1 || flock(fd, LOCK_EX) == -1)
		strerr_diefu2sys(EXIT_TEMP, "lock ", "control");
	return fd;
}

static int
set_frozen(struct tool *t, char const *domain, int frozen)
{
	stralloc list = STRALLOC_ZERO, new = STRALLOC_ZERO;
	size_t i;
	int locked = lock();

	if (control_list(file, &list) == -1)
		strerr_diefu2sys(EXIT_TEMP, "read ", file);
	for (i = 0; i < list.len; i += strlen(list.s + i) + 1)
		if (strcasecmp(list.s + i, domain) &&
		    job_puts(&new, list.s + i) == -1)
			tool_nomem();
	if (frozen && job_puts(&new, domain) == -1)
		tool_nomem();
	save_frozen(&new);
	close(locked);
	printf("%s: %s\n", domain, frozen ? "frozen" : "thawed");
	if (orders_open() == 1 && orders_ask('C', 0, &t->answer) == 1)
		return 1;
	puts("send is not running: it will know when it starts");
	return 0;
}

static char const *
one_domain(char const *const *argv)
{
	char const *s = *argv;

	if (!s || argv[1] || !*s || s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")])
		tool_usage();
	return s;
}

int
freeze(struct tool *t, char const *const *argv)
{
	set_frozen(t, one_domain(argv), 1);
	return EXIT_DONE;
}

int
freeze_thaw(struct tool *t, char const *const *argv)
{
	char const *domain = one_domain(argv);
	stralloc pattern = STRALLOC_ZERO;

	if (!set_frozen(t, domain, 0))
		return EXIT_DONE;
	if ((*domain == '.' && !stralloc_cats(&pattern, "*")) ||
	    !stralloc_cats(&pattern, domain) || !stralloc_0(&pattern))
		tool_nomem();
	t->choice.domain = pattern.s;
	ordering_try(t);
	return EXIT_DONE;
}

int
freeze_list(struct tool *t, char const *const *argv)
{
	stralloc list = STRALLOC_ZERO;
	size_t i;

	if (*argv)
		tool_usage();
	if (control_list(file, &list) == -1)
		strerr_diefu2sys(EXIT_TEMP, "read ", file);
	for (i = 0; i < list.len; i += strlen(list.s + i) + 1) {
		if (!t->json) {
			puts(list.s + i);
			continue;
		}
		printf("%s", i ? ",\n" : "[\n");
		show_json_string(list.s + i, strlen(list.s + i));
	}
	if (t->json)
		puts(list.len ? "\n]" : "[]");
	return EXIT_DONE;
}
