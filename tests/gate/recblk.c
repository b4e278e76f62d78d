/* recblk: a disk that remembers in which order it was written.
 *
 *	recblk IMAGE LOG MOUNTPOINT [FUSE option ...]
 *
 * A FUSE file system of three files.  A loop device on "disk" holds a real
 * file system; each of its writes and flushes goes to LOG in order, together
 * with what is written to "mark", a test's own notes.  So the log says what a
 * disk may hold after a power cut at any moment, and what had been promised by
 * then.  IMAGE itself is not changed.
 *
 * A number written to "fault" makes the disk fail: so many writes, with EIO
 * (-1: all writes and flushes, until 0 heals it).
 *
 * A record of LOG is a struct record and its data.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE = 1, FLUSH = 2, MARK = 3 };
enum { DISK, MARKS, FAULT, FILES };

struct record {
	uint32_t type, length;
	uint64_t offset;
};

static char const *const names[FILES] = { "/disk", "/mark", "/fault" };
static char *image;
static size_t size;
static int log_fd;
static long fault;

static void
fatal(char const *text)
{
	fprintf(stderr, "recblk: fatal: unable to %s: %s\n", text,
	    strerror(errno));
	exit(111);
}

/* One thread (option -s): the log's order is the disk's. */
static void
note(uint32_t type, uint64_t offset, char const *s, size_t n)
{
	struct record r = { type, (uint32_t)n, offset };

	if (write(log_fd, &r, sizeof r) != sizeof r ||
	    (n && write(log_fd, s, n) != (ssize_t)n))
		fatal("write the log");
}

static int
which(char const *path)
{
	int i;

	for (i = 0; i < FILES; i++)
		if (!strcmp(path, names[i]))
			return i;
	return -1;
}

static int
attributes(char const *path, struct stat *st, struct fuse_file_info *fi)
{
	int i = which(path);

	(void)fi;
	memset(st, 0, sizeof *st);
	st->st_nlink = 1;
	st->st_mode = S_IFREG | 0600;
	if (!strcmp(path, "/")) {
		st->st_nlink = 2;
		st->st_mode = S_IFDIR | 0755;
	} else if (i == DISK) {
		st->st_size = size;
		st->st_blksize = 4096;
	} else if (i == -1)
		return -ENOENT;
	return 0;
}

static int
list(char const *path, void *buf, fuse_fill_dir_t fill, off_t at,
    struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	int i;

	(void)path;
	(void)at;
	(void)fi;
	(void)flags;
	for (i = 0; i < FILES; i++)
		fill(buf, names[i] + 1, 0, 0, 0);
	return 0;
}

static int
open_file(char const *path, struct fuse_file_info *fi)
{
	if (which(path) == -1)
		return -ENOENT;
	fi->direct_io = 1;
	return 0;
}

static int
truncate_file(char const *path, off_t at, struct fuse_file_info *fi)
{
	(void)at;
	(void)fi;
	return which(path) == -1 ? -ENOENT : 0;
}

static int
read_file(char const *path, char *s, size_t n, off_t at,
    struct fuse_file_info *fi)
{
	(void)fi;
	if (which(path) != DISK || (size_t)at >= size)
		return 0;
	if (n > size - at)
		n = size - at;
	memcpy(s, image + at, n);
	return n;
}

static int
write_disk(char const *s, size_t n, off_t at)
{
	if (fault) {
		fault -= fault > 0;
		return -EIO;
	}
	if ((size_t)at > size || n > size - at)
		return -ENOSPC;
	memcpy(image + at, s, n);
	note(WRITE, at, s, n);
	return n;
}

static int
write_file(char const *path, char const *s, size_t n, off_t at,
    struct fuse_file_info *fi)
{
	char number[16];

	(void)fi;
	switch (which(path)) {
	case DISK:
		return write_disk(s, n, at);
	case MARKS:
		note(MARK, 0, s, n);
		return n;
	default:
		if (n >= sizeof number)
			return -EINVAL;
		memcpy(number, s, n);
		number[n] = 0;
		fault = strtol(number, 0, 10);
		return n;
	}
}

static int
sync_file(char const *path, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	if (which(path) != DISK)
		return 0;
	if (fault < 0)
		return -EIO;
	note(FLUSH, 0, 0, 0);
	return 0;
}

static const struct fuse_operations operations = {
	.getattr = attributes,
	.readdir = list,
	.open = open_file,
	.truncate = truncate_file,
	.read = read_file,
	.write = write_file,
	.fsync = sync_file
};

int
main(int argc, char **argv)
{
	struct stat st;
	int fd;

	if (argc < 4) {
		fprintf(stderr, "recblk: usage: recblk image log mountpoint "
		    "[ option ... ]\n");
		return 100;
	}
	fd = open(argv[1], O_RDONLY);
	if (fd == -1 || fstat(fd, &st) == -1)
		fatal("open the image");
	size = st.st_size;
	image = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (image == MAP_FAILED)
		fatal("map the image");
	log_fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	if (log_fd == -1)
		fatal("open the log");
	argv[2] = argv[0];
	return fuse_main(argc - 2, argv + 2, &operations, 0);
}
