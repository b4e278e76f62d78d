#include "scanq/ownmail.h"

#include <string.h>
#include <unistd.h>

#include "lib/control.h"
#include "lib/enqueue.h"
#include "lib/spool.h"
#include "scanq/handover.h"

int
ownmail_address(stralloc *out, char const *file, char const *user)
{
	stralloc me = STRALLOC_ZERO;
	int r = control_line(file, out);

	if (r == 0 && (control_line_or_me("control/me", &me) == -1 ||
	    !stralloc_copys(out, user) || !stralloc_append(out, '@') ||
	    !stralloc_catb(out, me.s, me.len)))
		r = -1;
	stralloc_free(&me);
	if (r != -1 && memchr(out->s, '\n', out->len))
		r = -1;
	return r == -1 || !stralloc_0(out) ? -1 : 1;
}

int
ownmail_envelope(stralloc *env, stralloc const *to)
{
	return stralloc_copyb(env, "F\0T", 3) &&
	    stralloc_catb(env, to->s, to->len) ? 1 : -1;
}

int
ownmail_send(stralloc const *text, stralloc const *env)
{
	stralloc program = STRALLOC_ZERO;
	int code = handover_next(&program), fd;

	if (!code) {
		fd = spool_bytes(text->s, text->len, "", 0);
		code = fd == -1 ? QUEUE_MEMORY :
		    handover_run(program.s, fd, env, 1);
		if (fd != -1)
			close(fd);
	}
	stralloc_free(&program);
	return code;
}
