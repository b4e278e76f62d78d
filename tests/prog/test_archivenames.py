"""archivenames by itself, and scanq with it: names in archives that the walker
does not read."""
import gzip
import io
import os
import random
import shutil
import struct
import subprocess
import tarfile
import time
import zipfile
import zlib

import pytest

import postern
from scanqlib import Scanq, mail

PROGRAM = postern.TREE / "scanq/archivenames"
FILE, ANOMALY, DONE = 3, 7, 8
ARCHIVE, BAD, LIMIT, ENCRYPTED = 12, 72, 73, 60
pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="built without libarchive")


def names(data, scratch):
    (scratch / "a").write_bytes(data)
    with open(scratch / "a", "rb") as f:
        out = subprocess.run([PROGRAM, "7"], stdin=f, capture_output=True, timeout=20)
    found, at, done = [], 0, False
    while at < len(out.stdout):
        kind, code, _, _, part, _, n, tn, size = struct.unpack_from("<BBHIIIIIQ", out.stdout, at)
        s = out.stdout[at + 32:at + 32 + n]
        at += 32 + n + tn
        assert not done
        done = kind == DONE
        if kind == FILE:
            assert part == 7
            found.append((s, size))
        elif kind == ANOMALY:
            found.append(code)
    return out.returncode, done, found


def pack(scratch, form, *more, files=("evil.exe", "b.txt")):
    d = scratch / "files"
    d.mkdir(exist_ok=True)
    for f in files:
        (d / f).parent.mkdir(exist_ok=True)
        (d / f).write_bytes(b"MZ" + bytes(700))
    # not into a pipe, where it adds zeros
    subprocess.run(["bsdtar", "-cf", scratch / "packed", "--format", form, *more, "-C", d, *files], check=True,
                   env={**os.environ, "LC_ALL": "C.UTF-8"})
    return (scratch / "packed").read_bytes()


@pytest.mark.parametrize("form,more", [
    ("7zip", []), ("7zip", ["--options", "compression=lzma2"]), ("iso9660", []), ("ustar", ["-z"]),
    ("ustar", ["-j"]), ("pax", ["-J"]), ("pax", ["--zstd"]), ("gnutar", ["--lzma"]), ("newc", ["-z"])])
def test_names_and_sizes(scratch, form, more):
    data = pack(scratch, form, *more)
    code, done, found = names(data, scratch)
    assert (code, done) == (0, True)
    assert (b"evil.exe", 702) in found and (b"b.txt", 702) in found


def test_names_that_are_not_ascii(scratch):
    code, done, found = names(pack(scratch, "7zip", files=("\u00fc\u4e2d.exe",)), scratch)
    assert done and ("\u00fc\u4e2d.exe".encode(), 702) in found


def test_a_compressed_file_is_no_archive(scratch):
    assert names(gzip.compress(b"hello" * 1000), scratch) == (0, True, [])


@pytest.mark.parametrize("cut", [1, 20, 40, 100])
def test_a_damaged_archive_is_told_or_shows_nothing(scratch, cut):
    data = pack(scratch, "7zip")
    code, done, found = names(data[:-cut], scratch)
    assert code == 0 and done
    assert found in ([], [BAD]), found


def test_random_damage_never_breaks_it(scratch):
    r = random.Random(4)
    for form, more in (("7zip", []), ("iso9660", []), ("ustar", ["-J"])):
        data = bytearray(pack(scratch, form, *more))
        for _ in range(20):
            bad = bytearray(data)
            for _ in range(r.randrange(1, 20)):
                bad[r.randrange(len(bad))] = r.randrange(256)
            code, done, _ = names(bytes(bad), scratch)
            assert (code, done) == (0, True) or code in (111, -9, -24), code


def test_a_bomb_ends_in_time(scratch):
    """20 GB of zeros in the first file."""
    zeros = gzip.compress(bytes(10 ** 7), 9)
    header = bytearray(512)
    header[:5] = b"a.bin"
    header[124:136] = b"\x80" + (20 * 10 ** 9).to_bytes(11, "big")
    header[257:265] = b"ustar\x0000"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    code, done, found = names(gzip.compress(bytes(header)) + zeros * 2000, scratch)
    assert code != 0 and not done


# ---- archives inside

def zipped(*files, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in files:
            z.writestr(name, data)
    return out.getvalue()


def tarred(*files, mode="w"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as t:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def nested(data, levels, name="i.zip"):
    for _ in range(levels):
        data = zipped((name, data))
    return data


def rar4(*files, main=0, method=48):
    def block(kind, flags, body, data=b""):
        head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(head) & 0xffff) + head + data
    out = b"Rar!\x1a\7\0" + block(0x73, main, bytes(6))
    for name, data in files:
        name = name.encode()
        out += block(0x74, 0x8000, struct.pack("<IIBIIBBHI", len(data), len(data), 3, zlib.crc32(data), 0, 20, method,
                                               len(name), 0x81a4) + name, data)
    return out + block(0x7b, 0x4000, b"")


def rar5(*files, info=0):
    def vint(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + vint(n >> 7)

    def block(body, data=b""):
        body = vint(len(body)) + body
        return struct.pack("<I", zlib.crc32(body)) + body + data
    out = b"Rar!\x1a\7\1\0" + block(bytes([1, 0, 0]))
    for name, data in files:
        name = name.encode()
        out += block(bytes([2, 2]) + vint(len(data)) + bytes([4]) + vint(len(data)) + vint(0x81a4) +
                     struct.pack("<I", zlib.crc32(data)) + vint(info) + bytes([1]) + vint(len(name)) + name, data)
    return out + block(bytes([5, 0, 0]))


def seven(scratch, *files):
    for name, data in files:
        (scratch / name).write_bytes(data)
    subprocess.run(["bsdtar", "-cf", scratch / "packed", "--format", "7zip", "-C", scratch,
                    *[name for name, _ in files]], check=True)
    return (scratch / "packed").read_bytes()


EVIL = ("evil.exe", b"MZ" + bytes(700))
INSIDE = {
    "zip in zip": lambda s: nested(zipped(EVIL), 1),
    "zip in zip in zip in zip": lambda s: nested(zipped(EVIL), 3),
    "zip under another name": lambda s: nested(zipped(EVIL), 1, "a.dat"),
    "zip behind others": lambda s: zipped(*[(f"{i}.txt", b"x" * i) for i in range(300)], ("i.zip", zipped(EVIL))),
    "zip in zip behind a picture": lambda s: b"\xff\xd8\xff\xe0" + bytes(500) + nested(zipped(EVIL), 1),
    "zip in zip without a directory": lambda s: nested(zipped(EVIL), 1)[:-100].replace(b"PK\1\2", b"    "),
    "zip in a stored zip": lambda s: zipped(("i.zip", zipped(("j.zip", zipped(EVIL)))), method=zipfile.ZIP_STORED),
    "tar in zip": lambda s: nested(tarred(EVIL), 1, "i.tar"),
    "tar.gz in zip": lambda s: nested(tarred(EVIL, mode="w:gz"), 1, "i.tgz"),
    "tar.xz in zip": lambda s: nested(tarred(EVIL, mode="w:xz"), 1, "x"),
    "gz of a zip in zip": lambda s: nested(gzip.compress(zipped(EVIL)), 1, "i.gz"),
    "7z in zip": lambda s: nested(pack(s, "7zip"), 1, "i.7z"),
    "iso in zip": lambda s: nested(pack(s, "iso9660"), 1, "i.iso"),
    "zip in tar.gz": lambda s: tarred(("i.zip", zipped(EVIL)), mode="w:gz"),
    "zip in tar": lambda s: tarred(("x", zipped(EVIL))),
    "zip in gz": lambda s: gzip.compress(zipped(EVIL)),
    "rar in zip": lambda s: nested(RAR, 1, "i.rar"),
    # these files are stored: a zip would be seen behind other bytes
    "tar.gz in rar": lambda s: rar4(("a.txt", b"x" * 5000), ("x.dat", tarred(EVIL, mode="w:gz"))),
    "tar.gz in rar 5": lambda s: rar5(("a.txt", b"x" * 5000), ("x.dat", tarred(EVIL, mode="w:gz"))),
    "tar.gz in rar in rar 5": lambda s: rar5(("x.dat", rar4(("y.dat", tarred(EVIL, mode="w:gz"))))),
    "rar in rar": lambda s: rar4(("i.rar", rar4(EVIL))),
    "rar 5 in 7z": lambda s: seven(s, ("y.dat", rar5(EVIL))),
    "7z in rar": lambda s: rar4(("y.dat", pack(s, "7zip"))),
    "gz of a zip in rar in zip": lambda s: nested(rar4(("i.gz", gzip.compress(zipped(EVIL)))), 1, "i.rar"),
    "zip in 7z under another name": lambda s: seven(s, ("a.txt", bytes(5000)), ("x.dat", zipped(EVIL))),
}
RAR = (b"Rar!\x1a\7\0" + struct.pack("<HBHH", 0, 0x73, 0, 13) + bytes(6) +
       struct.pack("<HBHHIIBIIBBHI", 0, 0x74, 0x8000, 40, 5, 9, 0, 0, 0, 20, 48, 8, 0) + b"evil.exe12345")


@pytest.mark.parametrize("what", sorted(INSIDE))
def test_names_in_archives_inside(scratch, what):
    code, done, found = names(INSIDE[what](scratch), scratch)
    assert (code, done) == (0, True)
    assert "evil.exe" in {f[0].decode() for f in found if isinstance(f, tuple)}, found
    assert LIMIT not in found


def test_far_behind_in_a_7z_an_archive_is_found_by_its_name_alone(scratch):
    zeros = ("a.bin", bytes(17 << 20))
    for name, seen in ("i.zip", True), ("x.dat", False):
        found = names(seven(scratch, zeros, (name, zipped(EVIL))), scratch)[2]
        assert ((b"evil.exe", 702) in found) == seen and LIMIT not in found


def test_names_of_a_rar_itself_are_not_told_again(scratch):
    for data in rar4(EVIL), rar5(EVIL):
        assert names(data, scratch) == (0, True, [])


def test_a_rar_that_libarchive_cannot_read_is_told_if_that_hides_an_archive(scratch):
    for data in rar4(("i.zip", zipped(EVIL)), method=0x35), rar5(("i.zip", zipped(EVIL)), info=5 << 7):
        assert names(data, scratch)[2] == [LIMIT]
    for data in (rar4(("a.txt", b"x" * 500), method=0x35), rar4(("i.zip", zipped(EVIL)), main=8),
                 rar4(("i.zip", zipped(EVIL)), main=0x80), rar4(("i.zip", zipped(EVIL)))[:-100]):
        code, done, found = names(data, scratch)
        assert (code, done) == (0, True) and not {BAD, ENCRYPTED} & {f for f in found if isinstance(f, int)}


def test_office_documents_and_ordinary_archives_have_no_limit(scratch):
    sheet = zipped(("xl/workbook.xml", b"<x/>" * 1000), ("docProps/app.xml", b"<a/>"))
    doc = zipped(("word/document.xml", b"<w/>" * 9000), ("word/embeddings/Sheet1.xlsx", sheet))
    for data in (doc, nested(doc, 2), zipped(*[(f"{i}.docx", doc) for i in range(200)])):
        code, done, found = names(data, scratch)
        assert (code, done) == (0, True) and not {LIMIT, BAD} & {f for f in found if isinstance(f, int)}


@pytest.mark.parametrize("data", [
    nested(zipped(EVIL), 8), nested(zipped(EVIL), 50),
    zipped(("i.zip", zipped(("zeros", bytes(70000000)), method=zipfile.ZIP_STORED))),
    zipped(*[(f"{i}.zip", zipped(("zeros", bytes(3000000)), method=zipfile.ZIP_STORED)) for i in range(30)]),
    nested(zipped(*[(f"{i}", b"") for i in range(20001)]), 1)],
    ids=["8 levels", "50 levels", "large", "many large", "many entries"])
def test_what_is_not_looked_at_to_its_end_is_told(scratch, data):
    start = time.monotonic()
    code, done, found = names(data, scratch)
    assert (code, done) == (0, True) and LIMIT in found and time.monotonic() - start < 20


def test_a_zip_of_a_kind_that_is_not_read_is_told(scratch):
    data = zipped(("i.zip", zipped(EVIL)), method=zipfile.ZIP_LZMA)
    assert LIMIT in names(data, scratch)[2]
    assert names(zipped(("a.txt", b"x" * 1000), method=zipfile.ZIP_LZMA), scratch)[2] == []


def test_an_encrypted_archive_inside_is_told(scratch):
    z = bytearray(zipped(EVIL))
    z[6] |= 1
    assert ENCRYPTED in names(nested(bytes(z), 1), scratch)[2]


def test_many_headers_that_share_one_bomb_end_in_time(scratch):
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = bomb.compress(b"PK\3\4" + bytes(50000000)) + bomb.flush()
    heads = b"".join(struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(data), 0, 1, 31 * (1999 - i)) + b"a"
                     for i in range(2000))
    start = time.monotonic()
    code, done, found = names(heads + data, scratch)
    assert time.monotonic() - start < 20 and (LIMIT in found or code != 0)


def test_random_damage_of_archives_inside_never_breaks_it(scratch):
    r = random.Random(5)
    data = zipped(("i.zip", zipped(EVIL, ("j.tgz", tarred(EVIL, mode="w:gz")))), ("k.7z", pack(scratch, "7zip")),
                  ("l.rar", rar4(EVIL)), ("m.rar", rar5(EVIL)), method=zipfile.ZIP_STORED)
    for _ in range(90):
        bad = bytearray(data)
        for _ in range(r.randrange(1, 20)):
            bad[r.randrange(len(bad))] = r.randrange(256)
        code, done, _ = names(bytes(bad), scratch)
        assert (code, done) == (0, True) or code in (111, -24), code


# ---- scanq with it

@pytest.fixture
def scanq(scratch):
    s = Scanq(scratch)
    shutil.copy(PROGRAM, s.home / "bin")
    s.rules(".exe\t0 in=archive action=refuse\tprograms in archives\nbig.dat\tSIZE=>500\tbig\n")
    yield s
    s.close()


@pytest.mark.parametrize("form,more,name", [
    ("7zip", [], "a.7z"), ("iso9660", [], "a.iso"), ("ustar", ["-z"], "a.tar.gz"), ("pax", ["-J"], "a.txt")])
def test_a_rule_sees_names_in_archives(scanq, scratch, form, more, name):
    bad, good = pack(scratch, form, *more), pack(scratch, form, *more, files=("b.txt",))
    r = scanq.run(mail(parts=[(name, "application/octet-stream", bad)]))
    assert r.code == 82 and "programs in archives: evil.exe" in r.text, r.log
    assert scanq.run(mail(parts=[(name, "application/octet-stream", good)])).code == 0


@pytest.mark.parametrize("what", ["zip in zip", "zip in zip behind a picture", "tar.gz in zip", "zip in tar",
                                  "tar.gz in rar", "tar.gz in rar 5", "zip in 7z under another name"])
def test_a_rule_sees_names_in_archives_inside(scanq, scratch, what):
    r = scanq.run(mail(parts=[("a.zip", "application/zip", INSIDE[what](scratch))]))
    assert r.code == 82 and "programs in archives: evil.exe" in r.text, r.log


def test_what_is_not_looked_at_to_its_end_is_kept(scanq, scratch):
    r = scanq.run(mail(parts=[("a.zip", "application/zip", nested(zipped(("a.txt", b"x")), 50))]))
    assert r.code == 0 and "quarantine=archive-limit" in r.log
    r = scanq.run(mail(parts=[("a.zip", "application/zip", nested(zipped(("a.txt", b"x")), 3))]))
    assert r.code == 0 and "archive-limit" not in r.log
    r = scanq.run(mail(parts=[(f"{i}.zip", "application/zip", zipped(("a.txt", b"x"))) for i in range(210)]))
    assert r.code == 0 and "quarantine=archive-limit" in r.log


def test_a_large_archive_is_read_from_its_file(scanq, scratch):
    (scratch / "files").mkdir()
    (scratch / "files/noise.bin").write_bytes(os.urandom(300000))
    data = subprocess.run(["bsdtar", "-cf", "-", "--format", "7zip", "-C", scratch / "files", "noise.bin"],
                          capture_output=True, check=True).stdout
    data2 = pack(scratch, "7zip", files=("noise2.bin", "evil.exe"))
    r = scanq.run(mail(parts=[("a.7z", "x/y", data), ("b.7z", "x/y", data2)]))
    assert r.code == 82 and "evil.exe" in r.text, r.log


def test_sizes_in_archives_count(scanq, scratch):
    r = scanq.run(mail(parts=[("a.7z", "x/y", pack(scratch, "7zip", files=("big.dat",)))]))
    assert b"X-Postern-Quarantine-Reason: big" in (r.queued[0] / "message").read_bytes()


def test_a_program_that_dies_is_an_anomaly_and_no_verdict_is_lost(scanq, scratch):
    (scanq.home / "bin/archivenames").write_text("#!/bin/sh\nkill -9 $$\n")
    m = mail(parts=[("a.7z", "x/y", pack(scratch, "7zip"))])
    r = scanq.run(m)
    assert r.code == 0 and "quarantine=archive-limit" in r.log
    (scanq.home / "bin/archivenames").write_text("#!/bin/sh\nhead -c 100000 /dev/zero\n")
    r = scanq.run(m)
    assert r.code == 0 and "quarantine=archive-limit" in r.log


def test_a_program_that_stays_is_not_waited_for(scanq, scratch):
    (scanq.home / "bin/archivenames").write_text(
        "#!/bin/sh\nprintf '\\010'; head -c 31 /dev/zero\nexec >&-\nexec sleep 100\n")
    start = time.monotonic()
    r = scanq.run(mail(parts=[("a.7z", "x/y", pack(scratch, "7zip"))]))
    assert r.code == 0 and "archive-limit" not in r.log and time.monotonic() - start < 50


def test_without_it_names_in_archives_stay_unseen(scanq, scratch):
    (scanq.home / "bin/archivenames").unlink()
    r = scanq.run(mail(parts=[("a.7z", "x/y", pack(scratch, "7zip"))]))
    assert r.code == 0 and "archive" not in r.log


def test_default_rules_let_source_archives_pass_and_programs_not(scanq, scratch):
    rules = (postern.TREE / "scanq/quarantine-attachments.txt").read_text()
    assert scanq.rules(rules).returncode == 0
    source = pack(scratch, "ustar", "-z", files=("src/a.py", "src/configure.sh", "src/x.css"))
    r = scanq.run(mail(parts=[("source.tar.gz", "application/gzip", source)]))
    assert r.code == 0 and b"X-Postern-Quarantine" not in (r.queued[0] / "message").read_bytes()
    r = scanq.run(mail(parts=[("a.py", "text/plain", b"print()\n")]))
    assert b"X-Postern-Quarantine" in (r.queued[0] / "message").read_bytes()
    r = scanq.run(mail(parts=[("a.tar.gz", "application/gzip", pack(scratch, "ustar", "-z"))]))
    assert b"X-Postern-Quarantine" in (r.queued[0] / "message").read_bytes()
