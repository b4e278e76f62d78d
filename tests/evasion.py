"""Messages that hide something from a scanner, one per technique.

evasion.messages() gives (name, message, expected): expected is a set of words,
any one of which will do:

    virus       the payload comes out as a decoded leaf
    name        a name that ends in .exe or .com is among the names
    clean       nothing is asked
    any other   an anomaly of that name

Run as a program: writes each message to DIR/name.eml.
"""
import base64
import binascii
import gzip
import io
import pathlib
import struct
import sys
import tarfile
import zipfile

# cut in two, so that no scanner takes this file for it
EICAR = (b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-"
         b"ANTIVIRUS-TEST-FILE!$H+H*")
B64 = base64.b64encode(EICAR).decode()
TOP = "From: a@example.org\nTo: b@example.org\nSubject: test\nMIME-Version: 1.0\n"

TECHNIQUES = {}


def technique(name, *expected):
    def add(make):
        TECHNIQUES[name] = (make, set(expected))
        return make
    return add


def raw(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def wrap(data, width=76):
    text = base64.b64encode(raw(data)).decode()
    return "\n".join(text[i:i + width] for i in range(0, len(text), width)) + "\n"


def mixed(*parts, ctype='multipart/mixed; boundary="b1"', b="b1", close=True, top=TOP):
    out = [raw(top), b"Content-Type: ", raw(ctype), b"\n\n"]
    for p in parts:
        out += [b"--", raw(b), b"\n", raw(p), b"\n"]
    return b"".join(out) + (b"--" + raw(b) + b"--\n" if close else b"")


TEXT = "Content-Type: text/plain\n\nhello\n"


def attached(body=None, cte="Content-Transfer-Encoding: base64\n",
             ctype="application/octet-stream", more=""):
    body = wrap(EICAR) if body is None else body
    return raw(f"Content-Type: {ctype}\n{more}{cte}\n") + raw(body)


VIRUS = attached()


def one(name, body=None, cte="Content-Transfer-Encoding: base64\n", *expected):
    """A message with one attachment of this body and encoding."""
    TECHNIQUES[name] = (lambda: mixed(TEXT, attached(body, cte)), set(expected))


CTE = "Content-Transfer-Encoding: "
one("e01-dup-cte", None, CTE + "7bit\n" + CTE + "base64\n", "virus")
one("e02-dup-cte-rev", None, CTE + "base64\n" + CTE + "7bit\n", "virus")
one("e03-cte-unknown", None, CTE + "base-64\n", "virus")
one("e04-cte-comment", None, CTE + "(seven) base64 (or not)\n", "virus")
one("e05-cte-trailing", None, CTE + "base64 7bit\n", "virus")
one("e06-cte-quoted", None, CTE + '"base64"\n', "virus")
one("e07-b64-illegal-chars", "!".join(B64), CTE + "base64\n", "virus")
one("e08-b64-inner-pad", "".join(base64.b64encode(EICAR[i:i + 4]).decode() + "\n"
                                 for i in range(0, len(EICAR), 4)), CTE + "base64\n", "virus")
one("e09-b64-early-equals", B64[:40] + "=" + B64[40:], CTE + "base64\n", "virus", "base64-padding")
one("e09b-b64-equals-in-group", B64[:41] + "=" + B64[41:], CTE + "base64\n", "base64-padding")
one("e10-b64-one-char-lines", "\n".join(B64) + "\n", CTE + "base64\n", "virus")
one("e11-b64-no-pad", B64.rstrip("="), CTE + "base64\n", "virus")
one("e12-b64-one-long-line", base64.b64encode(b"A" * 900000 + EICAR).decode(), CTE + "base64\n", "virus")
one("e13-b64-dash-lines", B64[:32] + "\n-- !? --\n" + B64[32:], CTE + "base64\n",
    "virus", "base64-illegal", "base64-url")
one("e14-b64-nonzero-trailing-bits", B64.replace("Kg==", "Kv=="), CTE + "base64\n", "virus")
one("e15-b64-url-alphabet", base64.urlsafe_b64encode(b"\xfb\xff\xbf" + EICAR).decode(),
    CTE + "base64\n", "virus")


def quoted(data, fmt="=%02X", every=20, soft="=\n"):
    out = ""
    for i, c in enumerate(data):
        out += fmt % c + (soft if i % every == every - 1 else "")
    return out + "\n"


QP = CTE + "quoted-printable\n"
one("e16-qp-all-hex", quoted(EICAR), QP, "virus")
one("e17-qp-lower-hex", quoted(EICAR, "=%02x", 1000), QP, "virus")
one("e18-qp-softbreak-ws", quoted(EICAR, soft="=  \t\n"), QP, "virus")
one("e19-qp-bad-escape", "=ZZ=\n" + quoted(EICAR), QP, "virus", "quoted-bad")


def uu(data, name="evil.exe", end=True, mode="644"):
    out = f"begin {mode} {name}\n"
    for i in range(0, len(data), 45):
        out += binascii.b2a_uu(data[i:i + 45]).decode()
    return out + ("`\nend\n" if end else "")


one("e20-uu-declared", uu(EICAR), CTE + "x-uuencode\n", "virus")


@technique("e21-uu-in-text", "virus")
def _():
    return raw(TOP + "\nsee below\n\n" + uu(EICAR) + "\nbye\n")


@technique("e22-uu-two-in-text", "virus")
def _():
    return raw(TOP + "\n" + uu(b"nothing", "a.txt") + "\nand\n" + uu(EICAR))


@technique("e23-uu-no-end", "virus")
def _():
    return raw(TOP + "\n" + uu(EICAR, end=False))


@technique("e24-begin-base64", "virus")
def _():
    return raw(TOP + "\nbegin-base64 644 evil.exe\n" + wrap(EICAR) + "====\n")


@technique("e25-yenc", "yenc-in-text")
def _():
    body = bytes((c + 42) % 256 for c in EICAR)
    return raw(TOP) + b"\n=ybegin line=128 size=68 name=evil.exe\n" + body + b"\n=yend size=68\n"


@technique("e26-binhex", "binhex-in-text")
def _():
    return raw(TOP + "\n(This file must be converted with BinHex 4.0)\n\n:$f*TEQKPH#...:\n")


def named(name, header, *expected):
    TECHNIQUES[name] = (lambda: mixed(TEXT, raw(header) + b"\n" + b"harmless\n"),
                        set(expected or ("name",)))


CT = "Content-Type: application/octet-stream"
CD = "Content-Disposition: attachment"
named("n01-plain", CD + '; filename="evil.exe"\n')
named("n02-name-only", CT + '; name="evil.exe"\n')
named("n03-conflict", CT + '; name="evil.exe"\n' + CD + '; filename="a.txt"\n', "name")
named("n04-2231", CD + "; filename*=utf-8'en-us'evil%2Eexe\n")
named("n05-2231-split", CD + '; filename*0="evil"; filename*1=".exe"\n')
named("n06-2231-split-enc", CD + ";\n filename*0*=utf-8''evil%2;\n filename*1*=Eex;\n filename*2=e\n")
named("n07-2231-out-of-order", CD + '; filename*1=".exe"; filename*0="evil"\n')
named("n08-2231-vs-plain", CD + "; filename=\"a.txt\"; filename*=utf-8''evil.exe\n")
named("n09-2047", CD + '; filename="=?utf-8?B?ZXZpbC5leGU=?="\n')
named("n10-2047-split", CD + '; filename="=?utf-8?Q?evil=2E?= =?utf-8?Q?exe?="\n')
named("n11-dup-filename", CD + '; filename="a.txt"; filename="evil.exe"\n')
named("n12-dup-disposition", CD + '; filename="a.txt"\n' + CD + '; filename="evil.exe"\n')
named("n13-trailing-dot", CD + '; filename="evil.exe.."\n')
named("n14-trailing-space", CD + '; filename="evil.exe   "\n')
named("n15-double-ext-spaces", CD + '; filename="photo.jpg' + " " * 60 + '.exe"\n')
named("n16-clsid", CD + '; filename="a.txt.{3050F4D8-98B5-11CF-BB82-00AA00BDCE0B}"\n', "name")
named("n17-rtlo", CD + "; filename*=utf-8''evil%E2%80%AEfdp.exe\n")
named("n18-nul", CD + '; filename="evil.exe\0.txt"\n')
named("n19-path", CD + '; filename="C:\\\\dir\\\\evil.exe"\n')
named("n20-ads", CD + '; filename="evil.exe::$DATA"\n')
named("n21-unquoted-space", CD + "; filename=my evil.exe\n")
named("n22-unterminated", CD + '; filename="evil.exe\n')
named("n23-quoted-pair", CD + '; filename="evil\\.e\\xe"\n')
named("n24-single-quotes", CD + "; filename='evil.exe'\n")
named("n25-no-semicolon", CD + ' filename="evil.exe"\n')
named("n26-unindented", CD + ';\nfilename="evil.exe"\n')
named("n27-long-300", CD + '; filename="' + "a" * 296 + '.exe"\n')
named("n28-utf16ish", CD + '; filename="=?utf-16?B?' +
      base64.b64encode("evil.exe".encode("utf-16")).decode() + '?="\n')
named("n28b-utf7", CD + '; filename="=?utf-7?Q?evil+AC4-exe?="\n')
named("n29-fullwidth-dot", CD + '; filename="evil\uff0eexe"\n', "name-lookalike")


@technique("n30-inline-rfc822-name", "name")
def _():
    inner = mixed(TEXT, CD + '; filename="evil.exe"\n\nx\n', ctype="multipart/mixed; boundary=in", b="in")
    return mixed(TEXT, b"Content-Type: message/rfc822\n\n" + inner)


def zipped(name="evil.exe", data=EICAR, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        z.writestr(name, data)
    return out.getvalue()


def archive(name, make, filename, *expected):
    TECHNIQUES[name] = (lambda: mixed(TEXT, attached(
        wrap(make()), more=f'{CD}; filename="{filename}"\n')), set(expected))


def encrypted_zip():
    z = bytearray(zipped())
    z[6] |= 1
    at = z.index(b"PK\1\2")
    z[at + 8] |= 1
    return bytes(z)


def encrypted_7z():
    header = b"\x17\x06\x10\x01\x09\x20\x00\x07\x0b\x01\x00\x01\x24\x06\xf1\x07\x01\x0a" + bytes(20)
    return b"7z\xbc\xaf\x27\x1c\0\4" + bytes(4) + struct.pack("<QQI", 16, len(header), 0) + bytes(16) + header


def unicode_path_zip():
    """The name says .txt, the Info-ZIP extra field .exe."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        info = zipfile.ZipInfo("evil.txt")
        name = b"evil.exe"
        info.extra = struct.pack("<HHBI", 0x7075, 5 + len(name), 1, zip_crc(b"evil.txt")) + name
        z.writestr(info, b"x")
    return out.getvalue()


def zip_crc(data):
    return binascii.crc32(data) & 0xffffffff


archive("n31-zip-exe", zipped, "a.zip", "name")
archive("n32-zip-as-jpg", zipped, "a.jpg", "name")
archive("n33-zip-mismatch", lambda: zipped().replace(b"evil.exe", b"evil.txt", 1), "a.zip", "name")
archive("n34-zip-nocd", lambda: zipped()[:zipped().index(b"PK\1\2")], "a.zip", "name")
archive("n35-zip-concat", lambda: zipped("a.txt", b"x") + zipped(), "a.zip", "name")
archive("n36-zip-prefix", lambda: b"\xff\xd8\xff\xe0" + bytes(500) + zipped(), "a.jpg", "name")
archive("n37-zip-enc", encrypted_zip, "a.zip", "encrypted")
archive("n38-7z-enc-hdr", encrypted_7z, "a.7z", "encrypted-names")
archive("n39-zip-nul-name", lambda: zipped("evil.exe_.txt").replace(b"evil.exe_", b"evil.exe\0"),
        "a.zip", "name")
archive("n41-zip-unicode", unicode_path_zip, "a.zip", "name")
archive("n42-zip-in-zip", lambda: zipped("inner.zip", zipped()), "a.zip", "archive-in-archive")
archive("n43-zip-stored-in-zip", lambda: zipped("inner.zip", zipped(), zipfile.ZIP_STORED), "a.zip", "name")


def tnef(*files):
    def attribute(level, ident, data):
        return struct.pack("<BII", level, ident, len(data)) + data + struct.pack("<H", sum(data) & 65535)
    out = struct.pack("<IH", 0x223e9f78, 1) + attribute(1, 0x00089006, struct.pack("<I", 0x10000))
    for name, data in files:
        out += attribute(2, 0x00069002, bytes(14))
        out += attribute(2, 0x00018010, name.encode() + b"\0")
        out += attribute(2, 0x0006800f, data)
    return out


TECHNIQUES["n40-tnef"] = (lambda: mixed(TEXT, attached(
    wrap(tnef(("AUTHORS", b"x"), ("evil.exe", EICAR))), ctype="application/ms-tnef")), {"name"})
TECHNIQUES["n40b-tnef-contents"] = (lambda: mixed(TEXT, attached(
    wrap(tnef(("AUTHORS", b"x"), ("evil.exe", EICAR))), ctype="application/ms-tnef")), {"virus"})


def structure(name, make, *expected):
    TECHNIQUES[name] = (make, set(expected))


def ctype(name, value, boundary, *expected, b=None):
    """A multipart whose Content-Type is value, and whose delimiter is boundary."""
    TECHNIQUES[name] = (lambda: mixed(TEXT, VIRUS, ctype=value, b=boundary), set(expected or ("virus",)))


MM = "multipart/mixed"
ctype("s01-plain-base64", MM + '; boundary="b1"', "b1")
ctype("s02-dup-ct-first-wins", f'text/plain\nContent-Type: {MM}; boundary="b1"', "b1")
ctype("s03-dup-ct-last-wins", f'{MM}; boundary="b1"\nContent-Type: text/plain', "b1")
ctype("s04-dup-ct-two-boundaries", f"{MM}; boundary=aa\nContent-Type: {MM}; boundary=b1", "b1")
ctype("s04b-dup-ct-two-boundaries-first", f"{MM}; boundary=b1\nContent-Type: {MM}; boundary=aa", "b1")
ctype("s05-two-boundary-params", MM + "; boundary=aa; boundary=b1", "b1")
ctype("s06-two-boundary-params-rev", MM + "; boundary=b1; boundary=aa", "b1")
ctype("s07-boundary-in-disposition", f"{MM}; boundary=b1\nContent-Disposition: inline; boundary=aa", "b1")
ctype("s08-boundary-semicolon", MM + '; boundary="b;1"', "b;1")
structure("s09-comment-in-header-name",
          lambda: mixed(TEXT, VIRUS).replace(b"Content-Type: m", b"Content-Type (x): m"), "virus")
structure("s10-space-before-colon",
          lambda: mixed(TEXT, VIRUS).replace(b"Content-Type: m", b"Content-Type : m"), "virus")
structure("s11-tab-before-colon",
          lambda: mixed(TEXT, VIRUS).replace(b"Content-Type: m", b"Content-Type\t: m"), "virus")
ctype("s12-nested-comment-param", MM + "; (a(b)c) boundary(d(e)f)=b1", "b1")
ctype("s13-invalid-param-before-boundary", MM + "; ??; =; x y z; boundary=b1", "b1")
ctype("s14-rfc2231-boundary", MM + "; boundary*0=b; boundary*1=1", "b1")
ctype("s15-rfc2231-boundary-dup-section", MM + "; boundary*0=b; boundary*0=a; boundary*1=1", "b1")
ctype("s15b-rfc2231-boundary-dup-section", MM + "; boundary*0=b; boundary*0=a; boundary*1=1", "a1")
ctype("s16-rfc2231-boundary-charset", MM + "; boundary*=us-ascii''b%31", "b1")
ctype("s17-2047-boundary", MM + '; boundary="=?us-ascii?Q?b1?="', "b1")
ctype("s18-2047-boundary-partial", MM + '; boundary="b=?us-ascii?Q?1?="', "b1")
ctype("s19-boundary-leading-space", MM + '; boundary=" b1"', "b1")
ctype("s19b-boundary-leading-space", MM + '; boundary=" b1"', " b1")
ctype("s20-boundary-trailing-space", MM + '; boundary="b1 "', "b1")
ctype("s21-boundary-unquoted-space", MM + "; boundary=b 1", "b 1")
ctype("s21b-boundary-unquoted-space", MM + "; boundary=b 1", "b")
ctype("s22-boundary-quotedpair", MM + '; boundary="b\\1"', "b1")
ctype("s23-boundary-escquote", MM + '; boundary="b\\"1"', 'b"1')
ctype("s24-boundary-unterminated-quote", MM + '; boundary="b1', "b1")
ctype("s25-boundary-empty", MM + '; boundary=""', "", "virus", "boundary-empty")
ctype("s26-boundary-missing", MM, "b1")
structure("s27-boundary-line-trailing-ws",
          lambda: mixed(TEXT, VIRUS).replace(b"--b1\n", b"--b1 \t \n"), "virus")
structure("s28-boundary-line-trailing-junk",
          lambda: mixed(TEXT, VIRUS).replace(b"--b1\n", b"--b1junk\n"), "virus")
structure("s29-boundary-prefix-nested", lambda: mixed(
    TEXT, b"Content-Type: multipart/mixed; boundary=b11\n\n--b11\n" + VIRUS + b"\n--b11--\n"), "virus")
structure("s30-same-boundary-nested", lambda: mixed(
    b"Content-Type: multipart/mixed; boundary=b1\n\n--b1\n" + raw(TEXT) + b"--b1--\n", VIRUS), "virus")
structure("s31-no-final-delimiter", lambda: mixed(TEXT, VIRUS, close=False), "virus")
structure("s32-part-after-close", lambda: mixed(TEXT) + b"--b1\n" + VIRUS + b"\n--b1--\n", "virus")
structure("s33-part-in-preamble", lambda: mixed(TEXT).replace(
    b"\n\n--b1", b"\n\n" + VIRUS + b"\n--b1", 1), "virus")
structure("s34-no-blank-before-delim", lambda: mixed(TEXT, VIRUS).replace(b"\n\n--b1", b"\n--b1", 1), "virus")
structure("s35-ws-only-line-in-header",
          lambda: mixed(TEXT, VIRUS.replace(b"\n\n", b"\n \n" + b"X-A: b\n\n", 1)), "virus")
structure("s35b-ws-only-line-ends-header",
          lambda: mixed(TEXT, VIRUS.replace(b"\n\n", b"\n \n", 1)), "virus")
structure("s36-garbage-line-in-header",
          lambda: mixed(TEXT, b"garbage here\n" + VIRUS), "virus")
structure("s36b-no-blank-line-at-all",
          lambda: mixed(TEXT, VIRUS.replace(b"\n\n", b"\n", 1)), "virus")
structure("s37-leading-blank-line", lambda: b"\n" + mixed(TEXT, VIRUS), "virus")
structure("s38-first-header-folded", lambda: mixed(TEXT, VIRUS, top=" folded\n" + TOP), "virus")
structure("s39-unknown-first-header", lambda: mixed(TEXT, VIRUS, top="X-Nobody-Knows: 1\n" + TOP), "virus")
structure("s40-long-dkim-first", lambda: mixed(
    TEXT, VIRUS, top="DKIM-Signature: v=1;\n" + " b=abcdefghijklmnop\n" * 200 + TOP), "virus")
structure("s41-bare-cr-lines", lambda: mixed(TEXT, VIRUS).replace(b"\n", b"\r"), "header-bare-cr")
structure("s42-mixed-lf-crlf", lambda: b"".join(
    line + (b"\r\n" if i % 2 else b"\n") for i, line in enumerate(mixed(TEXT, VIRUS).split(b"\n"))), "virus")
structure("s43-crcrlf", lambda: mixed(TEXT, VIRUS).replace(b"\n", b"\r\r\n"), "virus")
structure("s44-nul-in-header-name",
          lambda: mixed(TEXT, VIRUS).replace(b"Content-Type: m", b"Content\0-Type: m"), "virus")
structure("s45-nul-in-boundary",
          lambda: mixed(TEXT, VIRUS, ctype=b'multipart/mixed; boundary="b1\0x"'), "virus")
one("s46-nul-in-base64", "\0".join(B64), CTE + "base64\n", "virus")


def deep(levels, leaf=VIRUS):
    out = [raw(TOP)]
    for i in range(levels):
        out.append(b"Content-Type: multipart/mixed; boundary=d%dx\n\n--d%dx\n" % (i, i))
    out.append(leaf)
    for i in reversed(range(levels)):
        out.append(b"\n--d%dx--\n" % i)
    return b"".join(out)


structure("s47-deep30-multipart", lambda: deep(30), "virus")
structure("s47b-deep200-multipart", lambda: deep(200), "too-deep")
structure("s48-deep30-rfc822", lambda: raw(TOP) + b"Content-Type: message/rfc822\n\n" * 30 + VIRUS, "virus")
structure("s49-10000-parts", lambda: mixed(*[b"\nx\n"] * 10000, VIRUS), "virus")
structure("s49b-10000-parts", lambda: mixed(*[b"\nx\n"] * 10000, VIRUS), "too-many-parts")
structure("s50-rfc822-base64", lambda: mixed(
    TEXT, attached(wrap(mixed(TEXT, VIRUS)), ctype="message/rfc822")), "virus")
structure("s51-multipart-base64", lambda: raw(
    TOP + "Content-Type: multipart/mixed; boundary=b1\n" + CTE + "base64\n\n") + raw(
    wrap(mixed(TEXT, VIRUS).split(b"\n\n", 1)[1])), "virus")
structure("s52-message-partial", lambda: raw(
    TOP + "Content-Type: message/partial; number=1; total=2; id=x\n\n") + VIRUS, "message-partial")
structure("s53-external-body", lambda: mixed(
    TEXT, "Content-Type: message/external-body; access-type=URL; url=\"http://x.invalid/\"\n\n"
    "Content-Type: application/octet-stream\n\n"), "external-body")
structure("s54-no-mime-version", lambda: mixed(TEXT, VIRUS, top="From: a@example.org\n"), "virus")
structure("s55-mime-version-comment",
          lambda: mixed(TEXT, VIRUS, top="From: a\nMIME-Version: (x) 1 (y) . 0 (z)\n"), "virus")
ctype("s56-ct-case-fold", 'MULTIpart / MiXeD ;\n\tBOUNDARY\n =\n "b1"', "b1")
ctype("s57-ct-unknown-multipart", "multipart/x-nonsense; boundary=b1", "b1")
ctype("s58-ct-multipart-comma", "multipart/mixed, boundary=b1, charset=x", "b1")
ctype("s59-text-ct-with-parts", "text/plain; boundary=b1", "b1", "boundary-unused")
structure("s60-header-1MB", lambda: mixed(TEXT, VIRUS, top=TOP + "X-Long: " + "a" * 1000000 + "\n"), "virus")
structure("s60b-type-1MB", lambda: mixed(
    TEXT, VIRUS, ctype="multipart/mixed; x=" + "a" * 1000000 + "; boundary=b1"), "virus", "header-too-long")
structure("s61-50000-headers", lambda: mixed(TEXT, VIRUS, top=TOP + "X-Y: z\n" * 50000), "virus")
structure("s61b-50000-headers", lambda: mixed(TEXT, VIRUS, top=TOP + "X-Y: z\n" * 50000), "header-too-many")
structure("s62-dot-smuggle", lambda: raw(TOP + "\nhello\n\r.\r\nMAIL FROM:<x@y>\r\n"), "bare-cr", "clean")
structure("s63-junk-delimiter-inside-leaf", lambda: mixed(
    TEXT, attached(wrap(EICAR[:30]) + "--b1junk\n" + wrap(EICAR[30:]))), "virus", "delimiter-junk")
structure("s64-13-junk-delimiters", lambda: mixed(
    TEXT, b"\nx\n--b1j\n" * 14 + VIRUS), "virus")
structure("s65-digest-default", lambda: mixed(
    b"\n" + mixed(TEXT, VIRUS, ctype="multipart/mixed; boundary=in", b="in"),
    ctype="multipart/digest; boundary=b1"), "virus")
structure("s66-qp-rfc822", lambda: mixed(TEXT, attached(
    quoted(mixed(TEXT, VIRUS)), CTE + "quoted-printable\n", "message/rfc822")), "virus")
structure("s67-2231-hyphenated-language", lambda: mixed(
    TEXT, CD + "; filename*=utf-8'en-us-x'evil.exe\n\nx\n"), "name")
structure("s68-exe-as-jpg", lambda: mixed(TEXT, attached(
    wrap(b"MZ\x90\0\3\0\0\0" + bytes(100)), ctype="image/jpeg", more=CD + "; filename=a.jpg\n")), "type-mismatch")

structure("s69-eml-file", lambda: mixed(TEXT, attached(
    wrap(mixed(TEXT, VIRUS)), more=CD + "; filename=a.eml\n")), "virus")
structure("s70-english-begin-then-uu", lambda: raw(
    TOP + "\nbegin 644 times\nbegin 644 evil.exe\n" + uu(EICAR).split("\n", 1)[1]), "virus")
structure("s71-uu-in-encoded-text", lambda: mixed(
    attached(wrap("hello\n" + uu(EICAR)), ctype="text/plain")), "virus")
structure("s72-three-layers", lambda: mixed(attached(wrap(mixed(attached(wrap(mixed(
    TEXT, VIRUS)), ctype="message/rfc822"))), ctype="message/rfc822")), "virus")
structure("s73-boundary-nul-cut", lambda: mixed(
    TEXT, VIRUS, ctype=b'multipart/mixed; boundary="b1\0"'), "virus")
structure("s74-type-quoted", lambda: mixed(TEXT, VIRUS, ctype='"multipart/mixed"; boundary=b1'), "virus")
structure("s75-type-without-subtype", lambda: mixed(TEXT, VIRUS, ctype="multipart; boundary=b1"), "virus")

# ---- further ones: shapes that readers, archives and mail programs are known for

def attachment(name, make, filename, *expected, kind="application/octet-stream"):
    TECHNIQUES[name] = (lambda: mixed(TEXT, attached(
        wrap(make()), ctype=kind, more=f'{CD}; filename="{filename}"\n')), set(expected))


def gz(data, name="evil.exe"):
    out = io.BytesIO()
    with gzip.GzipFile(name, "wb", fileobj=out, mtime=0) as g:
        g.write(data)
    return out.getvalue()


def tarred(*names, data=b"x"):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for n in names:
            info = tarfile.TarInfo(n)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zip64_that_lies():
    """The local header says 1 byte, its zip64 field 2**63."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        with z.open(zipfile.ZipInfo("evil.exe"), "w", force_zip64=True) as f:
            f.write(EICAR)
    return out.getvalue().replace(struct.pack("<QQ", len(EICAR), len(EICAR)),
                                  struct.pack("<QQ", 2 ** 63, 2 ** 63))


def ole():
    return bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600)


def iso():
    return bytes(32769) + b"CD001" + bytes(5000)


attachment("g01-gzip-two-members", lambda: gz(b"x", "evil.exe") + gz(EICAR), "a.gz", "name")
attachment("g02-tar-absolute-name", lambda: tarred("/etc/../evil.exe"), "a.tar", "name")
attachment("g03-tar-long-name", lambda: tarred("d" * 200 + "/evil.exe"), "a.tar", "name")
attachment("g04-zip64-lies", zip64_that_lies, "a.zip", "name")
attachment("g05-zip-in-pdf", lambda: b"%PDF-1.4\n%x\n" + bytes(500) + zipped(), "a.pdf", "name")
attachment("g06-zip-in-program", lambda: b"MZ\x90\0\3" + bytes(500) + zipped(), "a.dat", "name", "zip-prefix")
attachment("g07-disk-image", iso, "a.pdf", "type-mismatch")
attachment("g08-disk-image-name", iso, "evil.exe", "name")
attachment("g09-ole-as-picture", ole, "a.jpg", "type-mismatch")
attachment("g10-link-as-text", lambda: bytes.fromhex("4c0000000114020000000000c0000000"), "a.txt", "type-mismatch")
attachment("g11-html-as-picture", lambda: b"<html><script>x</script></html>", "a.pdf", "type-mismatch")
attachment("g12-onenote-as-pdf", lambda: bytes.fromhex("e4525c7b8cd8a74d") + bytes(50), "a.pdf", "type-mismatch")
attachment("g13-zip-volume", lambda: b"PK\7\10" + zipped(), "a.z01", "name")
attachment("g14-zip-comment", lambda: zipped()[:-2] + b"\xff\xff" + b"c" * 65535, "a.zip", "name")
attachment("g15-zip-bomb", lambda: zipped("evil.exe", bytes(50000000)), "a.zip", "name")
attachment("g16-zip-utf8-flag", lambda: zipped("\u00fc/evil.exe"), "a.zip", "name")
attachment("g17-zip-backslash", lambda: zipped("evil.exe").replace(b"evil.exe", b"a\\b.exe "), "a.zip", "name")
attachment("g18-zip-in-base64-twice", lambda: base64.encodebytes(zipped()), "a.b64", "clean")


@technique("h01-from-line-escaped", "virus")
def _():
    return b">From a@example.org Mon Jan  1 00:00:00 2026\n" + mixed(TEXT, VIRUS)


@technique("h02-8bit-field-name", "virus")
def _():
    return mixed(TEXT, VIRUS, top=TOP + "X-\u00fc: 1\n\u00fc: 2\n")


structure("h03-two-mime-versions", lambda: mixed(TEXT, VIRUS, top=TOP + "MIME-Version: 2.0\n"), "virus")
structure("h04-field-folded-into-nothing", lambda: mixed(TEXT, VIRUS, ctype=" \n \n multipart/mixed;\n \n boundary=b1"),
          "virus")
structure("h05-colon-first", lambda: mixed(TEXT, VIRUS, top=TOP + ": x\n"), "virus")
structure("h06-cr-in-header-line", lambda: mixed(TEXT, VIRUS).replace(
    b"Content-Type: m", b"X-A: b\rContent-Type: m", 1), "virus", "header-bare-cr")
structure("h07-long-line-995", lambda: mixed(TEXT, VIRUS, top=TOP + "X: " + "y" * 2000 + "\n"), "virus")
structure("h08-apple-double", lambda: mixed(
    TEXT, b"Content-Type: multipart/appledouble; boundary=in\n\n--in\n"
    b"Content-Type: application/applefile; name=x\n\nx\n--in\n" + VIRUS + b"\n--in--\n"), "virus")
structure("h09-signed-opaque", lambda: mixed(TEXT, attached(
    ctype="application/pkcs7-mime; smime-type=signed-data; name=smime.p7m")), "virus")
structure("h10-pgp-encrypted", lambda: mixed(
    "Content-Type: application/pgp-encrypted\n\nVersion: 1\n", VIRUS,
    ctype='multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b1'), "virus")
structure("h11-content-location", lambda: mixed(
    TEXT, attached(b"harmless", "", more="Content-Location: http://x.invalid/a/evil.exe\n")), "name")
structure("h12-content-base", lambda: mixed(
    TEXT, attached(more="Content-Base: http://x.invalid/\nContent-MD5: AAAAAAAAAAAAAAAAAAAAAA==\n")), "virus")
structure("h13-binhex-type", lambda: mixed(TEXT, attached(
    ctype="application/mac-binhex40", more=CD + "; filename=evil.exe\n")), "name")
structure("h14-description-is-no-name", lambda: mixed(TEXT, attached(
    wrap(b"x"), more="Content-Description: evil\n" + CD + "; filename=evil.exe\n")), "name")
structure("h15-id-and-name", lambda: mixed(TEXT, attached(
    wrap(b"x"), ctype="application/octet-stream; x-mac-type=1; name*=utf-8''evil.exe")), "name")
structure("h16-name-octal-escape", lambda: mixed(TEXT, raw(CD + '; filename="evil.\\145xe"\n') + b"\nx\n"),
          "clean", "parameter-odd", "name-path")


def lines_of_uu(data, blank, more="", length=0):
    out = "begin 644 evil.exe\n"
    for i in range(0, len(data), 45):
        line = binascii.b2a_uu(data[i:i + 45]).decode().rstrip("\n")
        line = chr(ord(line[0]) + length) + line[1:]
        out += line.replace("`", blank).replace(" ", blank) + more + "\n"
    return out + blank + "\nend\n"


structure("u01-spaces", lambda: raw(TOP + "\n" + lines_of_uu(EICAR + bytes(9), " ")), "virus")
structure("u02-backticks", lambda: raw(TOP + "\n" + lines_of_uu(EICAR + bytes(9), "`")), "virus")
structure("u03-checksums", lambda: raw(TOP + "\n" + lines_of_uu(EICAR, "`", "M")), "virus", "uuencode-bad")
structure("u04-length-lies", lambda: raw(TOP + "\n" + lines_of_uu(EICAR[:45] + EICAR[45:], "`", length=1)), "name")
structure("u05-without-name", lambda: raw(TOP + "\n" + uu(EICAR, "")), "virus")
structure("u06-flowed", lambda: raw(TOP + "Content-Type: text/plain; format=flowed\n\n" + uu(EICAR)), "virus")
structure("u07-in-base64-of-text", lambda: mixed(attached(
    wrap("begin 644 evil.exe\n" + uu(EICAR).split("\n", 1)[1]), ctype="text/plain")), "virus")
structure("u08-quoted-reply", lambda: raw(TOP + "\n" + "".join(
    "> " + line + "\n" for line in uu(EICAR).splitlines())), "clean")
structure("u09-mode-four-digits", lambda: raw(TOP + "\n" + uu(EICAR, mode="0644")), "virus")
structure("u10-in-html", lambda: mixed("Content-Type: text/html\n\n<pre>\n" + uu(EICAR) + "</pre>\n"), "virus")
structure("t01-utf16-text", lambda: mixed(attached(
    wrap(("begin 644 evil.exe\n" + uu(EICAR).split("\n", 1)[1]).encode("utf-16")),
    ctype="text/plain; charset=utf-16")), "clean")
structure("t02-html-smuggling", lambda: mixed(attached(wrap(
    b"<html><script>var b=new Blob([atob('" + base64.b64encode(EICAR) + b"')])</script>"),
    ctype="text/html")), "clean")

CLEAN = {
    "c01-plain": lambda: raw(TOP + "\nhello\n"),
    "c02-mixed": lambda: mixed(TEXT, attached(wrap(b"hello" * 100), more=CD + '; filename="a.bin"\n')),
    "c03-zip": lambda: mixed(TEXT, attached(wrap(zipped("a.txt", b"x")), more=CD + '; filename="a.zip"\n')),
    "c04-words": lambda: mixed(TEXT, attached(
        wrap(b"hello"), ctype='application/pdf; name="=?utf-8?Q?B=C3=BCcher.pdf?="',
        more=CD + ";\n filename*=utf-8''B%C3%BCcher.pdf\n")),
    "c05-forwarded": lambda: mixed(TEXT, b"Content-Type: message/rfc822\n\n" + mixed(
        TEXT, TEXT, ctype="multipart/alternative; boundary=\"=_in\"", b="=_in")),
    "c06-english-begin": lambda: raw(TOP + "\nbegin 644 meters from here\nand go on\n"),
    "c07-crlf": lambda: mixed(TEXT, attached(wrap(b"hello"))).replace(b"\n", b"\r\n"),
    "c08-qp": lambda: mixed(TEXT, "Content-Type: text/plain; charset=utf-8\n" + QP + "\nB=C3=BCcher =\nund so\n"),
    "c09-mbox-line": lambda: b"From a@example.org Mon Jan  1 00:00:00 2026\n" + mixed(TEXT, TEXT),
    "c10-prefix-boundaries": lambda: mixed(TEXT, mixed(
        TEXT, ctype="multipart/alternative; boundary=b1-x", b="b1-x", top="")),
    "c11-two-zips": lambda: mixed(attached(wrap(zipped("a.txt")), more=CD + "; filename=a.zip\n"),
                                  attached(wrap(zipped("b.txt")), more=CD + "; filename=b.zip\n")),
    "c12-signature": lambda: mixed("Content-Type: text/plain\n\nhi\n-- \nme\n--\nalso me\n"),
}


def messages():
    for name, (make, expected) in sorted(TECHNIQUES.items()):
        yield name, raw(make()), expected


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(exist_ok=True)
    for name, message, _ in messages():
        (directory / f"{name}.eml").write_bytes(message)
    for name, make in CLEAN.items():
        (directory / f"{name}.eml").write_bytes(raw(make()))


if __name__ == "__main__":
    main()
