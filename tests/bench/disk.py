"""A file system of its own for a measurement."""
import contextlib
import pathlib
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def unmount(place):
    for _ in range(50):
        if subprocess.run(["umount", place], stderr=subprocess.DEVNULL).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", place], check=True)


@contextlib.contextmanager
def slow(image, place, flush):
    """The image, and each flush of it takes so many milliseconds."""
    if not flush:
        yield image
        return
    place.mkdir()
    subprocess.run([HERE / "slowdisk", image, str(flush), place], check=True)
    try:
        yield place / "disk"
    finally:
        unmount(place)
        place.rmdir()


@contextlib.contextmanager
def scratch(flush=0):
    """A directory on a new ext4 as mkfs makes it, in a sparse file in /var/tmp:
    with a journal, and without the files that others delete.  The file system
    of the machine itself may have none: ext4 then does not take the inode of a
    deleted file again for minutes, and steps over all of them each time that
    it makes a file."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="postern-bench.", dir="/var/tmp"))
    place, image = base / "disk", base / "image"
    place.mkdir()
    try:
        with open(image, "wb") as f:
            f.truncate(16 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-N", "3000000", image], check=True)
        with slow(image, base / "slow", flush) as disk:
            yield from mounted(disk, base, place)
    finally:
        image.unlink(missing_ok=True)
        place.rmdir()
        base.rmdir()


def mounted(image, base, place):
    subprocess.run(["mount", "-o", "loop,noinit_itable", image, place], check=True)
    try:
        for d in base, place:
            d.chmod(0o755)
        yield place
    finally:
        unmount(place)
