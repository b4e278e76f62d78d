"""A qmail installation with vpopmail, simscan and qmail-scanner, below a
directory, in the formats that they document."""
import subprocess


def crypt(method, password):
    """method: 1 MD5, 5 SHA-256, 6 SHA-512"""
    return subprocess.run(["openssl", "passwd", f"-{method}", password], check=True, text=True,
                          capture_output=True).stdout.strip()


class Old:
    def __init__(self, root):
        self.root = root
        self.qmail = root / "var/qmail"
        self.vpopmail = root / "home/vpopmail"
        for d in (self.qmail / "control", self.qmail / "users", self.qmail / "alias",
                  self.vpopmail / "domains", self.vpopmail / "etc"):
            d.mkdir(parents=True)
        self.assign = []
        self.control("me", "old.example\n")
        self.control("locals", "old.example\nlocalhost\n")
        self.control("rcpthosts", "old.example\n")
        self.control("virtualdomains", "")

    def file(self, path, text):
        f = self.root / path
        f.parent.mkdir(parents=True, exist_ok=True)
        f.write_bytes(text if isinstance(text, bytes) else text.encode())
        return f

    def control(self, name, text):
        return self.file(f"var/qmail/control/{name}", text)

    def domain(self, name, *aliases):
        """As vadddomain of vpopmail leaves it."""
        path = f"/home/vpopmail/domains/{name}"
        d = self.vpopmail / "domains" / name
        d.mkdir()
        for key in (name, *aliases):
            self.assign.append(f"+{key}-:{name}:89:89:{path}:-::")
            for file, line in (("virtualdomains", f"{key}:{key}\n"), ("rcpthosts", f"{key}\n")):
                with open(self.qmail / "control" / file, "a") as f:
                    f.write(line)
        self.file("var/qmail/users/assign", "\n".join([*sorted(self.assign), ".", ""]))
        (d / ".qmail-default").write_text(
            "| /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox\n")
        (d / "vpasswd").write_text("")
        (d / ".vpasswd.lock").touch()
        (d / ".dir-control").write_text("1\n0\n")
        return d

    def user(self, domain, name, hash_, flags=0, quota="NOQUOTA", under="", clear=None):
        """Its directory; under: vpopmail's hash directory."""
        path = f"/home/vpopmail/domains/{domain}/{under}{name}"
        d = self.root / path[1:]
        for sub in ("cur", "new", "tmp"):
            (d / "Maildir" / sub).mkdir(parents=True)
        line = f"{name}:{hash_}:1:{flags}:{name.title()}:{path}:{quota}"
        with open(self.vpopmail / "domains" / domain / "vpasswd", "a") as f:
            f.write(line + (f":{clear}" if clear else "") + "\n")
        return d

    def message(self, user, name, subject, sub="cur"):
        text = f"Return-Path: <s@a.example>\nSubject: {subject}\n\nold mail\n"
        f = user / "Maildir" / sub / name
        f.parent.mkdir(parents=True, exist_ok=True)
        f.write_text(text)
        return f

    def state(self):
        """Everything, to see that nothing is changed."""
        out = {}
        for f in sorted(self.root.rglob("*")):
            s = f.lstat()
            out[str(f)] = (s.st_mode, s.st_uid, s.st_mtime_ns,
                           f.read_bytes() if f.is_file() and not f.is_symlink() else None)
        return out


def typical(root):
    old = Old(root)
    d = old.domain("shop.example", "shop.test")
    joe = old.user("shop.example", "joe", crypt(1, "joe-old"))
    old.message(joe, "1500000001.1.old:2,S", "read")
    old.message(joe, "1500000002.2.old", "unread", "new")
    old.message(joe, "1500000003.3.old:2,", "in a folder", ".Sent/cur")
    (joe / "Maildir/maildirsize").write_text("NOQUOTA\n1 1\n")
    ann = old.user("shop.example", "ann", crypt(6, "ann-old"), quota="10485760S", under="0/")
    old.message(ann, "1500000004.4.old:2,S", "hashed")
    (ann / ".qmail").write_text("/home/vpopmail/domains/shop.example/0/ann/Maildir/\n"
                                "|/usr/bin/autorespond 86400 3 /home/vpopmail/domains/"
                                "shop.example/0/ann/vacation/message x\n")
    old.user("shop.example", "postmaster", crypt(1, "pm-old"))
    old.user("shop.example", "off", "*", flags=0x10)
    (d / ".qmail-sales").write_text("&joe@shop.example\n&ann@shop.example\n")
    (d / ".qmail-old:name").write_text("/home/vpopmail/domains/shop.example/joe/Maildir/\n")
    (d / ".qmailadmin-limits").write_text("maxpopaccounts: 10\nperm_account: 0\n")
    old.domain("all.example")
    old.user("all.example", "postmaster", crypt(1, "pm-old"))
    (old.vpopmail / "domains/all.example/.qmail-default").write_text(
        "| /home/vpopmail/bin/vdelivermail '' /home/vpopmail/domains/all.example/postmaster\n")
    old.control("smtproutes", "far.example:relay.example|u|secret\n")
    old.control("badmailfrom", "@spam.example\n")
    old.control("databytes", "10000000\n")
    old.control("concurrencyincoming", "20\n")
    old.control("spfbehavior", "3\n")
    old.control("simcontrol", ":clam=yes,attach=.vbe:.pif\n")
    old.control("ssattach", ".mp3\n.exe:.scr\n")
    old.file("var/qmail/alias/.qmail-postmaster", "&joe@shop.example\n")
    old.file("var/qmail/alias/.qmail-list", "|/usr/local/bin/ezmlm-send /lists/list\n")
    old.file("var/qmail/alias/.qmail-fwd", "|/var/qmail/bin/forward joe@shop.example\n")
    old.file("home/vpopmail/etc/tcp.smtp", "127.:allow,RELAYCLIENT=\"\"\n10.1.:allow,"
             "RELAYCLIENT=\"\",QMAILQUEUE=\"/var/qmail/bin/qmail-scanner-queue.pl\"\n:allow\n")
    old.file("home/vpopmail/etc/vlimits.default", "maxaliases: -1\n")
    old.file("home/vpopmail/etc/defaultdomain", "shop.example\n")
    old.file("etc/tcp.pop3", "10.1.:allow,PLAINTEXTAUTH=\"\"\n:deny\n")
    old.file("var/spool/qmailscan/quarantine-attachments.txt",
             "# old\nEICAR.COM\t69\tEICAR Test Virus\n.xyz\t0\tnever seen here\n")
    return old
