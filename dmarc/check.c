#include "dmarc/check.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dmarc/dkim.h"
#include "dmarc/policy.h"
#include "dmarc/spf.h"
#include "lib/clock.h"
#include "lib/exitcode.h"
#include "lib/packet.h"
#include "lib/sandbox.h"

enum {
	QUESTION_SECONDS = 10,	/* until it comes */
	CPU = 5,		/* seconds: never reached but by fault */
	GRACE = 5		/* for a library that does not come back */
};

static struct ask dns;

/* For good: what it has, and no more. */
static int
narrow(void)
{
	static int const calls[] = {
#ifdef SYS_poll
		SYS_poll,
#endif
#ifdef SYS_time
		SYS_time,
#endif
		SYS_ppoll, SYS_recvmsg, SYS_sendmsg, SYS_setsockopt, SYS_futex,
		SYS_getrandom, SYS_getpid, SYS_gettimeofday, SYS_fcntl
	};
	struct rlimit cpu = { CPU, CPU }, none = { 0, 0 };

	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_CORE, &none);
	return sandbox_no_new_privs() == -1 ? -1 :
	    sandbox_only(calls, sizeof calls / sizeof *calls);
}

/* Four strings, each with its NUL.  1, 0 */
static int
read_question(char const *s, size_t n, struct facts *f)
{
	static size_t const most[] = {
		PROTOCOL_IP, PROTOCOL_DOMAIN, PROTOCOL_SENDER, PROTOCOL_DOMAIN
	};
	char const **to[] = { &f->ip, &f->helo, &f->sender, &f->author };
	size_t i, k;

	if (!n || *s != 'Q')
		return 0;
	s++;
	n--;
	for (i = 0; i < sizeof to / sizeof *to; i++) {
		k = strnlen(s, n);
		if (k == n || k > most[i])
			return 0;
		*to[i] = s;
		s += k + 1;
		n -= k + 1;
	}
	return n == 0;
}

static size_t
put_string(char *to, char const *s)
{
	size_t n = strlen(s) + 1;

	memcpy(to, s, n);
	return n;
}

static int
answer(int connection, struct findings const *f)
{
	char s[PROTOCOL_ANSWER];
	size_t n = 5;
	unsigned int i;

	s[0] = 'A';
	s[1] = f->spf;
	s[2] = f->dmarc;
	s[3] = f->policy;
	s[4] = (char)f->pct;
	for (i = 0; i < f->signatures; i++) {
		s[n++] = f->signature[i].result;
		s[n++] = f->signature[i].why;
		n += put_string(s + n, f->signature[i].domain);
		n += put_string(s + n, f->signature[i].selector);
	}
	return packet_send(connection, s, n, -1);
}

/* Signatures first: whoever sends the message waits until it is read. */
int
check(int connection, int fd)
{
	static char question[PROTOCOL_QUESTION];
	static struct findings f;
	struct facts facts;
	size_t n;
	int message;

	alarm(QUESTION_SECONDS + PROTOCOL_SECONDS + GRACE);
	if (narrow() == -1)
		return EXIT_TEMP;
	packet_timeout(connection, QUESTION_SECONDS);
	if (packet_recv(connection, question, sizeof question, &n,
	    &message) != 1)
		return EXIT_DONE;
	if (message == -1 || !read_question(question, n, &facts))
		return EXIT_PERM;
	dns.fd = fd;
	dns.until = clock_ms() + PROTOCOL_SECONDS * 1000;
	if (dkim_check(&dns, message, &f) == -1)
		return EXIT_TEMP;
	close(message);
	spf_check(&dns, &facts, &f);
	policy_check(&dns, facts.author, &f);
	return answer(connection, &f) == -1 ? EXIT_TEMP : EXIT_DONE;
}
