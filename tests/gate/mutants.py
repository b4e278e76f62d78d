"""Programs made wrong on purpose, in a copy of the tree: a gate that such a
program passes is no gate."""
import pathlib
import shutil
import subprocess

import postern

LATE = ("lib/maildir.c", "\tif (fsync(ordered ? m->fd : m->newdir) == 0)",
        "\tusleep(30000);\n\tif (fsync(ordered ? m->fd : m->newdir) == 0)")

# name: (programs, [(file, what stands there, what shall)])
MUTANTS = {
    "the sync of a queued message comes before its rename": (["queue/queued"], [(
        "queue/incoming.c",
        "\tif (place(st, in) == -1)\n\t\treturn -1;\n\tif (fsync(in->fd) == 0 &&",
        "\tif (fsync(in->fd) == -1)\n\t\treturn -1;\n\tif (place(st, in) == 1 &&")]),
    # with strictsync
    "a message in a Maildir is not synced": (["local/local"], [(
        "lib/maildir.c",
        "(!ordered && fsync(m->fd) == -1)",
        "0")]),
    # with strictsync it is the directory's
    "a message in a Maildir is not synced behind its name": (["local/local"], [(
        "lib/maildir.c",
        "if (fsync(ordered ? m->fd : m->newdir) == 0)",
        "if (1)")]),
    "the name of a message in a Maildir comes before its contents": (["local/local"], [(
        "lib/maildir.c",
        "if (sync_file_range(",
        "if (1)\n\t\treturn 1;\n\tif (sync_file_range("),
        LATE]),
    # Not wrong, but such that others' syncs find names that are not synced:
    # what comes before the name has to suffice.
    "the sync of a message in a Maildir is late": (["local/local"], [LATE]),
    "the end record is not checked": (["send/send", "local/local"], [(
        "lib/msgfile.c",
        "int\nmsgfile_read(",
        "static int\nguess(struct msgfile *m, stralloc *env, uint64_t size)\n{\n"
        "\tstatic char const e[] = \"u0\\0p0\\0s-\\0h-\\0F\\0Tjoe@test.example\";\n"
        "\tm->body = size;\n\tm->envelope = 0;\n\tm->birth = 1u << 31;\n"
        "\treturn stralloc_copyb(env, e, sizeof e) ? 1 : -1;\n}\n\nint\nmsgfile_read("), (
        "lib/msgfile.c",
        "if (size < MSGFILE_END)\n\t\treturn damaged(why, \"no end record\");",
        "if (size < MSGFILE_END)\n\t\treturn guess(m, env, size);"), (
        "lib/msgfile.c",
        "\"END1 \", 5))\n\t\treturn damaged(why, \"no end record\");",
        "\"END1 \", 5))\n\t\treturn guess(m, env, size);"), (
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
    "the lengths of the end record are not checked": (["send/send", "local/local"], [(
        "lib/msgfile.c",
        "got.body != size - MSGFILE_END - got.envelope)",
        "0)")]),
    "an envelope may be longer than its file": (["send/send", "local/local"], [(
        "lib/msgfile.c",
        "got.envelope > size - MSGFILE_END ||",
        "")]),
    "an envelope needs no recipient": (["send/send", "local/local"], [(
        "lib/msgfile.c",
        "return count < 6 ?",
        "return count < 5 ?")]),
    "a recipient's record may be anything": (["send/send", "local/local"], [(
        "lib/msgfile.c",
        "letter != 'T' && letter != 'D')",
        "0)")]),
    "whatever can be opened is taken for a file": (["send/send", "local/local"], [(
        "lib/msgfile.c",
        "if (!S_ISREG(st.st_mode))",
        "if (0)")]),
    "a symbolic link is followed": (["send/send"], [(
        "send/active.c",
        "O_RDONLY | O_NOFOLLOW | O_NONBLOCK",
        "O_RDONLY | O_NONBLOCK")]),
    "a fifo is waited for": (["send/send"], [(
        "send/active.c",
        "O_RDONLY | O_NOFOLLOW | O_NONBLOCK",
        "O_RDONLY | O_NOFOLLOW")]),
    "what local finds damaged stays": (["send/send"], [(
        "send/outcome.c",
        "a->damaged = \"body does not fit its checksum\";",
        "")]),
    "what send may not read stays": (["send/send"], [(
        "send/active.c",
        "errno == EACCES && locked(",
        "errno == EACCES && 0 && locked(")]),
    "what cannot be read now is set aside": (["send/send"], [(
        "send/active.c",
        "\tif (r == 0)\n\t\tset_aside(s, a->message, why);\n\tif (r == -1)\n",
        "\tif (r == 0 || (r == -1 && errno == EACCES))\n\t\tset_aside(s, a->message, why);\n\telse if (r == -1)\n")]),
    "a whole message is set aside": (["send/send"], [(
        "lib/msgfile.c",
        "count < 6 ?",
        "count < 7 ?")]),
    "nobody is asked to set it aside": (["send/send"], [(
        "send/active.c",
        "active_ask(s, 'B', message, why, strlen(why) + 1);",
        "s->table.m[message].state = TABLE_HELD;")]),
    "queued says that it has set it aside": (["queue/queued"], [(
        "queue/change.c",
        "if (store_move(from, to) == -1)",
        "if (0)")]),
    "what is damaged is removed": (["send/send"], [(
        "send/active.c",
        "active_ask(s, 'B', message, why, strlen(why) + 1);",
        "active_ask(s, 'R', message, 0, 0);")]),
    "what is damaged is set aside under one name": (["queue/queued"], [(
        "queue/change.c",
        "if (store_move(from, to) == -1)",
        "memcpy(to, \"bad/1\", 6);\n\tif (rename(from, to) == -1)")]),
    "send's log does not name what it has set aside": (["send/send"], [(
        "send/active.c",
        "line_put(\"alert: msg \");\n\tline_number(s->table.m[message].id);",
        "line_put(\"alert: msg \");")]),
    "send's log names another file": (["send/send"], [(
        "send/active.c",
        "line_put(\"alert: msg \");\n\tline_number(s->table.m[message].id);",
        "line_put(\"alert: msg \");\n\tline_number(s->table.m[message].id + 1);")]),
    "queued's log does not name what it has set aside": (["queue/queued"], [(
        "queue/change.c",
        "log_number(\"id\", id);",
        "")]),
    "a message that has no name in the queue is acknowledged": (["queue/queued"], [(
        "queue/incoming.c",
        "\tif (place(st, in) == -1)\n\t\treturn -1;",
        "\tplace(st, in);")]),
    "a sync that failed is acknowledged": (["queue/queued"], [(
        "queue/incoming.c",
        "if (fsync(in->fd) == 0 &&",
        "if ((fsync(in->fd), 1) &&")]),
    "an unfinished file stays": (["queue/queued"], [(
        "queue/incoming.c",
        "\ttmp_path(path, in->id);\n\tunlink(path);\n\tclose(in->fd);",
        "\ttmp_path(path, in->id);\n\tclose(in->fd);")]),
    "a queue without room is the message's fault": (["queue/queued"], [(
        "queue/incoming.c",
        "\t\treturn QUEUE_WRITE;",
        "\t\treturn QUEUE_REFUSED;")]),
    "a dead worker has no successor": (["queue/queued"], [(
        "queue/queued.c",
        "if (m->stop || clock_ms() < m->next)",
        "if (1)")]),
    "a dead spawner has no successor": (["send/start"], [(
        "send/start.c",
        "\t\t\telse\n\t\t\t\tput_off(&c[i]);",
        "")]),
    "a message that could not be written counts as delivered": (["local/local"], [(
        "lib/maildir.c",
        "\t\tif (r == -1)\n\t\t\treturn -1;\n\t\ts += r;",
        "\t\tif (r == -1)\n\t\t\treturn 1;\n\t\ts += r;")]),
    "a message without a name in new/ counts as delivered": (["local/local"], [(
        "lib/maildir.c",
        "\t    publish(m) == -1)",
        "\t    (publish(m), 0))")]),
    "what a dead local had counts as delivered": (["send/lspawn"], [(
        "send/lspawn.c",
        "Zlocal crashed.",
        "Klocal crashed.")]),
    "what a dead remote had counts as delivered": (["send/rspawn"], [(
        "send/rspawn.c",
        "Zremote crashed.",
        "Kremote crashed.")]),
    "what a dead spawner had counts as delivered": (["send/send"], [(
        "send/deliver.c",
        "delivery_ends(s, &s->slot[i], \"\");",
        "delivery_ends(s, &s->slot[i], \"K\");")]),
    "what a dead connection had counts as delivered": (["remote/remote"], [(
        "remote/server.c",
        "\t    why(s->broke), \".\\n\");",
        "\t    why(s->broke), \".\\n\");\n\tp->letter = 'K';")]),
    "a bounce that could not be queued counts as queued": (["send/bounce"], [(
        "send/bounce.c",
        "answer('Z', enqueue_reply(&q));",
        "answer('K', \"1\");")]),
    "a bounce is reported before it is on disk": (["send/bounce"], [(
        "send/bounce.c",
        "\t\tif (enqueue_close(&q, &b->envelope) == QUEUE_OK) {",
        "\t\tanswer('K', \"1\");\n\t\tusleep(500000);\n"
        "\t\tif (enqueue_close(&q, &b->envelope) == QUEUE_OK) {")]),
}


def misfit(name):
    """What of it cannot be applied to the tree as it is now, in words."""
    programs, changes = MUTANTS[name]
    return [f"{file}: {text.count(old)} times {old!r}, not once; make the mutant anew"
            for file, old, new in changes
            if (text := (postern.TREE / file).read_text()).count(old) != 1]


def make(name, scratch):
    """Builds a mutant; a function that puts it in the place of a suite's."""
    programs, changes = MUTANTS[name]
    if bad := misfit(name):
        raise LookupError(f"{name}: {bad}")
    tree = pathlib.Path(scratch) / "mutant"
    shutil.copytree(postern.TREE, tree, symlinks=True, ignore=lambda d, names: {
        n for n in names if n in (".git", "__pycache__", "run")
        or d == str(postern.TREE) and n in ("deps", "tests")})
    (tree / "deps").symlink_to(postern.TREE / "deps")
    for file, old, new in changes:
        text = (tree / file).read_text()
        (tree / file).write_text(text.replace(old, new))
    r = subprocess.run(["make", "-s", *programs], cwd=tree, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, timeout=300)
    if r.returncode:
        raise RuntimeError(f"mutant does not build: {r.stdout}")
    for p in programs:
        if (tree / p).read_bytes() == (postern.TREE / p).read_bytes():
            raise RuntimeError(f"mutant without effect: {p} is what it was")

    def change(suite):
        for p in programs:
            suite.replace(pathlib.Path(p).name, tree / p)
    return change
