"""Keys and certificates for tests, by the openssl command.

    c = Certificates(scratch)
    cert = c.make("mx.example")         # by c.ca; .context(), .sha256, .spki
"""
import functools
import hashlib
import ssl
import subprocess


def openssl(*args, **kw):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, **kw).stdout


class Certificate:
    def __init__(self, key, cert, chain=b""):
        self.key, self.cert = key, cert
        if chain:
            cert.write_bytes(cert.read_bytes() + chain)
        self.der = openssl("x509", "-in", cert, "-outform", "DER")
        self.sha256 = hashlib.sha256(self.der).hexdigest()
        public = openssl("x509", "-in", cert, "-noout", "-pubkey")
        spki = openssl("pkey", "-pubin", "-outform", "DER", input=public)
        self.spki = hashlib.sha256(spki).hexdigest()

    def context(self, **settings):
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        c.load_cert_chain(self.cert, self.key)
        for name, value in settings.items():
            setattr(c, name, value)
        return c


class Certificates:
    def __init__(self, where):
        self.dir = where
        where.mkdir(exist_ok=True)
        self.authority = self.make("Test CA", ca=True, by=None)
        self.ca = self.authority.cert

    def make(self, name, by="", days=30, ca=False, names=()):
        """by: a Certificate; "" the authority; None: itself."""
        key, cert = self.dir / f"{name}.key", self.dir / f"{name}.pem"
        by = self.authority if by == "" else by
        alt = ",".join(n if ":" in n else "DNS:" + n for n in (name, *names)) if not ca else ""
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        request = openssl(
            "req", "-new", "-key", key, "-subj", f"/CN={name}",
            "-addext", f"basicConstraints=critical,CA:{str(ca).upper()}",
            *(("-addext", "subjectAltName=" + alt) if alt else ()))
        openssl("x509", "-req", "-copy_extensions", "copyall", "-days", days, "-out", cert,
                *(("-CA", by.cert, "-CAkey", by.key) if by else ("-signkey", key)), input=request)
        return Certificate(key, cert, by.cert.read_bytes() if by else b"")


@functools.cache
def shared():
    """One set for all tests of a run: keys take their time."""
    import atexit
    import pathlib
    import tempfile

    import postern
    top = pathlib.Path(tempfile.mkdtemp(prefix="postern-certs."))
    atexit.register(postern.wipe, top)
    top.chmod(0o755)
    c = Certificates(top)
    c.mx, c.other = c.make("mx.example"), c.make("other.example")
    c.self_signed = c.make("alone.example", by=None)
    return c
