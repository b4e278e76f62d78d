/* smtpd receives mail by SMTP from the client that is connected to its
 * standard input and output, and hands it to the queue.  It is started for
 * one connection by listen, or by any other server of the UCSPI kind, and
 * ends with it.  It takes mail for this host's own domains from anybody, and
 * for others from those clients alone that $RELAYCLIENT marks.
 *
 * Runs as: smtpd, or whoever started it (sendmail -bs).
 * Reads: the client's bytes; control/ and the recipient tables; UCSPI
 * variables.
 * Writes: to the client; to queued's socket, or to $QMAILQUEUE; the log.
 * Trusts: its environment, control/, the tables, queued.  Not the client.
 * Trusted by: queued, as any client of it: for nothing but its own messages.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <skalibs/sig.h>
#include <skalibs/strerr.h>

#include "lib/exitcode.h"
#include "lib/home.h"
#include "lib/session.h"
#include "smtpd/dialogue.h"

/* How long a client that we hang up on may take to hear why. */
#define DRAIN_SECONDS 2

/* To close a socket with bytes unread resets the connection, and the client
 * may never see our last reply: read on for a moment. */
static void
drain(io *i)
{
	shutdown(i->out, SHUT_WR);
	io_deadline(i, DRAIN_SECONDS);
	do
		io_discard(i);
	while (io_fill(i) == 1);
}

static void
who(struct client *c)
{
	c->ip = getenv("TCPREMOTEIP");
	c->host = getenv("TCPREMOTEHOST");
	c->info = getenv("TCPREMOTEINFO");
	c->local_ip = getenv("TCPLOCALIP");
	c->local_host = getenv("TCPLOCALHOST");
	c->relay = getenv("RELAYCLIENT");
	c->listed = getenv("RBLSMTPD");
	c->tls.protocol = getenv("SSL_PROTOCOL");
	c->tls.cipher = getenv("SSL_CIPHER");
	if (c->tls.protocol && !*c->tls.protocol)
		c->tls.protocol = 0;
}

int
main(int argc, char const *const *argv)
{
	static io conversation;
	struct policy policy = POLICY_ZERO;
	struct dialogue d;
	struct backend back;
	struct client client;

	(void)argc;
	PROG = "smtpd";
	if (home_enter() == -1)
		strerr_diefusys(EXIT_TEMP, "enter ", home_path());
	sig_ignore(SIGPIPE);
	session_id();
	who(&client);
	backend_init(&back, 0, argv + 1);
	io_init(&conversation, 0, 1);
	dialogue_init(&d, &conversation, &back, &policy, &client);
	if (dialogue_run(&d) == 0)
		drain(&conversation);
	return EXIT_DONE;
}
