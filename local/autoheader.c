#include "local/autoheader.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
	HEADER = 65536,		/* bytes that are looked at */
	NAME = 64
};

static int
begins(char const *s, char const *word)
{
	return !strncasecmp(s, word, strlen(word));
}

static int
ends(char const *s, size_t n, char const *word)
{
	size_t len = strlen(word);

	return n >= len && !strncasecmp(s + n - len, word, len);
}

/* Programs, and those who speak for many. */
static int
is_program(char const *sender, size_t n)
{
	static char const *const front[] = { "owner-", "bounce", "listserv@",
		"majordomo@", "mailer-daemon@", "postmaster@", "no-reply",
		"noreply", "no_reply", "do-not-reply", "donotreply",
		"prvs=bounce" };
	static char const *const back[] = { "-request", "-owner", "-bounces",
		"-bounce", "-noreply", "-relay", "-outgoing", "-errors" };
	size_t i;

	for (i = 0; i < sizeof front / sizeof *front; i++)
		if (begins(sender, front[i]))
			return 1;
	for (i = 0; i < sizeof back / sizeof *back; i++)
		if (ends(sender, n, back[i]))
			return 1;
	return memmem(sender, n, "-bounces+", 9) != 0 ||
	    memmem(sender, n, "-return-", 8) != 0;
}

char const *
autoheader_sender(char const *sender, char const *const *own, size_t n)
{
	char const *at = strrchr(sender, '@');
	size_t i;

	if (!*sender || !strcmp(sender, "#@[]"))
		return "the sender is empty";
	if (!at || !at[1])
		return "the sender has no domain";
	for (i = 0; i < n; i++)
		if (!strcasecmp(sender, own[i]))
			return "the sender is the recipient";
	if (is_program(sender, at - sender))
		return "the sender is a program or a list";
	return 0;
}

/* The whole header into buf, folded lines joined; its length. */
static size_t
slurp_header(int fd, char *buf)
{
	size_t n = 0, in = 0, out = 0;
	ssize_t r;

	while (n < HEADER - 1) {
		r = read(fd, buf + n, HEADER - 1 - n);
		if (r == 0 || (r == -1 && errno != EINTR))
			break;
		n += r > 0 ? r : 0;
	}
	for (; in < n; in++) {
		if (buf[in] == '\n' && in + 1 < n && buf[in+1] == '\n')
			break;
		if (buf[in] == '\n' && in + 1 < n &&
		    (buf[in+1] == ' ' || buf[in+1] == '\t'))
			continue;
		if (buf[in] && buf[in] != '\r')
			buf[out++] = buf[in];
	}
	buf[out] = 0;
	return out;
}

/* Printable, or what is no ASCII. */
static void
copy(char *to, size_t max, char const *from, size_t n)
{
	size_t i;

	if (n > max - 1)
		n = max - 1;
	for (i = 0; i < n; i++)
		to[i] = (unsigned char)from[i] < ' ' || from[i] == 0x7f ? '?' :
		    from[i];
	to[n] = 0;
}

/* "<...>" alone, without blanks. */
static void
copy_id(char *to, size_t max, char const *s, size_t n)
{
	char const *end;
	size_t i;

	end = n && *s == '<' ? memchr(s, '>', n) : 0;
	if (!end || (size_t)(end - s) + 2 > max)
		return;
	n = end - s + 1;
	for (i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return;
	copy(to, max, s, n);
}

/* Is the address in that list of addresses? */
static int
mentions(char const *s, size_t n, char const *address)
{
	size_t len = strlen(address), i;

	for (i = 0; len && i + len <= n; i++)
		if (!strncasecmp(s + i, address, len) &&
		    (i == 0 || strchr("<, \t:;\"", s[i-1])) &&
		    (i + len == n || strchr(">, \t;\"", s[i+len])))
			return 1;
	return 0;
}

static int
has_word(char const *s, size_t n, char const *word)
{
	return n >= strlen(word) && !strncasecmp(s, word, strlen(word));
}

/* RFC 3834 2., 3.1.7; RFC 2369, 2919; and what others have in its place. */
static char const *
forbids(char const *name, char const *s, size_t n)
{
	if (!strcasecmp(name, "auto-submitted") && !has_word(s, n, "no"))
		return "it was sent by a program";
	if (!strcasecmp(name, "precedence") && (has_word(s, n, "bulk") ||
	    has_word(s, n, "list") || has_word(s, n, "junk") ||
	    has_word(s, n, "auto_reply")))
		return "it was sent in bulk";
	if (begins(name, "list-") || !strcasecmp(name, "mailing-list") ||
	    !strcasecmp(name, "feedback-id"))
		return "it came by a list";
	if (!strcasecmp(name, "x-auto-response-suppress") &&
	    !has_word(s, n, "none"))
		return "it asks for no answer";
	if ((!strcasecmp(name, "x-spam-flag") && has_word(s, n, "yes")) ||
	    (!strcasecmp(name, "x-spam-status") && has_word(s, n, "yes")))
		return "it is spam";
	if (!strcasecmp(name, "content-type") &&
	    has_word(s, n, "multipart/report"))
		return "it is a report";
	return 0;
}

static void
note(struct autoheader *h, char const *name, char const *s, size_t n,
    char const *const *own, size_t owns)
{
	static char const *const lists[] = { "to", "cc", "bcc", "resent-to",
		"resent-cc", "resent-bcc", "apparently-to" };
	size_t i, k;

	if (!strcasecmp(name, "subject"))
		copy(h->subject, sizeof h->subject, s, n);
	if (!strcasecmp(name, "message-id"))
		copy_id(h->message_id, sizeof h->message_id, s, n);
	for (i = 0; i < sizeof lists / sizeof *lists; i++)
		if (!strcasecmp(name, lists[i]))
			for (k = 0; k < owns; k++)
				h->to_me |= mentions(s, n, own[k]);
}

char const *
autoheader_read(struct autoheader *h, int fd, char const *const *own,
    size_t n)
{
	static char buf[HEADER];
	char const *line = buf, *end, *colon, *value, *why;
	char name[NAME];

	memset(h, 0, sizeof *h);
	slurp_header(fd, buf);
	for (; *line; line = *end ? end + 1 : end) {
		end = line + strcspn(line, "\n");
		colon = memchr(line, ':', end - line);
		if (!colon || colon - line >= NAME)
			continue;
		copy(name, sizeof name, line, colon - line);
		name[strcspn(name, " \t")] = 0;
		value = colon + 1;
		value += strspn(value, " \t");
		if (value > end)
			value = end;
		why = forbids(name, value, end - value);
		if (why)
			return why;
		note(h, name, value, end - value, own, n);
	}
	return h->to_me ? 0 : "it does not name the recipient";
}
