#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <skalibs/strerr.h>

#include "lib/control.h"
#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/job.h"
#include "queue/inspect.h"
#include "queue/look.h"
#include "queue/moving.h"
#include "queue/orders.h"
#include "queue/show.h"

char const *PROG = "queuectl";

#define USAGE "queuectl [-j] status | list [CHOICE] | count BY [CHOICE] | " \
    "show ID | hold CHOICE | release CHOICE | retry CHOICE | delete CHOICE " \
    "| bounce CHOICE | change ID OLD NEW | freeze DOMAIN | thaw DOMAIN | " \
    "frozen | check | repair | export CHOICE | import"

struct tool {
	int json;
	struct choice choice;
	struct look look;
	stralloc answer, offsets;
	char const *done;	/* "held", "deleted" */
	uint64_t good, bad, later;
	uint64_t exported;
	char order;
	char const *by;		/* for count */
	stralloc keys;		/* for count: each NUL-terminated */
	uint64_t printed;
};

static void
die_queue(char const *what)
{
	strerr_diefu3sys(EXIT_TEMP, "read queue/", what, "");
}

static void
nomem(void)
{
	strerr_dief1x(EXIT_TEMP, "out of memory");
}

static void
need_send(void)
{
	if (orders_open() == -1)
		strerr_diefu1sys(EXIT_TEMP, "reach send by socket/send/send: "
		    "only status, list, count, show, check, export, import "
		    "and frozen work without it");
}

static void
words_of_choice(struct tool *t, char const *const *argv)
{
	for (; *argv; argv++)
		if (!look_word(&t->choice, *argv))
			strerr_dief3x(EXIT_USAGE, "not an id or a condition: ",
			    *argv, "");
}

/* Calls f for each message that fits.  It may change the queue. */
static void
each(struct tool *t, void (*f)(struct tool *, struct look *))
{
	genalloc ids = GENALLOC_ZERO;
	char const *dir, *why;
	size_t i;

	if (look_ids(&t->choice, &ids, &dir) == -1)
		die_queue(dir);
	for (i = 0; i < genalloc_len(uint64_t, &ids); i++) {
		uint64_t id = genalloc_s(uint64_t, &ids)[i];
		int r = look_at(&t->look, id, &why);

		if (r == 1 && look_fits(&t->choice, &t->look)) {
			f(t, &t->look);
		} else if (r != 1 && (why || r == -1 ||
		    t->choice.ids.len)) {
			fprintf(stderr, "queuectl: warning: %llu: %s\n",
			    (unsigned long long)id, r == -1 ? strerror(errno) :
			    why ? why : "no such message");
			t->bad++;
		}
		look_done(&t->look);
	}
	genalloc_free(uint64_t, &ids);
}

/* What send says; 0: its reason is not the one that was asked for. */
static int
ask(struct tool *t, struct look const *l, struct said *said)
{
	show_ask(l->id, said, &t->answer);
	return !t->choice.reason || strstr(said->reason, t->choice.reason);
}

/* ---- list, show, count, status */

static void
list_one(struct tool *t, struct look *l)
{
	struct said said;

	if (!ask(t, l, &said))
		return;
	if (t->json)
		printf("%s", t->printed ? ",\n" : "[\n");
	show_message(l, &said, &t->choice, t->json);
	t->printed++;
}

static int
list(struct tool *t, char const *const *argv)
{
	words_of_choice(t, argv);
	if (orders_open() == -1 && t->choice.reason)
		need_send();
	each(t, list_one);
	if (t->json)
		puts(t->printed ? "\n]" : "[]");
	return t->bad ? EXIT_PERM : EXIT_DONE;
}

static void
print_header(struct look const *l)
{
	char buf[4096];
	ssize_t n = pread(l->fd, buf, l->file.body < sizeof buf ?
	    l->file.body : sizeof buf, 0);
	char const *s = buf, *lf;

	putchar('\n');
	while (n > 0 && (lf = memchr(s, '\n', n)) && lf != s) {
		for (; s <= lf; s++, n--)
			putchar(*s == '\n' || *s == '\t' || (*s >= 32 &&
			    *s < 127) ? *s : '?');
	}
}

static void
show_one(struct tool *t, struct look *l)
{
	struct said said;

	ask(t, l, &said);
	show_message(l, &said, &t->choice, t->json);
	if (t->json)
		putchar('\n');
	else
		print_header(l);
	t->printed++;
}

static int
show(struct tool *t, char const *const *argv)
{
	words_of_choice(t, argv);
	if (!t->choice.ids.len)
		strerr_dieusage(EXIT_USAGE, USAGE);
	orders_open();
	each(t, show_one);
	return t->bad ? EXIT_PERM : EXIT_DONE;
}

static void
add_key(struct tool *t, char const *s, size_t n)
{
	if (job_put(&t->keys, s, n) == -1)
		nomem();
}

static void
count_one(struct tool *t, struct look *l)
{
	struct said said = { 0, 0, "" };
	size_t pos = 0, at, n;
	char const *to, *host;

	if ((orders_are_open() || t->choice.reason) && !ask(t, l, &said))
		return;
	if (strcmp(t->by, "sender") == 0) {
		add_key(t, l->sender, strlen(l->sender));
	} else if (strcmp(t->by, "reason") == 0) {
		add_key(t, said.reason, strlen(said.reason));
	} else if (strcmp(t->by, "state") == 0) {
		host = show_state(&said, l->held);
		add_key(t, host, strlen(host));
	} else {
		while ((to = look_recipient(l, &pos, &at))) {
			host = strrchr(to, '@');
			n = strlen(host ? host + 1 : "");
			add_key(t, host ? host + 1 : "", n);
		}
	}
}

static int
compare(void const *a, void const *b)
{
	return strcasecmp(*(char const *const *)a, *(char const *const *)b);
}

static char const **
sorted_keys(struct tool *t, size_t *n)
{
	char const **key;
	size_t i, k = 0;

	for (i = 0, *n = 0; i < t->keys.len; i++)
		*n += !t->keys.s[i];
	key = calloc(*n + 1, sizeof *key);
	if (!key)
		nomem();
	for (i = 0; i < t->keys.len; i += strlen(t->keys.s + i) + 1)
		key[k++] = t->keys.s + i;
	qsort(key, *n, sizeof *key, compare);
	return key;
}

static void
print_count(struct tool *t, char const *key, size_t count)
{
	if (t->json) {
		printf("%s{\"count\":%zu,\"%s\":", t->printed++ ? ",\n" :
		    "[\n", count, t->by);
		show_json_string(key, strlen(key));
		putchar('}');
	} else {
		printf("%zu\t", count);
		show_text(key, strlen(key));
		putchar('\n');
	}
}

static int
count(struct tool *t, char const *const *argv)
{
	static char const *const by[] = { "domain", "sender", "reason",
	    "state" };
	char const **key;
	size_t n, i, k = 0;

	t->by = *argv;
	while (k < 4 && t->by && strcmp(t->by, by[k]))
		k++;
	if (!t->by || k == 4)
		strerr_dieusage(EXIT_USAGE, USAGE);
	words_of_choice(t, argv + 1);
	if (strcmp(t->by, "reason") == 0 || t->choice.reason)
		need_send();
	else if (strcmp(t->by, "state") == 0)
		orders_open();
	each(t, count_one);
	key = sorted_keys(t, &n);
	for (i = 0; i < n; i += k) {
		for (k = 1; i + k < n && !compare(key + i, key + i + k); k++)
			;
		print_count(t, key[i], k);
	}
	if (t->json)
		puts(t->printed ? "\n]" : "[]");
	free(key);
	return EXIT_DONE;
}

static int
status(struct tool *t, char const *const *argv)
{
	static char const *const names[] = { "new", "waiting", "ready",
	    "active", "marking", "leaving", "held", "local", "locallimit",
	    "remote", "remotelimit", "destinations", "requests" };
	size_t pos = 0, i;
	uint64_t u;

	if (*argv)
		strerr_dieusage(EXIT_USAGE, USAGE);
	if (orders_open() == -1 || orders_ask('S', 0, &t->answer) != 1) {
		puts(t->json ? "{\"send\":false}" : "send: not running");
		return EXIT_TEMP;
	}
	printf(t->json ? "{\"send\":true" : "send: running\n");
	for (i = 0; i < sizeof names / sizeof *names; i++) {
		if (!job_field_number(t->answer.s, t->answer.len, &pos, &u))
			break;
		printf(t->json ? ",\"%s\":%llu" : "%s: %llu\n", names[i],
		    (unsigned long long)u);
	}
	if (t->json)
		puts("}");
	return EXIT_DONE;
}

/* ---- orders */

static void
told(void *ctx, uint64_t id, int err)
{
	struct tool *t = ctx;

	if (!err) {
		t->good++;
		printf("%llu: %s\n", (unsigned long long)id, t->done);
	} else if (err == ETIMEDOUT) {
		t->later++;
		printf("%llu: will be %s when its deliveries under way have "
		    "ended\n", (unsigned long long)id, t->done);
	} else {
		t->bad++;
		printf("%llu: not %s: %s\n", (unsigned long long)id, t->done,
		    err == ENOENT ? "send does not know it" :
		    err == EPERM ? "it is held" :
		    err == EINVAL ? "it is not held" :
		    err == EBUSY ? "send has too much under way" :
		    err == EAGAIN ? "the bounce could not be queued" :
		    strerror(err));
	}
}

static void
send_is_gone(void)
{
	strerr_diefu1sys(EXIT_TEMP, "go on: send ended");
}

/* The offsets of the recipients that were named; none: all.  1 these are all
 * that wait, 0.
 */
static int
chosen_recipients(struct tool *t, struct look *l)
{
	size_t pos = 0, at;
	char const *to;
	int all = 1;

	t->offsets.len = 0;
	if (!t->choice.to && !t->choice.domain)
		return 1;
	while ((to = look_recipient(l, &pos, &at))) {
		if (!look_fits_recipient(&t->choice, to))
			all = 0;
		else if (job_number(&t->offsets, at) == -1)
			nomem();
	}
	return all;
}

static void
order_one(struct tool *t, struct look *l)
{
	struct said said;
	char order = t->order;
	int all = 0;

	if (t->choice.reason) {
		/* answers of orders and of questions must not mix */
		if (orders_end(told, t) == -1)
			send_is_gone();
		if (!ask(t, l, &said))
			return;
	}
	t->offsets.len = 0;
	if (order == 'F' || order == 'R' || order == 'T')
		all = chosen_recipients(t, l);
	if (order == 'T' && all)
		t->offsets.len = 0;
	if (order == 'R' && t->offsets.len)
		order = 'D';
	if (orders_give(order, l->id, &t->offsets, told, t) == -1)
		send_is_gone();
}

static int
finish_orders(struct tool *t)
{
	if (orders_end(told, t) == -1)
		send_is_gone();
	if (!t->good && !t->bad && !t->later)
		puts("no message fits");
	return t->bad || !(t->good + t->later) ? EXIT_PERM : EXIT_DONE;
}

static int
orders(struct tool *t, char const *const *argv, char order, char const *done)
{
	words_of_choice(t, argv);
	if (!look_chosen(&t->choice))
		strerr_dieusage(EXIT_USAGE, USAGE);
	need_send();
	t->order = order;
	t->done = done;
	if (order == 'U')
		t->choice.held = 1;
	each(t, order_one);
	return finish_orders(t);
}

static int
hold(struct tool *t, char const *const *argv)
{
	return orders(t, argv, 'H', "held");
}

static int
release(struct tool *t, char const *const *argv)
{
	return orders(t, argv, 'U', "released");
}

static int
retry(struct tool *t, char const *const *argv)
{
	if (argv[0] && !argv[1] && strcmp(argv[0], "all") == 0) {
		need_send();
		if (orders_ask('A', 0, &t->answer) != 1)
			send_is_gone();
		puts("all: tried now");
		return EXIT_DONE;
	}
	return orders(t, argv, 'T', "tried now");
}

static int
delete(struct tool *t, char const *const *argv)
{
	return orders(t, argv, 'R', "deleted");
}

static int
bounce(struct tool *t, char const *const *argv)
{
	return orders(t, argv, 'F', "bounced");
}

/* ---- another recipient */

static void
quietly(void *ctx, uint64_t id, int err)
{
	(void)id;
	*(int *)ctx = err;
}

/* One order and its end. */
static void
must(char order, uint64_t id, stralloc const *offsets, char const *what)
{
	int err = 0;

	if (orders_give(order, id, offsets, quietly, &err) == -1 ||
	    orders_end(quietly, &err) == -1)
		send_is_gone();
	errno = err;
	if (err)
		strerr_diefu1sys(err == ENOENT ? EXIT_PERM : EXIT_TEMP, what);
}

static int
find_recipient(struct look const *l, char const *address, size_t *at)
{
	size_t pos = 0;
	char const *to;

	while ((to = look_recipient(l, &pos, at)))
		if (strcasecmp(to, address) == 0)
			return 1;
	return 0;
}

static void
look_again(struct tool *t, uint64_t id, char const *address, size_t *at)
{
	char const *why;

	look_done(&t->look);
	if (look_at(&t->look, id, &why) != 1)
		strerr_dief1x(EXIT_PERM, "no such message");
	if (!find_recipient(&t->look, address, at))
		strerr_dief3x(EXIT_PERM, "no recipient ", address,
		    " waits in that message");
}

/* The new message is on disk before the old recipient is done: what fails in
 * between leaves both, or the old one held, and says so.
 */
static int
change(struct tool *t, char const *const *argv)
{
	uint64_t id, copy;
	char const *why;
	size_t at;
	int held;

	if (!argv[0] || !argv[1] || !argv[2] || argv[3] ||
	    msgfile_id(argv[0], strlen(argv[0]), &id) != 1 || !*argv[2])
		strerr_dieusage(EXIT_USAGE, USAGE);
	need_send();
	t->look.fd = -1;
	look_again(t, id, argv[1], &at);
	held = t->look.held;
	if (!held)
		must('H', id, 0, "hold the message");
	look_again(t, id, argv[1], &at);
	if (moving_copy(&t->look, argv[2], &copy, &why) != 1) {
		if (!held)
			must('U', id, 0, "release the message again");
		strerr_dief3x(EXIT_TEMP, "unable to queue the copy: ", why,
		    "");
	}
	if (job_number(&t->offsets, at) == -1)
		nomem();
	must('D', id, &t->offsets, "mark the old recipient done: the new "
	    "message is queued, the old one is held");
	if (!held && look_at(&t->look, id, &why) == 1)
		must('U', id, 0, "release the message again");
	printf("%llu: %s is %s of message %llu now\n", (unsigned long long)id,
	    argv[1], argv[2], (unsigned long long)copy);
	return EXIT_DONE;
}

/* ---- frozen domains */

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

static int
set_frozen(struct tool *t, char const *domain, int frozen)
{
	stralloc list = STRALLOC_ZERO, new = STRALLOC_ZERO;
	size_t i;

	if (control_list(file, &list) == -1)
		strerr_diefu2sys(EXIT_TEMP, "read ", file);
	for (i = 0; i < list.len; i += strlen(list.s + i) + 1)
		if (strcasecmp(list.s + i, domain) &&
		    job_puts(&new, list.s + i) == -1)
			nomem();
	if (frozen && job_puts(&new, domain) == -1)
		nomem();
	save_frozen(&new);
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
		strerr_dieusage(EXIT_USAGE, USAGE);
	return s;
}

static int
freeze(struct tool *t, char const *const *argv)
{
	set_frozen(t, one_domain(argv), 1);
	return EXIT_DONE;
}

static int
thaw(struct tool *t, char const *const *argv)
{
	char const *domain = one_domain(argv);
	stralloc pattern = STRALLOC_ZERO;

	if (!set_frozen(t, domain, 0))
		return EXIT_DONE;
	if ((*domain == '.' && !stralloc_cats(&pattern, "*")) ||
	    !stralloc_cats(&pattern, domain) || !stralloc_0(&pattern))
		nomem();
	t->choice.domain = pattern.s;
	t->order = 'T';
	t->done = "tried now";
	each(t, order_one);
	finish_orders(t);
	return EXIT_DONE;
}

static int
frozen(struct tool *t, char const *const *argv)
{
	stralloc list = STRALLOC_ZERO;
	size_t i;

	if (*argv)
		strerr_dieusage(EXIT_USAGE, USAGE);
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

/* ---- check, repair, export, import */

static int
inspect_all(char const *const *argv, int repair)
{
	struct inspection v = { 0, 0, 0, repair, 0 };
	char const *where;

	if (*argv)
		strerr_dieusage(EXIT_USAGE, USAGE);
	v.send = orders_open() == 1;
	if (inspect(&v, &where) == -1)
		strerr_diefu2sys(EXIT_TEMP, "read ", where);
	printf("%llu messages, %llu faults", (unsigned long long)v.messages,
	    (unsigned long long)v.faults);
	if (repair)
		printf(", %llu repaired", (unsigned long long)v.repaired);
	puts(v.send ? "" : "; send is not running: it was not asked");
	return v.faults > v.repaired ? EXIT_PERM : EXIT_DONE;
}

static int
check(struct tool *t, char const *const *argv)
{
	(void)t;
	return inspect_all(argv, 0);
}

static int
repair(struct tool *t, char const *const *argv)
{
	(void)t;
	return inspect_all(argv, 1);
}

static void
export_one(struct tool *t, struct look *l)
{
	struct said said;

	if (t->choice.reason && !ask(t, l, &said))
		return;
	if (!l->recipients)
		return;
	if (msgfile_check(l->fd, &l->file) != 1) {
		fprintf(stderr, "queuectl: warning: %llu: damaged, "
		    "not exported\n", (unsigned long long)l->id);
		t->bad++;
		return;
	}
	if (moving_put(stdout, l) == -1)
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	t->exported++;
}

static int
export(struct tool *t, char const *const *argv)
{
	words_of_choice(t, argv);
	if (!look_chosen(&t->choice) || isatty(1))
		strerr_dieusage(EXIT_USAGE, USAGE);
	if (t->choice.reason)
		need_send();
	if (moving_start(stdout) == -1)
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	each(t, export_one);
	if (moving_end(stdout, t->exported) == -1)
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	fprintf(stderr, "queuectl: info: %llu messages exported\n",
	    (unsigned long long)t->exported);
	return t->bad ? EXIT_PERM : EXIT_DONE;
}

static void
imported(void *ctx, uint64_t old, uint64_t id, int held)
{
	struct tool *t = ctx;
	int err = 0;

	printf("%llu queued as %llu", (unsigned long long)old,
	    (unsigned long long)id);
	if (held && orders_are_open()) {
		orders_ask('N', id, &t->answer);
		if (orders_give('H', id, 0, quietly, &err) == -1 ||
		    orders_end(quietly, &err) == -1)
			err = EIO;
	}
	if (held)
		printf(orders_are_open() && !err ? ", held" :
		    ", was held and is not any more");
	putchar('\n');
	t->printed++;
}

static int
import(struct tool *t, char const *const *argv)
{
	char const *why = "";
	int r;

	if (*argv)
		strerr_dieusage(EXIT_USAGE, USAGE);
	orders_open();
	r = moving_import(stdin, imported, t, &why);
	fflush(stdout);
	if (r == 0)
		strerr_dief1x(EXIT_PERM, "standard input is no export, or "
		    "cut short; what is named above is queued");
	if (r == -1)
		strerr_dief3x(EXIT_TEMP, "unable to queue: ", why,
		    "; what is named above is queued");
	return EXIT_DONE;
}

static struct verb {
	char const *name;
	int (*run)(struct tool *, char const *const *);
} const verbs[] = {
	{ "status", status }, { "list", list }, { "count", count },
	{ "show", show }, { "hold", hold }, { "release", release },
	{ "retry", retry }, { "delete", delete }, { "bounce", bounce },
	{ "change", change }, { "freeze", freeze }, { "thaw", thaw },
	{ "frozen", frozen }, { "check", check }, { "repair", repair },
	{ "export", export }, { "import", import },
};

/* queuectl: looks into the queue and gives send orders about it.
 *
 * Runs as:    root, or a member of the queue's group
 * Reads:      queue/mess, control/frozen
 * Writes:     control/frozen (root); all else through send and queued; repair
 *             moves misplaced files and sets owners
 * Trusts:     send, queued
 * Trusted by: nobody
 */
int
main(int argc, char const *const *argv)
{
	static struct tool t;
	size_t i, k = 1;
	int r;

	if (argc > 1 && (!strcmp(argv[1], "-j") || !strcmp(argv[1], "--json")))
		t.json = !!k++;
	for (i = 0; argv[k] && i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(argv[k], verbs[i].name) == 0)
			break;
	if (!argv[k] || i == sizeof verbs / sizeof *verbs)
		strerr_dieusage(EXIT_USAGE, USAGE);
	umask(022);
	if (home_enter() == -1 || look_start() == -1)
		strerr_diefu3sys(EXIT_TEMP, "enter ", home_path(), "/queue");
	r = verbs[i].run(&t, argv + k + 1);
	if (fflush(stdout))
		strerr_diefu1sys(EXIT_TEMP, "write to standard output");
	return r;
}
