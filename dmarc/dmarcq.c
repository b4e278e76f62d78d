#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/genalloc.h>
#include <skalibs/strerr.h>

#include "dmarc/forged.h"
#include "dmarc/result.h"
#include "dmarc/service.h"
#include "lib/clock.h"
#include "lib/control.h"
#include "lib/enqueue.h"
#include "lib/errortext.h"
#include "lib/exitcode.h"
#include "lib/field.h"
#include "lib/filter.h"
#include "lib/given.h"
#include "lib/home.h"
#include "lib/log.h"
#include "lib/signing.h"
#include "lib/spool.h"

#define USAGE "dmarcq"

char const *PROG = "dmarcq";

enum {
	ROOM = 8192		/* for our field */
};

/* What the administrator wants done: control/dmarcpolicy. */
static struct {
	int dmarc, spf, temperror;
} policy;

static struct message {
	struct spool spool;
	struct head head;
	struct forged forged;
} m;

static stralloc me = STRALLOC_ZERO, envelope = STRALLOC_ZERO;
static stralloc author = STRALLOC_ZERO;

/* What we know and what dmarcd has found. */
static struct facts facts;
static struct findings findings;
static char const *trouble;	/* why nothing was found */
static char const *odd;		/* why the author is not known */
static int nobody;		/* there is none */

static int
broken(char const *what, char const *name, int code)
{
	log_start("warning", what);
	log_string("name", name);
	if (errno)
		log_errno(errno);
	log_end();
	return code;
}

/* ---- what comes next */

/* Without anything said, mail goes on to the scanner: who puts us in front of
 * it has not meant to lose it.
 */
static int
next_program(stralloc *program)
{
	int listed, r = filter_next("dmarcq", "DMARCQ_QUEUE", program, &listed);

	errno = r == -1 ? errno : 0;
	if (r == 0)
		r = filter_name(program, !listed ? "scanq" :
		    signing_wanted() ? "dkimsign" : "queue");
	return r == 1 ? 0 : broken("unable to find the next program",
	    "control/queuefilters", QUEUE_CONFIG);
}

static int
not_run(char const *program, int code)
{
	return broken("unable to run the next program", program, code);
}

/* From outside, and not from where it has been checked already. */
static int
is_wanted(void)
{
	char const *s = getenv("DMARC");

	return getenv("TCPREMOTEIP") && !getenv("RELAYCLIENT") &&
	    !getenv("SMTPAUTHUSER") && !(s && !strcmp(s, "0"));
}

/* ---- settings */

static int
take_policy(char const *line)
{
	static struct {
		char const *line;
		int *to;
	} const known[] = {
		{ "dmarc refuse", &policy.dmarc },
		{ "spf refuse", &policy.spf },
		{ "temperror defer", &policy.temperror }
	};
	size_t i;

	for (i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(line, known[i].line))
			continue;
		*known[i].to = 1;
		return 1;
	}
	return 0;
}

static int
read_settings(void)
{
	stralloc list = STRALLOC_ZERO;
	size_t i;
	int r = control_list("control/dmarcpolicy", &list);

	for (i = 0; r == 1 && i < list.len; i += strlen(list.s + i) + 1) {
		errno = 0;
		if (!take_policy(list.s + i))
			return broken("control/dmarcpolicy has a line that is "
			    "not known", list.s + i, QUEUE_CONFIG);
	}
	stralloc_free(&list);
	if (r != -1 && control_line_or_me("control/me", &me) == 1 &&
	    stralloc_0(&me))
		return 0;
	return broken("unable to read settings", r == -1 ?
	    "control/dmarcpolicy" : "control/me", QUEUE_CONFIG);
}

/* ---- the message */

static int
take_piece(char const *s, size_t n)
{
	return head_take(&m.head, s, n) == -1 ? -1 :
	    forged_feed(&m.forged, s, n);
}

static int
read_message(void)
{
	int code;

	if (spool_open(&m.spool, ROOM) == -1)
		return QUEUE_MEMORY;
	forged_begin(&m.forged, me.s, me.len - 1);
	code = given_message(&m.spool, take_piece);
	if (!code && forged_end(&m.forged) == -1)
		code = QUEUE_MEMORY;
	return code ? code : given_envelope(&envelope);
}

/* As bytes of a name; others are not asked about, and not shown. */
static int
is_name(char const *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	return n && n <= PROTOCOL_DOMAIN && !s[n];
}

static int
find_author(void)
{
	char const *why = "the header is too long";
	int r = m.head.too_long ? 0 : field_domain(m.head.text.s,
	    m.head.text.len, &author, &why);

	facts.author = "";
	if (r == -1)
		return QUEUE_MEMORY;
	if (r == 1 && is_name(author.s))
		facts.author = author.s;
	else
		odd = r == 1 ? "From names no host name" : why;
	/* an address literal is no name that could have a record */
	nobody = odd && (!strcmp(odd, "there is no From field") ||
	    !strcmp(odd, "From names no domain") ||
	    (r == 1 && *author.s == '['));
	return 0;
}

static void
find_facts(void)
{
	static char ip[PROTOCOL_IP + 1];
	char const *helo = getenv("HELO"), *at;

	snprintf(ip, sizeof ip, "%s", getenv("TCPREMOTEIP"));
	if (!strncmp(ip, "::ffff:", 7))
		memmove(ip, ip + 7, strlen(ip + 7) + 1);
	facts.ip = ip;
	facts.helo = helo && is_name(helo) ? helo : "";
	facts.sender = envelope.s + 1;
	if (strlen(facts.sender) > PROTOCOL_SENDER)
		facts.sender = "@";	/* nobody has such an address */
	at = strrchr(facts.sender, '@');
	at = at ? at + 1 : *facts.sender ? "" : facts.helo;
	if (is_name(at))
		snprintf(findings.spf_domain, sizeof findings.spf_domain, "%s",
		    at);
}

/* ---- the verdict */

static void
tell(char const *action, uint64_t since)
{
	log_start(trouble ? "warning" : "info", "checked");
	log_string("spf", result_word(findings.spf));
	log_string("dkim", trouble ? result_word(RESULT_TEMPERROR) :
	    result_word(result_dkim(&findings)));
	log_string("dmarc", result_word(findings.dmarc));
	if (result_policy(findings.policy))
		log_string("policy", result_policy(findings.policy));
	log_string("action", action);
	if (*facts.author)
		log_string("author", facts.author);
	log_string("ip", facts.ip);
	log_path("from", envelope.s + 1, strlen(envelope.s + 1));
	log_number("ms", clock_ms() - since);
	if (trouble)
		log_string("reason", trouble);
	else if (odd)
		log_string("reason", odd);
	log_end();
}

static int
say(char const *text, int plain)
{
	char const *how;

	return errortext_say(text, strlen(text), plain, &how);
}

static int
refuse_author(uint64_t since)
{
	char text[220];

	tell("refused", since);
	if (odd) {
		snprintf(text, sizeof text, "Dsorry, it does not say clearly "
		    "who has written this: %s (#5.7.1)", odd);
		return say(text, QUEUE_REFUSED);
	}
	snprintf(text, sizeof text, "Dsorry, %.100s wants this refused: by "
	    "DMARC it is not from there (#5.7.26)", facts.author);
	return say(text, QUEUE_REFUSED);
}

static int
refuse_client(uint64_t since)
{
	char text[220];

	tell("refused", since);
	snprintf(text, sizeof text, "Dsorry, by SPF %s may not send for %.100s "
	    "(#5.7.23)", facts.ip, findings.spf_domain);
	return say(text, QUEUE_REFUSED);
}

static int
put_off(uint64_t since)
{
	tell("put off", since);
	return say("Zit cannot be checked at this time who sends this, try "
	    "again later (#4.7.0)", QUEUE_DEFERRED);
}

/* Several authors, or one that cannot be read: each reader shows another, and
 * none of them was checked.
 */
static int
is_refused(void)
{
	if (odd && !nobody)
		return 1;
	/* pct: a domain that tries its policy out */
	return findings.dmarc == RESULT_FAIL && findings.pct == 100 &&
	    findings.policy == PROTOCOL_P_REJECT;
}

/* An exit code; 0: it is to pass. */
static int
decide(uint64_t since)
{
	int any = policy.dmarc || policy.spf || policy.temperror;
	int code = 0;

	if (!trouble && policy.dmarc && is_refused())
		code = refuse_author(since);
	else if (!trouble && policy.spf && findings.spf == RESULT_FAIL)
		code = refuse_client(since);
	else if ((trouble && any) || (policy.temperror &&
	    (findings.spf == RESULT_TEMPERROR ||
	    findings.dmarc == RESULT_TEMPERROR)))
		code = put_off(since);
	return code;
}

/* What others have said in our name. */
static int
rename_forged(void)
{
	off_t const *at = genalloc_s(off_t, &m.forged.places);
	size_t i, n = genalloc_len(off_t, &m.forged.places);

	for (i = 0; i < n; i++)
		if (pwrite(m.spool.fd, FORGED_NEW, sizeof FORGED_NEW - 1,
		    m.spool.room + at[i]) != sizeof FORGED_NEW - 1)
			return -1;
	if (n) {
		log_start("info", "forged results renamed");
		log_number("fields", n);
		log_string("ip", facts.ip);
		log_end();
	}
	return 1;
}

static void
ask_service(void)
{
	struct findings f = findings;

	if (service_check(&facts, m.spool.fd, m.spool.room, m.spool.end, &f,
	    &trouble)) {
		trouble = 0;
		memcpy(f.spf_domain, findings.spf_domain, sizeof f.spf_domain);
		findings = f;
		if (odd)
			findings.dmarc = nobody ? RESULT_NONE :
			    RESULT_PERMERROR;
		return;
	}
	result_nothing(&findings);
}

static int
check(char const *program)
{
	stralloc field = STRALLOC_ZERO;
	uint64_t since;
	int code = read_settings();

	if (!code)
		code = read_message();
	if (!code)
		code = find_author();
	if (code)
		return code;
	since = clock_ms();
	find_facts();
	ask_service();
	code = decide(since);
	if (code)
		return code;
	if (result_field(&field, me.s, &facts, &findings, trouble) == -1)
		return QUEUE_MEMORY;
	if (rename_forged() == -1 ||
	    spool_front(&m.spool, field.s, field.len) == -1)
		return QUEUE_WRITE;
	tell("accepted", since);
	code = filter_exec(program, m.spool.fd, &envelope);
	return not_run(program, code);
}

/* Has SPF, DKIM and DMARC of a message from outside checked, says in front of
 * it what came out, and hands it to the next program: a QMAILQUEUE program.
 *
 * Runs as: its caller
 * Reads:   descriptors 0 and 1, control/
 * Writes:  what the next program does
 * Trusts:  its caller for who is connected; dmarcd for its findings on this
 *          one message, in the exact form that they have
 * Trusted by: its caller, for the verdict
 */
int
main(int argc, char const *const *argv)
{
	stralloc program = STRALLOC_ZERO;
	int code;

	(void)argv;
	if (argc > 1)
		strerr_dieusage(EXIT_USAGE, USAGE);
	signal(SIGPIPE, SIG_IGN);
	if (home_enter() == -1)
		return QUEUE_HOME;
	given_deadline();
	code = next_program(&program);
	if (code)
		return code;
	/* mail that is not checked costs an exec */
	return is_wanted() ? check(program.s) :
	    not_run(program.s, filter_run(program.s));
}
