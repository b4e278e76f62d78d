"""Programs made wrong on purpose, in a copy of the tree: a gate that such a
program passes is no gate."""
import pathlib
import shutil
import subprocess

import postern

# name: (programs, [(file, what stands there, what shall)])
MUTANTS = {
    "the sync of a queued message comes before its rename": (["queue/queued"], [(
        "queue/incoming.c",
        "\tif (place(st, in) == -1)\n\t\treturn -1;\n\tif (fsync(in->fd) == 0 &&",
        "\tif (fsync(in->fd) == -1)\n\t\treturn -1;\n\tif (place(st, in) == 1 &&")]),
    "a message in a Maildir is not synced": (["local/local"], [(
        "lib/maildir.c",
        "fsync(m->fd) == -1 || publish(m) == -1",
        "publish(m) == -1")]),
    "the directory of a Maildir is not synced": (["local/local"], [(
        "lib/maildir.c",
        "if (fsync(m->newdir) == -1)",
        "if (0)")]),
    "the name of a message in a Maildir comes before its sync": (["local/local"], [(
        "lib/maildir.c",
        "fsync(m->fd) == -1 || publish(m) == -1",
        "publish(m) == -1 || fsync(m->fd) == -1")]),
    "the end record is not checked": (["send/send", "local/local"], [(
        "lib/msgfile.c",
        "int\nmsgfile_read(",
        "static int\nguess(struct msgfile *m, stralloc *env, uint64_t size)\n{\n"
        "\tstatic char const e[] = \"u0\\0p0\\0s-\\0h-\\0F\\0Tjoe@test.example\";\n"
        "\tm->body = size;\n\tm->envelope = 0;\n\tm->birth = 1u << 31;\n"
        "\treturn stralloc_copyb(env, e, sizeof e) ? 1 : -1;\n}\n\nint\nmsgfile_read("), (
        "lib/msgfile.c",
        "return damaged(why, \"no end record\");",
        "return guess(m, env, size);"), (
        "local/local.c",
        "crc == expected",
        "(crc == expected) | 1")]),
    "the checksum of the end record is not checked": (["send/send", "local/local"], [(
        "lib/msgfile.c",
        "return memcmp(again, s, MSGFILE_END) == 0;",
        "return memcmp(again, s, 5) == 0;")]),
    "the checksum of the envelope is not checked": (["send/send", "local/local"], [(
        "lib/msgfile.c",
        "if (msgfile_envelope_crc(env->s, env->len) != got.envelope_crc)",
        "if (0)")]),
    "the checksum of the body is not checked": (["local/local"], [(
        "local/local.c",
        "crc == expected",
        "(crc == expected) | 1")]),
    "a bounce is reported before it is on disk": (["send/bounce"], [(
        "send/bounce.c",
        "\t\tif (enqueue_close(&q, &b->envelope) == QUEUE_OK) {",
        "\t\tanswer('K', \"1\");\n\t\tusleep(500000);\n"
        "\t\tif (enqueue_close(&q, &b->envelope) == QUEUE_OK) {")]),
}


def make(name, scratch):
    """Builds a mutant; a function that puts it in the place of a suite's."""
    programs, changes = MUTANTS[name]
    tree = pathlib.Path(scratch) / "mutant"
    shutil.copytree(postern.TREE, tree, symlinks=True, ignore=lambda d, names: {
        n for n in names if n in (".git", "__pycache__", "run")
        or d == str(postern.TREE) and n in ("deps", "tests")})
    (tree / "deps").symlink_to(postern.TREE / "deps")
    for file, old, new in changes:
        text = (tree / file).read_text()
        if old not in text:
            raise LookupError(f"{file} has changed: {old!r} is not there; "
                              "the mutant must be made anew")
        (tree / file).write_text(text.replace(old, new))
    r = subprocess.run(["make", "-s", *programs], cwd=tree, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=300)
    if r.returncode:
        raise RuntimeError(f"mutant does not build: {r.stdout}")

    def change(suite):
        for p in programs:
            suite.replace(pathlib.Path(p).name, tree / p)
    return change
