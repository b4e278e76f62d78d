#include "lib/assign.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <skalibs/types.h>

#include "lib/cdbfile.h"

/* A number field of the record, as a whole. */
static int
number(char const *s, uint32_t *out)
{
	return *s && uint320_scan(s, out);
}

int
assign_record(char const *s, size_t n, char const *rest, size_t restlen,
    struct assign *out)
{
	char const *field[6];
	uint32_t uid, gid;
	size_t i, pos = 0;

	if (!stralloc_copyb(&out->sa, s, n) ||
	    !stralloc_catb(&out->sa, rest, restlen) || !stralloc_0(&out->sa))
		return -1;
	for (i = 0; i < 6; i++) {
		if (pos >= out->sa.len)
			return 0;
		field[i] = out->sa.s + pos;
		pos += strlen(field[i]) + 1;
	}
	/* a record may end in NUL or not; nothing may follow */
	if (pos < out->sa.len - 1 || !number(field[1], &uid) ||
	    !number(field[2], &gid) || !*field[0] || *field[3] != '/')
		return 0;
	out->user = field[0];
	out->uid = uid;
	out->gid = gid;
	out->home = field[3];
	out->dash = field[4];
	out->ext = field[5];
	return 1;
}

/* The exact record, then each wildcard whose last byte the empty record
 * names, from the longest.  key is '!', the local part in lower case, NUL.
 */
static int
lookup(int fd, char const *key, size_t keylen, stralloc *value,
    size_t *matched)
{
	stralloc ends = STRALLOC_ZERO;
	size_t i = keylen;
	int r = cdbfile_read(fd, key, i, value);

	if (r == 0 && cdbfile_read(fd, "", 0, &ends) == -1)
		r = -1;
	while (r == 0 && --i)
		if (i == 1 ||
		    (ends.len && memchr(ends.s, key[i - 1], ends.len)))
			r = cdbfile_read(fd, key, i, value);
	*matched = i;
	stralloc_free(&ends);
	return r;
}

static int
find_in(int fd, char const *local, size_t n, struct assign *out)
{
	stralloc key = STRALLOC_ZERO, value = STRALLOC_ZERO;
	size_t i, matched;
	int r = -1;

	if (stralloc_copyb(&key, "!", 1) && stralloc_catb(&key, local, n) &&
	    stralloc_0(&key)) {
		for (i = 0; i < key.len; i++)
			if (key.s[i] >= 'A' && key.s[i] <= 'Z')
				key.s[i] += 32;
		r = lookup(fd, key.s, key.len, &value, &matched);
	}
	if (r == 1) {
		/* key[0] is '!': what a wildcard left over starts one before */
		size_t used = matched == key.len ? n : matched - 1;

		r = assign_record(value.s, value.len, local + used, n - used,
		    out);
		if (r == 0) {
			errno = EPROTO;
			r = -1;
		}
	}
	stralloc_free(&key);
	stralloc_free(&value);
	return r;
}

int
assign_find(char const *local, size_t n, struct assign *out)
{
	int fd = openat(AT_FDCWD, "users/cdb", O_RDONLY | O_CLOEXEC), r, e;

	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	r = find_in(fd, local, n, out);
	e = errno;
	close(fd);
	errno = e;
	return r;
}

int
assign_domain(char const *domain, size_t n, struct assign *out)
{
	stralloc key = STRALLOC_ZERO;
	int r = -1;

	if (stralloc_copyb(&key, domain, n) && stralloc_append(&key, '-'))
		r = assign_find(key.s, key.len, out);
	stralloc_free(&key);
	/* a wildcard further up ("+" of a catch-all user) is no domain */
	if (r == 1 && (*out->ext || !strchr(out->user, '.')))
		r = 0;
	return r;
}
