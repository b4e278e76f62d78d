/* limits: every limit that more than one program knows, with its reason.
 * A limit that only one program knows stands in that program.
 */
#ifndef LIMITS_H
#define LIMITS_H

enum {
	/* RFC 5321 4.5.3.1.3 asks for 256; qmail's ADDR is 1003 with its NUL */
	LIMIT_ADDRESS = 1002,
	/* RFC 5321 4.5.3.1.4 asks for 512; AUTH (RFC 4954 4.) for 12288, and
	 * Postfix accepts 2048 */
	LIMIT_COMMAND = 2048,
	/* RFC 5321 4.5.3.1.8 asks for 100 at least */
	LIMIT_RECIPIENTS = 1000,
	/* qmail's MAXHOPS: RFC 5321 6.3 asks for 100 at least */
	LIMIT_HOPS = 100,
	/* PIPE_BUF: longer writes to a logger's pipe may be torn */
	LIMIT_LOGLINE = 4096,
	/* qmail-send's limit on the report of one delivery */
	LIMIT_REPORT = 3000,
	/* one record between two of our processes */
	LIMIT_PACKET = 65536,
	/* recipients in one order to send */
	LIMIT_ORDER = 1000,
	/* envelope of one message: LIMIT_RECIPIENTS of LIMIT_ADDRESS */
	LIMIT_ENVELOPE = 2097152,
	/* what a checkpassword program reads (interface: 512 bytes) */
	LIMIT_LOGIN = 512
};

#endif
