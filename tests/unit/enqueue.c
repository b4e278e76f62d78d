#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/enqueue.h"
#include "lib/packet.h"
#include "tests/unit/tap.h"

static enqueue q;
static stralloc env = STRALLOC_ZERO;

/* A $QMAILQUEUE program of that shell text takes a message of n bytes. */
static int
with_program(char const *text, size_t n)
{
	FILE *f = fopen("program", "w");

	fprintf(f, "#!/bin/sh\n%s\n", text);
	fclose(f);
	chmod("program", 0755);
	setenv("QMAILQUEUE", "./program", 1);
	if (enqueue_open(&q) != 1)
		return q.code;
	for (; n; n--)
		enqueue_put(&q, "x", 1);
	return enqueue_close(&q, &env);
}

static int
says(char const *text, char const *reply)
{
	with_program(text, 10);
	return strcmp(enqueue_reply(&q), reply) == 0;
}

static int
holds(char const *file, char const *s, size_t n)
{
	char buf[4096];
	int fd = open(file, O_RDONLY);
	ssize_t r = read(fd, buf, sizeof buf);

	close(fd);
	return r == (ssize_t)n && memcmp(buf, s, n) == 0;
}

static void
test_codes(void)
{
	static struct {
		int code;
		char const *reply;
	} const table[] = {
		{ 11, "554 envelope address too long for qq (#5.1.3)" },
		{ 31, "554 mail server permanently rejected message (#5.3.0)" },
		{ 35, "554 qq permanent problem (#5.3.0)" },
		{ 51, "451 qq out of memory (#4.3.0)" },
		{ 53, "451 qq write error or disk full (#4.3.0)" },
		{ 66, "451 qq trouble creating files in queue (#4.3.0)" },
		{ 71, "451 mail server temporarily rejected message (#4.3.0)" },
		{ 72, "451 connection to mail server timed out (#4.4.1)" },
		{ 82, "451 qq temporary problem (#4.3.0)" },
		{ 91, "451 qq internal bug (#4.3.0)" },
		{ 99, "451 qq temporary problem (#4.3.0)" },
		{ 120, "451 unable to exec qq (#4.3.0)" },
	};
	char text[64], what[64];
	size_t i;

	for (i = 0; i < sizeof table / sizeof *table; i++) {
		snprintf(text, sizeof text, "exit %d", table[i].code);
		snprintf(what, sizeof what, "reply to exit code %d",
		    table[i].code);
		ok(says(text, table[i].reply), what);
	}
	ok(says("kill -9 $$", "451 qq crashed (#4.3.0)"), "a killed program");
}

static void
test_texts(void)
{
	ok(says("printf 'Dno such luck (#5.7.1)' >&4; exit 82",
	    "554 no such luck (#5.7.1)"), "text on descriptor 4");
	ok(says("printf 'Zcome back' >&6; exit 82", "451 come back"),
	    "text on descriptor 6");
	ok(says("printf 'Zlater\\n' >&6; exit 88", "451 later"),
	    "exit code 88, and a newline at the end");
	setenv("ERROR_FD", "2", 1);
	ok(says("printf 'Done' >&2; exit 88", "554 one"),
	    "text on $ERROR_FD");
	unsetenv("ERROR_FD");
	ok(says("printf 'Da\\r\\n250 ok' >&4; exit 82", "554 a??250 ok"),
	    "control characters do not reach the client");
	ok(says("printf 'hello' >&4; exit 82",
	    "451 qq temporary problem (#4.3.0)"), "text without a verdict");
	ok(with_program("yes D | head -c 300000 | tr -d '\\n' >&4; exit 82", 1)
	    == QUEUE_TEXT && strlen(enqueue_reply(&q)) == 258,
	    "an endless text is cut");
}

static void
test_program(void)
{
	ok(with_program("cat >body; cat <&1 >env; exit 0", 3) == 0,
	    "a program takes a message");
	ok(holds("body", "xxx", 3), "body on descriptor 0");
	ok(holds("env", "Fa@b\0Tc@d\0", 11), "envelope on 1, with its end");
	ok(with_program("exit 0", 200000) == QUEUE_READ,
	    "success of a program that did not read is no success");
	ok(with_program("exit 31", 200000) == 31,
	    "a program may refuse before it has read");
	setenv("QMAILQUEUE", "./nothing", 1);
	ok(enqueue_open(&q) == -1 && q.code == QUEUE_EXEC,
	    "a program that is not there");
	unlink("env");
	with_program("exit 0", 0);
	setenv("QMAILQUEUE", "./program", 1);
	ok(with_program("cat >body; cat <&1 >env; exit 54", 1) == 54 &&
	    enqueue_open(&q) == 1, "open again");
	enqueue_abort(&q);
	ok(holds("env", "", 0), "given up: no envelope");
}

/* A queued that takes messages on one connection and keeps file and envelope,
 * with the faults that a test asks for.
 */
static void
serve(int listener, char fault)
{
	char s[70000];
	size_t n, len = 0;
	int c = accept(listener, 0, 0);
	int file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int all = open("envelope", O_RDWR | O_CREAT | O_TRUNC, 0600);

	while (packet_recv(c, s, sizeof s, &n, 0) == 1) {
		s[n < sizeof s ? n : n - 1] = 0;
		if (*s == 'N' && fault == 'N')
			packet_send(c, "E 53 disk full\n", 15, -1);
		else if (*s == 'N')
			packet_send(c, "F 77 5 3", 8, file);
		if (*s == 'V' && write(all, s + 1, n - 1) == -1)
			_exit(1);
		if (*s != 'C')
			continue;
		if (fault == 'C')
			_exit(0);
		len = strlen(s) + 1;
		if (write(all, s + len, n - len) == -1)
			_exit(1);
		packet_send(c, fault == 'E' ? "E 11 long" : "K 78",
		    fault == 'E' ? 9 : 4, -1);
	}
	_exit(0);
}

static pid_t
start(char fault)
{
	int s = packet_listen("socket/queue/queued", 0600, 5);
	pid_t pid = fork();

	if (!pid)
		serve(s, fault);
	close(s);
	return pid;
}

static int
message(void)
{
	if (enqueue_open(&q) != 1)
		return q.code;
	enqueue_put(&q, "hello\n", 6);
	return enqueue_close(&q, &env);
}

static void
test_queued(void)
{
	pid_t pid;
	struct stat st;
	int i;

	unsetenv("QMAILQUEUE");
	ok(enqueue_open(&q) == -1 && q.code == QUEUE_NETWORK,
	    "no queued at all");
	pid = start('N');
	ok(message() == QUEUE_WRITE && !strcmp(q.text, "disk full?"),
	    "refused at the start, with a reason");
	kill(pid, SIGKILL);
	waitpid(pid, 0, 0);
	pid = start(0);
	ok(message() == 0 && q.id == 78, "after a restart: a new connection");
	ok(holds("file", "hello\n", 6), "the body is in the file");
	ok(holds("envelope", env.s, env.len), "the envelope arrived");
	ok(q.size == 6 && q.crc == crc32c(5, "hello\n", 6),
	    "the sum continues queued's");
	ok(message() == 0, "the next message on the same connection");
	ok(q.pid == getpid(), "queued by ourselves");
	for (i = 0; i < 20000; i++)
		stralloc_catb(&env, "Tsomebody@c.example", 20);
	ok(message() == 0, "a long envelope");
	ok(stat("envelope", &st) == 0 &&
	    (size_t)st.st_size == env.len + 20, "arrives in full");
	ok(enqueue_open(&q) == 1, "begun");
	enqueue_abort(&q);
	waitpid(pid, 0, 0);
	pid = start('C');
	ok(message() == QUEUE_NETWORK, "no answer is no success");
	waitpid(pid, 0, 0);
	pid = start('E');
	ok(message() == QUEUE_ADDRESS, "refused at the end");
	kill(pid, SIGKILL);
	waitpid(pid, 0, 0);
}

int
main(void)
{
	char dir[] = "/tmp/enqueue.XXXXXX", clean[64];

	if (!mkdtemp(dir) || chdir(dir) == -1 || mkdir("socket", 0700) == -1 ||
	    mkdir("socket/queue", 0700) == -1)
		return 111;
	stralloc_catb(&env, "Fa@b\0Tc@d\0", 10);
	test_codes();
	test_texts();
	test_program();
	test_queued();
	snprintf(clean, sizeof clean, "rm -rf %s", dir);
	return system(clean) || tap_done();
}
