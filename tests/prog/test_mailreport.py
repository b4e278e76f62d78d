"""tools/mailreport on logs as services write them."""
import os
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as ET

import loglib
import postern
import pytest

T = 1709078400      # 2024-02-28, midnight UTC


@pytest.fixture
def services(home):
    return loglib.Services(home / "log")


def run(home, *args, ok=True, **env):
    r = subprocess.run([home / "bin/mailreport", *map(str, args)], env=postern.env(home, **{"TZ": "UTC0", **env}),
                       capture_output=True, text=True, timeout=60)
    assert not ok or (r.returncode, r.stderr) == (0, ""), r
    return r


def counts(text):
    return {m[2]: int(m[1]) for m in re.finditer(r"^ +(\d+)  (.+)$", text, re.M)}


def traffic(s):
    id, _ = s.accept(T + 3600, "192.0.2.7", "x@y.example", ["alice@example.com", "bob@example.com"], size=1500)
    s.deliver(T + 3600.1, id, "example.com-alice@example.com")
    s.deliver(T + 3600.1, id, "example.com-bob@example.com", "failure", text="over_quota")
    s.end(T + 3601, id)
    id, _ = s.accept(T + 7200, "192.0.2.7", "x@y.example", ["z@far.example"], size=500)
    s.deliver(T + 7201, id, "z@far.example", "deferral", remote=True)
    s.deliver(T + 7200 + 1000, id, "z@far.example", remote=True)
    s.end(T + 7200 + 1001, id)
    id, _ = s.accept(T + 80000, "192.0.2.8", "", ["alice@example.com"], size=7)
    for i in range(3):
        s.refuse(T + 100 + i, "203.0.113.5")
    s.refuse(T + 200, "203.0.113.6", reason="rcpthosts")
    s.smtpd.line(T + 300, "listen: deny 0 mx:192.0.2.1:25 :203.0.113.5::4000 session=s too many from address")
    s.smtpd.line(T + 400, "scanq: info: refused session=s from=<a@b> to=<c@d> size=9 ms=2 virus=Eicar-Test")
    s.authd.line(T + 500, "authd: info: accepted session=s login=a@b remote=192.0.2.7 service=pop3")
    s.authd.line(T + 500, "authd: info: refused session=s login=a@b remote=192.0.2.7 service=pop3 reason=wrong-password failures=1")
    s.smtpd.line(T + 600, "qmtpd: info: accepted session=s ip=192.0.2.7 from=<a@b> recipients=3 size=9")
    # other days
    s.accept(T - 1, "192.0.2.7", "old@y.example", ["a@example.com"])
    s.accept(T + 86401, "192.0.2.7", "new@y.example", ["a@example.com"])
    s.done()


def test_every_figure(home, services):
    traffic(services)
    c = counts(run(home, "-d", "2024-02-28").stdout)
    assert {k: c[k] for k in ["messages", "bytes", "recipients accepted from the network", "refused", "viruses",
                              "delivered here", "failed here", "put off elsewhere", "delivered elsewhere",
                              "failed elsewhere", "logins", "logins refused"]} == {
        "messages": 3, "bytes": 2007, "recipients accepted from the network": 7, "refused": 6, "viruses": 1,
        "delivered here": 1, "failed here": 1, "put off elsewhere": 1, "delivered elsewhere": 1,
        "failed elsewhere": 0, "logins": 1, "logins refused": 1}
    assert c["no_mailbox"] == 3 and c["rcpthosts"] == 1 and c["scan: virus"] == 1
    assert c["connection: too many from address"] == 1 and c["203.0.113.5"] == 4
    assert c["x@y.example"] == 2 and c["(bounces)"] == 1 and c["far.example"] == 1 and c["Eicar-Test"] == 1
    assert "old@y.example" not in c and "new@y.example" not in c


def tables(page):
    """The sections of a page, which are well-formed."""
    return ET.fromstring(re.search(r'<div class="sections">.*</div>(?=\n<footer>)', page, re.S)[0]).findall("section")


def section(page, title):
    [s] = [s for s in tables(page) if s.find("h2").text == title]
    return s


def cells(part):
    return [["".join(c.itertext()) for c in row] for row in part.iter("tr")]


def sizes(part):
    """Of columns and bars, in percent."""
    return [float(i.get("style").split(":")[1].rstrip("%")) for i in part.iter("i") if i.get("style")]


def lists(s, t, *words, program="rblcheck", about="ip=192.0.2.7"):
    s.smtpd.line(t, f"{program}: info: checked session=s {about} verdict=pass ms=9 " + " ".join(words))


def ask_lists(s):
    lists(s, T + 1, "listed=bl.example:127.0.0.2/40ms", "skipped=other.example")
    lists(s, T + 2, "not=bl.example/20ms", "failed=other.example:timeout/4001ms")
    lists(s, T + 3, "not=bl.example/1500ms", "error=other.example:127.255.255.254/30ms")
    lists(s, T + 4, "not=dbl.example/7ms", program="namecheck", about="name=a.example")
    lists(s, T - 5, "listed=bl.example:127.0.0.2/40ms")    # the day before
    s.done()


def test_what_dns_lists_said(home, services, scratch):
    ask_lists(services)
    text = run(home, "-d", "2024-02-28").stdout
    rows = {l.split()[-1]: list(map(int, l.split()[:-1])) for l in text.split("DNS lists\n")[1].splitlines()[1:4]}
    # asked, listed, failed, errors, mean ms, over 1 s
    assert rows == {"bl.example": [3, 1, 0, 0, 520, 1], "other.example": [3, 0, 1, 1, 30, 0],
                    "dbl.example": [1, 0, 0, 0, 7, 0]}
    run(home, "-d", "2024-02-28", "-o", scratch)
    page = (scratch / "index.html").read_text()
    table = section(page, "DNS lists")
    assert cells(table)[1:] == [[name, *map(str, row)] for name, row in rows.items()]


def test_without_lists_nothing_is_said_of_them(home, services):
    traffic(services)
    assert "DNS lists" not in run(home, "-d", "2024-02-28").stdout


def test_without_dmarcq_nothing_is_said_of_senders(home, services, scratch):
    traffic(services)
    assert "Senders checked" not in run(home, "-d", "2024-02-28").stdout
    run(home, "-d", "2024-02-28", "-o", scratch)
    assert "DMARC" not in (scratch / "index.html").read_text()


def check(s, t, spf, dkim, dmarc, action="accepted", author="bank.example", level="info"):
    s.smtpd.line(t, f"dmarcq: {level}: checked session=s spf={spf} dkim={dkim} dmarc={dmarc} policy=reject "
                 f"action={action} author={author} ip=192.0.2.7 from=<a@b.example> ms=9")


def check_senders(s):
    check(s, T + 1, "pass", "pass", "pass", author="good.example")
    check(s, T + 2, "fail", "none", "fail", "refused")
    check(s, T + 3, "softfail", "policy", "fail")
    check(s, T + 4, "neutral", "fail", "fail", author="<b>.example")
    check(s, T + 5, "temperror", "temperror", "temperror", "put\\x20off", level="warning")
    check(s, T + 6, "none", "none", "permerror")
    check(s, T - 5, "fail", "fail", "fail", "refused", author="earlier.example")    # the day before
    s.smtpd.line(T + 7, "dmarcq: info: forged results renamed fields=2 ip=192.0.2.7")
    s.done()


RESULTS = {"pass": [1, 1, 1], "fail": [1, 1, 3], "softfail": [1, 0, 0], "neutral": [1, 0, 0], "policy": [0, 1, 0],
           "none": [1, 2, 0], "temperror": [1, 1, 1], "permerror": [0, 0, 1]}


def test_what_was_found_about_senders(home, services, scratch):
    check_senders(services)
    text = run(home, "-d", "2024-02-28").stdout
    part = text.split("Senders checked\n")[1].split("\n\n")[0].splitlines()
    assert part[0].split() == ["SPF", "DKIM", "DMARC"]
    assert {l.split()[-1]: list(map(int, l.split()[:-1])) for l in part[1:-2]} == RESULTS
    c = counts(text)
    assert c["refused by control/dmarcpolicy"] == 1 and c["put off"] == 1 and c["refused"] == 0
    worst = counts(text.split("Fail DMARC, by the author's domain\n")[1])
    assert worst["bank.example"] == 2 and worst["<b>.example"] == 1
    assert "good.example" not in text and "earlier.example" not in text

    run(home, "-d", "2024-02-28", "-o", scratch)
    page = (scratch / "index.html").read_text()
    assert cells(section(page, "Senders checked")) == [
        ["result", "SPF", "DKIM", "DMARC"], *([r, *map(str, n)] for r, n in RESULTS.items())]
    assert "Refused by control/dmarcpolicy: 1, put off: 1" in page
    assert "<b>.example" not in page
    assert cells(section(page, "Fail DMARC, by the author's domain")) == [["bank.example", "", "2"],
                                                                         ["<b>.example", "", "1"]]


def test_results_that_none_had_are_left_out(home, services, scratch):
    check(services, T, "pass", "none", "pass")
    services.done()
    text = run(home, "-d", "2024-02-28").stdout
    assert "Senders checked" in text and "temperror" not in text and "Fail DMARC" not in text
    run(home, "-d", "2024-02-28", "-o", scratch)
    assert [row[0] for row in cells(section((scratch / "index.html").read_text(), "Senders checked"))] == [
        "result", "pass", "none"]


def test_many_authors_in_little_room(home, services):
    for i in range(20000):
        check(services, T + i, "fail", "fail", "fail", author=f"a{i}.example" if i % 4 else "bank.example")
    services.done()
    text = run(home, "-d", "2024-02-28").stdout
    worst = text.split("Fail DMARC, by the author's domain\n")[1].split("\n\n")[0].splitlines()
    assert worst[0].split() == ["5000", "bank.example"] and len(worst) == 10
    assert len([k for k in metrics(home) if "bank" in k or ".example" in k]) == 0


def test_hours_delays_and_ages(home, services):
    traffic(services)
    text = run(home, "-d", "2024-02-28").stdout
    assert re.search(r"^  01 +1 +0 ", text, re.M) and re.search(r"^  00 +0 +6$", text, re.M)
    assert re.search(r"^ +1 s +1 ", text, re.M) and re.search(r"^ +1 h +1 ", text, re.M)
    # the bounce of 80000 s and the message of the day before are left over
    assert re.search(r"4 h +1 ", text.split("Not finished")[1])


def test_days_are_those_of_the_time_zone(home, services):
    services.accept(T + 100, "192.0.2.7", "x@y.example", ["a@example.com"])
    services.done()
    assert counts(run(home, "-d", "2024-02-28", TZ="UTC+5").stdout)["messages"] == 0
    assert counts(run(home, "-d", "2024-02-27", TZ="UTC+5").stdout)["messages"] == 1


def test_send_that_starts_again_counts_nothing_twice(home, services):
    id, _ = services.accept(T + 10, "192.0.2.7", "x@y.example", ["a@far.example"])
    for t in (T + 20, T + 86400 + 20):
        services.send.line(t, f"new msg {id}")
        services.send.line(t, f"info msg {id}: bytes 1000 from <x@y.example> qp 5 uid 9")
    services.done()
    assert counts(run(home, "-d", "2024-02-28").stdout)["messages"] == 1
    assert counts(run(home, "-d", "2024-02-29").stdout)["messages"] == 0


def test_pages(home, services, scratch):
    loglib.day(services, T, 500)
    www = scratch / "www"
    www.mkdir()
    for day in ("2024-02-27", "2024-02-28", "2024-02-27"):
        run(home, "-d", day, "-o", www)
    assert sorted(os.listdir(www)) == ["2024-02-27.html", "2024-02-28.html", "index.html"]
    page = (www / "index.html").read_text()
    assert page == (www / "2024-02-28.html").read_text() and 'href="2024-02-27.html"' in page
    assert 'href="2024-02-28.html"' in (www / "2024-02-27.html").read_text()
    assert (www / "index.html").stat().st_mode & 0o777 == 0o644
    bars = [size for part in tables(page) for size in sizes(part)]
    assert len(bars) > 20 and all(0 < b <= 100 for b in bars) and bars.count(100) >= 4
    assert len(sizes(section(page, "By the hour"))) > 30


@pytest.mark.parametrize("messages, scale, height", [(1, 1, 100), (10, 10, 100), (11, 20, 55), (101, 200, 50.5),
                                                     (150, 200, 75), (610, 800, 76.2)])
def test_columns_are_as_high_as_their_scale_says(home, services, scratch, messages, scale, height):
    for i in range(messages):
        services.accept(T + i, "192.0.2.7", "x@y.example", ["a@example.com"])
    services.done()
    run(home, "-d", "2024-02-28", "-o", scratch)
    part = section((scratch / "index.html").read_text(), "By the hour")
    assert part.findall(".//p/span")[-1].text == str(scale)
    assert sizes(part) == [height]


def test_names_from_outside_are_only_text(home, services, scratch):
    evil = "<script>alert(1)</script>&\"'@x.example"
    services.accept(T + 10, "192.0.2.7", evil, ["a@example.com"])
    services.refuse(T + 20, "192.0.2.9", reason="<svg/onload=x>\x1b[31m")
    services.smtpd.line(T + 30, 'scanq: info: refused session=s from=<a> to=<b> size=9 ms=2 virus=<img/src=x>"\n')
    services.done()
    run(home, "-d", "2024-02-28", "-o", scratch)
    page = (scratch / "index.html").read_text()
    assert "&#60;script&#62;" in page and "<script" not in page and "<img" not in page and "onload" in page
    assert re.search("<svg/", page) is None and "\x1b" not in page
    assert "\x1b" not in run(home, "-d", "2024-02-28").stdout
    metrics = run(home, "--metrics").stdout
    assert "\x1b" not in metrics and re.search(r'^postern_refused_total\{reason="[^"\\]*"\} 1$', metrics, re.M)


def test_mail(home, services, scratch):
    traffic(services)
    keep = scratch / "keep"
    keep.write_text(f"#!/bin/sh\ncat >{scratch}/message\ncat <&1 >{scratch}/envelope\n")
    keep.chmod(0o755)
    r = run(home, "-d", "2024-02-28", "-m", "admin@example.com", QMAILQUEUE=str(keep))
    assert r.stdout == ""
    assert (scratch / "envelope").read_bytes() == b"F\0Tadmin@example.com\0\0"
    m = (scratch / "message").read_text()
    assert "\nSubject: mail of test.example on 2024-02-28\n" in m and "3  messages" in m
    assert "\nAuto-Submitted: auto-generated\n" in m


def test_addresses_that_are_none(home):
    for address in ["nobody", "a@b\nBcc: c@d", "a b@c"]:
        assert run(home, "-m", address, ok=False).returncode == 100


def test_queue_that_refuses(home, services, scratch):
    services.accept(T, "192.0.2.7", "x@y.example", ["a@example.com"])
    services.done()
    no = scratch / "no"
    no.write_text("#!/bin/sh\ncat >/dev/null\nexit 53\n")
    no.chmod(0o755)
    r = run(home, "-m", "a@b.example", ok=False, QMAILQUEUE=str(no))
    assert r.returncode == 111 and "report not sent" in r.stderr


def test_mistakes(home):
    for args in [["-d", "2026-1-1"], ["-d", "2026-02-29"], ["-d", "x"], ["-x"], ["-o"], ["more"]]:
        assert run(home, *args, ok=False).returncode == 100


def metrics(home, *args):
    out = run(home, "--metrics", *args).stdout
    return {l.rsplit(" ", 1)[0]: float(l.rsplit(" ", 1)[1]) for l in out.splitlines() if not l.startswith("#")}


def test_metrics_go_on_where_they_stopped(home):
    s = loglib.Services(home / "log")
    s.send.size = s.smtpd.size = s.queued.size = 3000
    sums = 0
    for n in (1, 40, 0, 7):
        for i in range(n):
            id, _ = s.accept(T + sums, "192.0.2.7", "x@y.example", ["a@example.com", "b@example.com"])
            s.deliver(T + sums + 1, id, "a@example.com")
            s.end(T + sums + 2, id)
            sums += 1
        s.done()
        m = metrics(home)
        assert m["postern_messages_total"] == sums == m["postern_connections_total"]
        assert m["postern_recipients_accepted_total"] == 2 * sums
        assert m['postern_deliveries_total{channel="local",result="success"}'] == sums
        assert m["postern_delivery_delay_seconds_count"] == sums
    assert (home / "state/metrics").stat().st_mode & 0o777 == 0o600


def test_counters_of_dns_lists_go_on(home, services):
    for n in (1, 2):
        ask_lists(services)
        m = metrics(home)
        said = {a: m['postern_dnsbl_answers_total{list="bl.example",answer="%s"}' % a]
                for a in ("listed", "not", "failed", "error", "skipped")}
        assert said == {"listed": 2 * n, "not": 2 * n, "failed": 0, "error": 0, "skipped": 0}
        speed = 'postern_dnsbl_answer_seconds_%s{list="bl.example"%s}'
        assert m[speed % ("bucket", ',le="0.05"')] == 3 * n and m[speed % ("bucket", ',le="1"')] == 3 * n
        assert m[speed % ("bucket", ',le="2"')] == 4 * n == m[speed % ("count", "")]
        assert m[speed % ("sum", "")] == 1.6 * n
        assert m['postern_dnsbl_answer_seconds_count{list="other.example"}'] == n


def test_counters_of_senders_go_on(home, services):
    for n in (1, 2):
        check_senders(services)
        m = metrics(home)
        said = {r: [m['postern_sender_results_total{check="%s",result="%s"}' % (c, r)]
                    for c in ("spf", "dkim", "dmarc")] for r in RESULTS}
        # with the day before
        assert said == {**{r: [n * i for i in v] for r, v in RESULTS.items()}, "fail": [2 * n, 2 * n, 4 * n]}
        assert [m['postern_sender_checked_total{outcome="%s"}' % o] for o in ("accepted", "refused", "put off")] == [
            4 * n, 2 * n, n]


def test_state_from_before_senders_were_counted_goes_on(home, services):
    traffic(services)
    first = metrics(home)
    state = home / "state/metrics"
    old = [l for l in state.read_text().splitlines(True)
           if not re.match("spf|dkim|dmarc|count .* senders-", l)]
    assert len(old) == len(state.read_text().splitlines()) - 6
    state.write_text("".join(old))
    assert metrics(home) == first


def test_more_lists_than_are_counted(home, services):
    for i in range(100):
        lists(services, T + i, f"not=l{i}.example/1ms")
    services.done()
    for n in (1, 2):
        assert len([k for k in metrics(home) if k.startswith("postern_dnsbl_answer_seconds_count")]) == 64


def test_delivery_that_ends_in_the_next_reading(home, services):
    id, _ = services.accept(T, "192.0.2.7", "x@y.example", ["a@far.example"])
    services.send.line(T + 1, f"starting delivery 77: msg {id} to remote a@far.example")
    services.done()
    metrics(home)
    services.send.line(T + 31, "delivery 77: success: ok")
    services.done()
    m = metrics(home)
    assert m['postern_deliveries_total{channel="remote",result="success"}'] == 1
    assert m['postern_delivery_delay_seconds_bucket{le="10"}'] == 0
    assert m['postern_delivery_delay_seconds_bucket{le="60"}'] == 1


def test_metrics_format(home, services, scratch):
    traffic(services)
    ask_lists(services)
    check_senders(services)
    out = scratch / "postern.prom"
    assert run(home, "--metrics", "-o", out).stdout == ""
    text = out.read_text()
    names = set()
    for line in text.splitlines():
        m = re.match(r"# (HELP|TYPE) (postern_\w+) (.+)$", line)
        if m:
            names.add(m[2])
            assert m[1] == "HELP" or m[3] in ("counter", "histogram")
            continue
        m = re.match(r'(postern_\w+?)(_bucket|_sum|_count)?(\{\w+="[^"]*"(,\w+="[^"]*")*\})? (\d+(\.\d+)?)$', line)
        assert m and (m[1] in names or m[1] + (m[2] or "") in names), line
    assert shutil.which("promtool") is None or subprocess.run(
        ["promtool", "check", "metrics"], input=text, text=True).returncode == 0


def test_damaged_state_begins_anew(home, services):
    traffic(services)
    first = metrics(home)
    (home / "state/metrics").write_text("count 5 messages\nplace x\n")
    r = run(home, "--metrics", ok=False)
    assert r.returncode == 0 and "damaged" in r.stderr
    assert metrics(home) == first


def test_no_logs(home, scratch):
    r = run(home, "-l", scratch / "none", ok=False)
    assert r.returncode == 111 and "no logs" in r.stderr


def test_hundred_thousand_lines_in_little_memory(home, services):
    for i in range(26000):
        services.refuse(T + i, f"203.0.{i % 250}.{i // 250 % 250}", to=f"n{i}@example.com")
    for i in range(10000):
        services.accept(T + i, "192.0.2.7", f"forged{i}@y.example", ["a@example.com"])
    services.done()
    r = subprocess.run(["/usr/bin/python3", "-c",
                        "import resource,subprocess,sys; r=subprocess.run(['bin/mailreport','-d','2024-02-28'],"
                        "stdout=subprocess.PIPE); sys.stdout.buffer.write(r.stdout);"
                        "print('KB', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"],
                       cwd=home, env=postern.env(home, TZ="UTC0"), capture_output=True, text=True)
    assert counts(r.stdout)["messages"] == 10000 and counts(r.stdout)["refused"] == 26000
    assert int(r.stdout.split("KB ")[1]) < 40000


LOGGERS = {"s6-log": ["s6-log", "-b", "t", "n500", "s4096"], "multilog": ["multilog", "t", "n500", "s4096"],
           "svlogd": ["svlogd", "-t"]}


@pytest.mark.parametrize("logger", LOGGERS)
def test_no_line_is_lost_or_counted_twice_while_a_logger_rotates(home, logger):
    where = home / "log/smtpd"
    if logger == "svlogd":
        (where / "config").write_text("s4096\nn500\n")
    where.chmod(0o755)
    p = subprocess.Popen([*LOGGERS[logger], where], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not (where / "current").exists() and time.monotonic() < deadline:
        time.sleep(.02)
    sums, lines = [], 0
    for burst in (1, 700, 3, 1200, 50, 900, 400):
        for i in range(burst):
            p.stdin.write(b"listen: ok 4711 mx:192.0.2.1:25 :192.0.2.7::40000 session=s\n")
        p.stdin.flush()
        lines += burst
        sums.append(metrics(home)["postern_connections_total"])
    p.stdin.close()
    p.wait(20)
    assert len(list(where.glob("@*"))) > 20
    assert metrics(home)["postern_connections_total"] == lines
    assert sums == sorted(sums)
