"""mimewalk, and with it the walker: hidden contents, corpora, limits."""
import email
import email.policy
import os
import pathlib
import re
import resource
import struct
import subprocess
import sys
import time

import pytest

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TREE / "tests"))
import evasion  # noqa: E402

MIMEWALK = TREE / "scanq/mimewalk"
HEADER, PART, FILE, LEAF, DATA, END, ANOMALY, DONE = range(1, 9)
UNKNOWN = 2 ** 64 - 1


def anomaly_names():
    source = (TREE / "scanq/walk.h").read_text()
    enum = re.search(r"enum walk_anomaly \{(.*?)\};", source, re.S).group(1)
    codes = re.findall(r"\b(WALK_[A-Z0-9_]+)\b,?\s", re.sub(r"/\*.*?\*/", " ", enum, flags=re.S) + " ")
    names = dict(re.findall(r'\[(WALK_\w+)\] = "([^"]+)"', (TREE / "scanq/walkname.c").read_text()))
    return [names[c] for c in codes if c in names]


NAMES = anomaly_names()


class Walk:
    """The events of one message."""

    def __init__(self, message, *under):
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run([*under, MIMEWALK, "-r"], input=message, capture_output=True, timeout=60,
                              check=False)
        # of the processor: it waits for nothing but its input
        self.seconds = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
        assert (done.returncode, done.stderr) == (0, b"")
        self.headers, self.parts, self.files = [], [], []
        self.leaves, self.ends, self.anomalies, self.done = {}, {}, set(), None
        self.read(done.stdout)

    def read(self, data):
        at = 0
        while at < len(data):
            kind, code, alt, depth, part, parent, n, tn, size = struct.unpack_from("<BBHIIIIIQ", data, at)
            s = data[at + 32:at + 32 + n]
            t = data[at + 32 + n:at + 32 + n + tn]
            at += 32 + n + tn
            assert self.done is None
            if kind == HEADER:
                self.headers.append((part, s, t))
            elif kind == PART:
                self.parts.append((part, parent, depth, s, t))
            elif kind == FILE:
                self.files.append((part, code, s, size))
            elif kind == LEAF:
                self.leaves[part, alt] = bytearray()
            elif kind == DATA:
                self.leaves[part, alt] += s
            elif kind == END:
                self.ends[part, alt] = (code, size)
                assert size == len(self.leaves[part, alt])
            elif kind == ANOMALY:
                self.anomalies.add(NAMES[code])
            else:
                self.done = size

    def verdicts(self):
        words = set(self.anomalies) | {"clean"}
        if any(evasion.EICAR in leaf for leaf in self.leaves.values()):
            words.add("virus")
        if any(name.lower().endswith((b".exe", b".com")) for _, _, name, _ in self.files):
            words.add("name")
        return words


@pytest.mark.parametrize("name", sorted(evasion.TECHNIQUES))
def test_hidden_contents_are_found(name):
    make, expected = evasion.TECHNIQUES[name]
    walk = Walk(evasion.raw(make()))
    assert walk.done is not None
    assert walk.verdicts() & expected, (expected, walk.anomalies, walk.files)
    assert walk.ends.keys() == walk.leaves.keys()


@pytest.mark.parametrize("name", sorted(evasion.CLEAN))
def test_ordinary_messages_have_no_anomalies(name):
    walk = Walk(evasion.raw(evasion.CLEAN[name]()))
    assert walk.anomalies == set()
    assert not walk.verdicts() & {"virus", "name"}


def test_a_walk_ends_with_the_number_of_bytes_read():
    message = evasion.mixed(evasion.TEXT)
    assert Walk(message).done == len(message)


def test_sizes_of_attachments_are_exact():
    """A rule may ask for a size to the byte: the last line end is not part of it."""
    message = evasion.mixed("Content-Type: text/plain\n\nabc\n")
    assert bytes(Walk(message).leaves[1, 0]) == b"abc\n"
    assert bytes(Walk(message.replace(b"\n", b"\r\n")).leaves[1, 0]) == b"abc\r\n"


def test_both_readings_of_two_encodings_come_out():
    message = evasion.mixed("Content-Transfer-Encoding: 7bit\n"
                            "Content-Transfer-Encoding: base64\n\nYWJj\n")
    leaves = Walk(message).leaves
    assert {bytes(leaves[1, 0]), bytes(leaves[1, 1])} == {b"abc", b"YWJj\n"}


def test_zip_members_have_their_sizes():
    zipped = evasion.zipped("evil.exe", b"x" * 4096)
    walk = Walk(evasion.mixed(evasion.attached(evasion.wrap(zipped))))
    assert (1, 6, b"evil.exe", 4096) in walk.files
    assert (1, 7, b"evil.exe", 4096) in walk.files


def test_archives_side_by_side_show_the_same_name_each():
    zipped = evasion.attached(evasion.wrap(evasion.zipped("a.txt", b"x")))
    walk = Walk(evasion.mixed(*[zipped] * 50))
    assert len([f for f in walk.files if f[1] == 6]) == len([f for f in walk.files if f[1] == 7]) == 50


@pytest.mark.parametrize("name, anomaly", [
    ("n33-zip-mismatch", "zip-names-differ"), ("n34-zip-nocd", "zip-no-directory"),
    ("n35-zip-concat", "zip-concatenated"), ("n36-zip-prefix", "zip-prefix"),
    ("n41-zip-unicode", "zip-unicode-name"), ("n32-zip-as-jpg", "type-mismatch"),
    ("n03-conflict", "names-differ"), ("n12-dup-disposition", "two-dispositions"),
    ("n16-clsid", "name-clsid"), ("n17-rtlo", "name-bidi"), ("n18-nul", "name-control"), ("n15-double-ext-spaces", "name-double"),
    ("n26-unindented", "unindented-parameter"), ("n28-utf16ish", "name-charset"),
    ("e01-dup-cte", "two-encodings"), ("e03-cte-unknown", "encoding-odd"),
    ("e15-b64-url-alphabet", "base64-url"), ("e21-uu-in-text", "uuencode-in-text"),
    ("e23-uu-no-end", "uuencode-no-end"), ("s02-dup-ct-first-wins", "two-types"),
    ("s05-two-boundary-params", "boundary-ambiguous"), ("s14-rfc2231-boundary", "boundary-ambiguous"),
    ("s09-comment-in-header-name", "header-comment"), ("s10-space-before-colon", "header-space"),
    ("s26-boundary-missing", "boundary-missing"), ("s28-boundary-line-trailing-junk", "delimiter-junk"),
    ("s30-same-boundary-nested", "boundary-repeated"), ("s31-no-final-delimiter", "close-missing"),
    ("s32-part-after-close", "part-after-close"), ("s33-part-in-preamble", "part-in-preamble"),
    ("s34-no-blank-before-delim", "header-no-end"), ("s35-ws-only-line-in-header", "header-blank-line"),
    ("s36-garbage-line-in-header", "header-garbage"), ("s37-leading-blank-line", "header-first-line"),
    ("s43-crcrlf", "cr-cr-lf"), ("s44-nul-in-header-name", "header-nul"),
    ("s50-rfc822-base64", "encoded-composite"), ("s64-13-junk-delimiters", "too-many-readings"),
])
def test_the_difference_is_named(name, anomaly):
    assert anomaly in Walk(evasion.raw(evasion.TECHNIQUES[name][0]())).anomalies


def test_a_tar_archive_shows_its_long_names():
    import io
    import tarfile
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        out = io.BytesIO()
        long = "d" * 90 + "/" + "e" * 90 + ".exe"
        with tarfile.open(fileobj=out, mode="w", format=form) as tar:
            for name in ("short.com", long):
                info = tarfile.TarInfo(name)
                info.size = 700
                tar.addfile(info, io.BytesIO(b"x" * 700))
        walk = Walk(evasion.mixed(evasion.attached(evasion.wrap(out.getvalue()))))
        names = {name for _, code, name, _ in walk.files if code == 9}
        assert {b"short.com", long.encode()} <= names
        assert walk.anomalies == set()


def test_a_gzip_file_shows_its_name():
    import gzip
    import io
    out = io.BytesIO()
    with gzip.GzipFile("evil.exe", "wb", fileobj=out) as g:
        g.write(b"x")
    walk = Walk(evasion.mixed(evasion.attached(evasion.wrap(out.getvalue()))))
    assert (1, 10, b"evil.exe", UNKNOWN) in walk.files


def rar4(name, flags=0x8000, main=0):
    head = struct.pack("<HBHH", 0, 0x73, main, 13) + bytes(6)
    file = struct.pack("<HBHHIIBIIBBHI", 0, 0x74, flags, 32 + len(name), 5, 9, 0, 0, 0, 20, 48,
                       len(name), 0) + name + b"12345"
    return b"Rar!\x1a\7\0" + head + file


def rar5(name, crypt=False):
    def block(body):
        return bytes(4) + bytes([len(body)]) + body
    file = bytes([2, 2, 5]) + bytes([0, 9, 0, 0, 0, len(name)]) + name
    return (b"Rar!\x1a\7\1\0" + block(bytes([1, 0, 0]) if not crypt else bytes([4, 0, 0, 0, 15]) + bytes(16)) +
            block(file) + b"12345" + block(bytes([2, 2, 5, 0, 9, 0, 0, 0, 5]) + b"b.com") + b"12345")


@pytest.mark.parametrize("data, name, anomaly", [
    (rar4(b"evil.exe"), b"evil.exe", None), (rar4(b"evil.exe", 0x8004), b"evil.exe", "encrypted"),
    (rar4(b"evil.exe", main=0x80), None, "encrypted-names"),
    (rar5(b"evil.exe"), b"evil.exe", None), (rar5(b"evil.exe"), b"b.com", None),
    (rar5(b"evil.exe", True), None, "encrypted-names")])
def test_rar_archives_show_names_or_that_they_are_encrypted(data, name, anomaly):
    walk = Walk(evasion.mixed(evasion.attached(evasion.wrap(data))))
    assert walk.anomalies == ({anomaly} if anomaly else set())
    names = [n for _, code, n, _ in walk.files if code == 11]
    assert name in names if name else not names


def text_of(*arguments, message):
    return subprocess.run([MIMEWALK, *arguments], input=message, capture_output=True,
                          timeout=20, check=True).stdout


def test_hostile_bytes_are_escaped_in_lines():
    out = text_of("-h", message=b"Subject: \x1b]0;x\x07\xff \"\n\n")
    assert out.splitlines()[0] == b'header 0 "Subject" "\\x1b]0;x\\x07\\xff\\x20\\x22"'
    assert all(32 <= c < 127 or c == 10 for c in out)


def test_a_header_is_shown_only_when_asked_for():
    assert b"header" not in text_of(message=b"Subject: x\n\n")


def test_an_unknown_option_is_a_usage_error():
    done = subprocess.run([MIMEWALK, "-x"], input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stderr[:17]) == (100, b"mimewalk: usage: ")


LIMIT = 4 * 1024 * 1024


def private_memory(message):
    """Of mimewalk without records, after the whole message: in bytes."""
    process = subprocess.Popen([MIMEWALK], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        process.stdin.write(message)
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:      # until it waits for more
            state = pathlib.Path(f"/proc/{process.pid}/wchan").read_text()
            if "pipe" in state:
                break
            time.sleep(0.01)
        maps = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        return 1024 * sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+)", maps, re.M))
    finally:
        process.stdin.close()
        process.wait(20)


def many_readings():
    """As many decoders, archives and layers as there can be."""
    part = evasion.attached(evasion.wrap(evasion.mixed(evasion.TEXT)), ctype="message/rfc822")
    for _ in range(6):
        part = evasion.attached(evasion.wrap(part), ctype="message/rfc822", cte=(
            "Content-Transfer-Encoding: base64\nContent-Transfer-Encoding: quoted-printable\n"))
    return evasion.raw(evasion.TOP) + part


@pytest.mark.parametrize("make", [
    lambda: evasion.mixed(*[b"\nx\n"] * 100000), lambda: evasion.deep(10000),
    lambda: evasion.raw(evasion.TOP + "Content-Type: a/b" + ";name=x" * 500000 + "\n\n"),
    lambda: evasion.raw(evasion.TOP + "Content-Type: a/b; name=\"" + "=?a?Q?" * 10000 + "\"\n\n"),
    lambda: evasion.raw(evasion.TOP + "Content-Type: a/b; name=" + "(" * 60000 + "\n\n"),
    lambda: evasion.raw(evasion.TOP + "Content-Type: a/b;" + "a(" * 30000 + "\n\n"),
    lambda: evasion.raw(evasion.TOP + "Content-Type: a/b;" + "name=\"\\" * 9000 + "\n\n"),
    lambda: evasion.raw(evasion.TOP + "".join(f"Content-Disposition: x; filename*{i}=a\n" for i in range(100000))),
    lambda: evasion.raw(evasion.TOP + "Content-Disposition: x" + "".join(
        f"; filename*{i}=a" for i in range(100000)) + "\n\n"),
    lambda: evasion.mixed(*[b"--" * 20 + b"\n"] * 50000),
    lambda: evasion.deep(60, b"\n" + b"--d\n" * 1000000),
    lambda: evasion.mixed(evasion.attached(evasion.wrap(b"PK\1\2" * 500000))),
    lambda: evasion.mixed(evasion.attached(evasion.wrap(
        (b"PK\3\4" + bytes(22) + b"\xff\xff\0\0") * 60000))),
    lambda: evasion.mixed(evasion.attached(evasion.wrap(b"P" * 3000000))),
    many_readings,
    lambda: evasion.raw("Content-Type: multipart/x; boundary=b\n\n") + b"--b\n\n" * 2000000,
    lambda: evasion.raw("Content-Type: multipart/x; boundary=b\n\n") + b"--bx\n\ny\n" * 1000000,
    lambda: b"\n" + b"begin 644 a\n#0V%T\n`\nend\n" * 500000,
], ids=range(18))
def test_nothing_takes_more_than_a_second_or_four_megabytes(make):
    message = make()
    start = time.monotonic()
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    assert private_memory(message) <= LIMIT
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
    assert used < 4 and time.monotonic() - start < 20


CORPORA = pathlib.Path(os.environ.get("POSTERN_CORPORA", TREE.parent / "shared/corpora"))


@pytest.fixture(scope="module")
def corpus():
    """Each file of the corpora, and its walk."""
    files = [p for p in sorted(CORPORA.glob("*/**/*")) if p.is_file() and p.name != "SOURCES.md"]
    if not files:
        pytest.skip(f"no messages in {CORPORA}: see POSTERN_CORPORA")
    return [(p, p.read_bytes(), Walk(p.read_bytes(), "prlimit", f"--as={2 * LIMIT}")) for p in files]


def names_of(message):
    """What Python's parser finds, as a list with one entry a part; None: it complains."""
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    names = []
    for part in parsed.walk():
        name = part.get_filename()
        fields = [part.get("Content-Type"), part.get("Content-Disposition")]
        if part.defects or any(f is not None and f.defects for f in fields):
            return None
        if name:
            names.append(name)
    return names


def test_corpora_pass_in_time(corpus):
    assert not [(str(path), walk.seconds) for path, _, walk in corpus if walk.seconds > 1]
    assert all(walk.done == len(message) for _, message, walk in corpus)


def test_names_of_well_formed_messages_are_those_of_pythons_parser(corpus):
    """Not compared: what Python complains about or fails at, unprintable names."""
    compared, wrong = 0, []
    for path, message, walk in corpus:
        try:
            names = names_of(message)
        except Exception:       # Python's parser has faults of its own
            continue
        if names is None or not all(n.isprintable() for n in names):
            continue
        ours = [(part, name.decode()) for part, code, name, _ in walk.files if code < 2]
        compared += bool(names)
        if set(names) - {name for _, name in ours} or len(names) != len({p for p, _ in ours}):
            wrong.append((path.name, names, ours))
    assert compared > 100
    assert not wrong, "\n".join(map(str, wrong))
