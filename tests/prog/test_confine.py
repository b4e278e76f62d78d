import os
import pwd
import shutil
import socket
import subprocess

import pytest

import postern

EACCES = "Permission denied"
EPERM = "Operation not permitted"
HERE = postern.TREE / "tests/prog"
SERVICES = ["queued", "authd", "smtpd", "pop3", "log", "send", "tlsd"]


@pytest.fixture(scope="module")
def attempt(tmp_path_factory):
    exe = tmp_path_factory.mktemp("attempt") / "attempt"
    subprocess.run(["musl-gcc", "-static", "-O1", "-D_GNU_SOURCE", "-o", exe,
                    HERE / "attempt.c"], check=True)
    return exe


@pytest.fixture
def place(scratch, attempt):
    """A home directory with the profiles and one program that tries things."""
    home = scratch / "home"
    for d in ["bin", "profiles", "control", "rules", "users", "domains",
              "queue", "queue/sub", "socket/queue", "socket/auth", "socket/tls", "tls", "log", "alias"]:
        (home / d).mkdir(parents=True)
        (home / d).chmod(0o777)
        (home / d / "x").write_text("x")
        (home / d / "x").chmod(0o666)
    shutil.copy(attempt, home / "bin/attempt")
    shutil.copy(postern.TREE / "tools/confine", home / "bin")
    shutil.copy(postern.TREE / "conf-users", home)
    for f in (postern.TREE / "tools/profiles").iterdir():
        shutil.copy(f, home / "profiles")
    home.chmod(0o755)
    return home


def confine(home, profile, *args, **more):
    return subprocess.run([home / "bin/confine", profile, *args], text=True,
                          env=postern.env(home), capture_output=True,
                          timeout=10, **more)


def tries(home, profile, *args, **more):
    r = confine(home, profile, "attempt", *map(str, args), **more)
    assert r.returncode == 0, r.stderr
    return r.stdout.strip()


def profile(home, text):
    (home / "profiles/p").write_text(text)
    return "p"


def uid(role):
    return pwd.getpwnam("postern-" + role).pw_uid


def test_becomes_the_user_with_no_way_back(place):
    u, g = uid("queue"), pwd.getpwnam("postern-queue").pw_gid
    assert tries(place, "queued", "show", "ids") == \
        f"{u} {u} {u} {g} {g} {g} 1"
    assert tries(place, "queued", "setuid", 0) == EPERM


def test_ids_are_told_and_not_taken(place):
    p = pwd.getpwnam("postern-smtpd")
    assert tries(place, "smtpd", "show", "env") == f"{p.pw_uid} {p.pw_gid}"
    assert tries(place, "smtpd", "show", "ids").startswith("0 0 0")


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_no_new_privs(place, service):
    assert tries(place, service, "show", "nnp") == "1"


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("what", ["ptrace", "unshare", "clone", "x32"])
def test_no_service_may(place, service, what):
    assert tries(place, service, what) == EPERM


@pytest.mark.parametrize("family,name", [(17, "packet"), (38, "crypto"),
                                         (40, "vsock")])
def test_no_exotic_socket(place, family, name):
    p = profile(place, "umask 022\n")
    assert tries(place, p, "socket", family) == EPERM


def test_foreign_descriptors_are_closed(place):
    r, w = os.pipe()
    p = profile(place, "umask 022\n")
    assert tries(place, p, "close", r, pass_fds=[r]) == "Bad file descriptor"
    os.close(r)
    os.close(w)


MAY = {
    "queued": ["append queue/x", "create queue/new", "create socket/queue/s",
               "rename queue/x",
               "read control/x", "read conf-users"],
    "authd": ["append domains/x", "create socket/auth/s"],
    "smtpd": ["read control/x", "read rules/x", "read users/x"],
    "pop3": ["append domains/x", "create domains/y", "read rules/x"],
    "log": ["append log/x", "create log/new"],
    "tlsd": ["read tls/x", "read control/x", "create socket/tls/s", "chroot /"],
    "send": ["read /etc/hostname", "exec /bin/true"],
}
MAY_NOT = {
    "queued": ["append control/x", "create bin/y", "append domains/x",
               "read domains/x", "exec /bin/true", "read /usr/lib/os-release"],
    "authd": ["append control/x", "read queue/x", "append users/x",
              "read /var/lib/dpkg/status"],
    "smtpd": ["read queue/x", "read domains/x", "append users/x",
              "create rules/y", "exec /bin/sh", "read /usr/lib/os-release",
              "read /proc/self/maps"],
    "pop3": ["read queue/x", "read /usr/lib/os-release", "append users/x",
             "exec /bin/sh"],
    "tlsd": ["append tls/x", "create tls/y", "read domains/x", "read queue/x",
             "append control/x", "read /var/lib/dpkg/status", "exec /bin/sh"],
    "log": ["append control/x", "read domains/x", "read queue/x"],
}


@pytest.mark.parametrize("service,what", [(s, w) for s in MAY for w in MAY[s]])
def test_profile_allows(place, service, what):
    out = tries(place, service, *what.split())
    assert out == ("" if what.startswith("exec") else "ok")


@pytest.mark.parametrize("service,what",
                         [(s, w) for s in MAY_NOT for w in MAY_NOT[s]])
def test_profile_forbids(place, service, what):
    assert tries(place, service, *what.split()) == EACCES


@pytest.mark.parametrize("service", ["queued", "authd", "smtpd", "pop3", "log"])
def test_no_connection_to_a_port(place, service):
    with socket.create_server(("127.0.0.1", 0)) as s:
        assert tries(place, service, "connect", s.getsockname()[1]) == EACCES


def test_dns_over_tcp_is_left_to_what_asks(place):
    assert tries(place, "smtpd", "connect", 53) in ("ok", "Connection refused")
    assert tries(place, "queued", "connect", 53) == EACCES


def test_connect_is_an_exception_from_forbid_connect(place):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
        p = profile(place, f"forbid connect\nconnect 53 {port}\n")
        assert tries(place, p, "connect", port) == "ok"
        assert tries(place, p, "connect", port - 1) == EACCES


@pytest.mark.parametrize("service,answer", [("queued", EACCES),
                                            ("authd", EACCES),
                                            ("smtpd", "ok"), ("pop3", "ok")])
def test_binds_a_port_only_if_it_listens(place, service, answer):
    assert tries(place, service, "bind", 0) == answer


@pytest.mark.parametrize("service", ["queued", "authd", "smtpd", "pop3"])
def test_no_signal_to_a_process_outside(place, service):
    assert tries(place, service, "kill", os.getpid()) == EPERM


def test_root_keeps_only_its_capabilities(place):
    assert tries(place, "smtpd", "chroot", "/") == EPERM
    assert tries(place, "pop3", "chroot", "/") == "ok"
    assert tries(place, "smtpd", "setuid", uid("smtpd")) == "ok"


def test_limit_is_set_soft_and_hard(place):
    p = profile(place, "limit nofile 33\n")
    assert tries(place, p, "show", "nofile") == "33 33"


@pytest.mark.parametrize("service", ["smtpd", "pop3", "authd", "queued"])
def test_file_put_in_place_of_passwd_can_be_read(place, service):
    """Users are looked up while the service runs; useradd replaces the file."""
    text = (place / "profiles" / service).read_text()
    assert "/etc/passwd" not in text
    assert tries(place, service, "read", "/etc/passwd") == "ok"


def test_local_profile_is_added(place):
    (place / "profiles/smtpd.local").write_text("read domains\n")
    assert tries(place, "smtpd", "read", "domains/x") == "ok"


@pytest.mark.parametrize("text,says", [
    ("frobnicate yes\n", "unknown setting: frobnicate"),
    ("user nosuch\n", "no such role in conf-users, or no such user: nosuch"),
    ("limit nofile many\n", "not a number: many"),
    ("limit foo 1\n", "unknown word: foo"),
    ("umask 9\n", "not a file mode: 9"),
    ("read\n", "nothing behind: read"),
    ("forbid fun\n", "unknown word: fun"),
    ("connect 0\n", "not a port: 0"),
    ("connect 65536\n", "not a port: 65536"),
    ("connect" + " 1" * 17 + "\n", "too many ports at: 1"),
    ("read" + " a" * 65 + "\n", "too many paths at: a"),
])
def test_malformed_profile_starts_nothing(place, text, says):
    r = confine(place, profile(place, text), "attempt", "show", "nnp")
    assert r.returncode == 100
    assert r.stdout == ""
    assert r.stderr == f"confine: fatal: profiles/p: {says}\n"


@pytest.mark.parametrize("name", ["", "../bin/x", ".p", "nosuch"])
def test_odd_profile_name_is_refused(place, name):
    assert confine(place, name, "attempt").returncode == 100


def test_missing_program_is_temporary(place):
    r = confine(place, "send", "nosuchprogram")
    assert r.returncode == 111
    assert "nosuchprogram" in r.stderr
