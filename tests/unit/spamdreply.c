#include <string.h>

#include "scanq/spamdreply.h"
#include "tests/unit/tap.h"

static struct spamdreply r;

static int
reply(char const *s)
{
	r = (struct spamdreply){ -1, -1, -1 };
	return spamdreply(s, strlen(s), &r);
}

static int
score(char const *s)
{
	long v = -77777;

	return spamdreply_score(s, strlen(s), &v) ? (int)v : 55555;
}

int
main(void)
{
	ok(reply("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15.3 / 5.0\r\n\r\n") &&
	    r.spam == 1 && r.score == 1530 && r.threshold == 500, "spam");
	ok(reply("SPAMD/1.1 0 EX_OK\r\nContent-length: 9\r\n"
	    "Spam: False ; -0.25 / 15.00\r\nX: y\r\n\r\nwhatever\n") &&
	    r.spam == 0 && r.score == -25 && r.threshold == 1500,
	    "no spam, among other fields");
	ok(reply("SPAMD/1.1 0 EX_OK\r\nContent-length: 9\r\n"
	    "Spam: False ; 7.30 / 15.00\r\n\r\nTESTSYM\r\n") &&
	    r.spam == 0 && r.score == 730, "as rspamd 3.4 answers");
	ok(!reply("SPAMD/1.1 76 Bad header line\r\n\r\n") &&
	    !reply("SPAMD/1.1 0 EX_OK\r\n\r\n") &&
	    !reply("SPAMD/1.1 0 EX_OKAY\r\nSpam: True ; 9 / 5\r\n\r\n") &&
	    !reply("XPAMD/1.1 0 EX_OK\r\nSpam: True ; 9 / 5\r\n\r\n"),
	    "errors");
	ok(!reply("") && !reply("SPAMD/1.1 0 EX_OK\r\n") &&
	    !reply("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9 / 5\r\n") &&
	    !reply("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9 / 5"),
	    "without its end it is no answer");
	ok(!reply("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9 / 5\r\n"
	    "Spam: False ; 9 / 5\r\n\r\n"), "two are none");
	ok(!reply("SPAMD/1.1 0 EX_OK\r\nSpam: Maybe ; 9 / 5\r\n\r\n") &&
	    !reply("SPAMD/1.1 0 EX_OK\r\nSpam: True ; nan / 5\r\n\r\n") &&
	    !reply("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 9 / \r\n\r\n") &&
	    !reply("SPAMD/1.1 0 EX_OK\r\nSpam: True; 9/5\r\n\r\n"),
	    "an opinion that is none");
	ok(score("7") == 700 && score("-7.1") == -710 &&
	    score("12.345") == 1234 && score("0.009") == 0, "scores");
	ok(score("") == 55555 && score("-") == 55555 && score(".5") == 55555 &&
	    score("5.") == 55555 && score("1e9") == 55555 &&
	    score("1.2.3") == 55555 && score("12345678") == 55555 &&
	    score("7 ") == 55555 && score("+7") == 55555, "and what is none");
	return tap_done();
}
