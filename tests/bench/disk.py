"""A file system of its own for a measurement."""
import contextlib
import pathlib
import subprocess
import tempfile
import time


def unmount(place):
    for _ in range(50):
        if subprocess.run(["umount", place], stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", place], check=True)


@contextlib.contextmanager
def scratch():
    """A directory on a new ext4 as mkfs makes it, in a sparse file in /var/tmp:
    with a journal, and without the files that others delete.  The file system
    of the machine itself may have none: ext4 then does not take the inode of a
    deleted file again for minutes, and steps over all of them each time that
    it makes a file."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="postern-bench.", dir="/var/tmp"))
    place, image = base / "disk", base / "image"
    place.mkdir()
    mounted = False
    try:
        with open(image, "wb") as f:
            f.truncate(16 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-N", "3000000", image], check=True)
        subprocess.run(["mount", "-o", "loop,noinit_itable", image, place], check=True)
        mounted = True
        for d in base, place:
            d.chmod(0o755)
        yield place
    finally:
        if mounted:
            unmount(place)
        image.unlink(missing_ok=True)
        place.rmdir()
        base.rmdir()
