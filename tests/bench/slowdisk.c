/* slowdisk: a disk that takes its time to flush, as one without a battery does,
 * and most virtual ones.
 *
 *	slowdisk IMAGE MILLISECONDS MOUNTPOINT [FUSE option ...]
 *
 * A FUSE file system of one file, "disk", which is IMAGE, for a loop device.
 * Writes go to the image as they come; each flush waits.
 */
#define FUSE_USE_VERSION 31
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int image;
static struct timespec flush_time;

static int
is_disk(char const *path)
{
	return !strcmp(path, "/disk");
}

static int
attributes(char const *path, struct stat *st, struct fuse_file_info *fi)
{
	(void)fi;
	if (is_disk(path))
		return fstat(image, st) == -1 ? -errno : 0;
	memset(st, 0, sizeof *st);
	st->st_nlink = 2;
	st->st_mode = S_IFDIR | 0755;
	return strcmp(path, "/") ? -ENOENT : 0;
}

static int
list(char const *path, void *buf, fuse_fill_dir_t fill, off_t at,
    struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	(void)path;
	(void)at;
	(void)fi;
	(void)flags;
	fill(buf, "disk", 0, 0, 0);
	return 0;
}

static int
open_file(char const *path, struct fuse_file_info *fi)
{
	(void)fi;
	return is_disk(path) ? 0 : -ENOENT;
}

static int
read_file(char const *path, char *s, size_t n, off_t at,
    struct fuse_file_info *fi)
{
	ssize_t r = pread(image, s, n, at);

	(void)path;
	(void)fi;
	return r == -1 ? -errno : r;
}

static int
write_file(char const *path, char const *s, size_t n, off_t at,
    struct fuse_file_info *fi)
{
	ssize_t r = pwrite(image, s, n, at);

	(void)path;
	(void)fi;
	return r == -1 ? -errno : r;
}

static int
sync_file(char const *path, int datasync, struct fuse_file_info *fi)
{
	(void)path;
	(void)datasync;
	(void)fi;
	nanosleep(&flush_time, 0);
	return 0;
}

static const struct fuse_operations operations = {
	.getattr = attributes,
	.readdir = list,
	.open = open_file,
	.read = read_file,
	.write = write_file,
	.fsync = sync_file
};

int
main(int argc, char **argv)
{
	long ms;

	if (argc < 4) {
		fprintf(stderr, "slowdisk: usage: slowdisk image milliseconds "
		    "mountpoint [ option ... ]\n");
		return 100;
	}
	image = open(argv[1], O_RDWR);
	if (image == -1) {
		perror("slowdisk: fatal: unable to open the image");
		return 111;
	}
	ms = atol(argv[2]);
	flush_time.tv_sec = ms / 1000;
	flush_time.tv_nsec = ms % 1000 * 1000000;
	argv[2] = argv[0];
	return fuse_main(argc - 2, argv + 2, &operations, 0);
}
