# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of a test, made with openssl."""

import os
import ssl
import subprocess


def openssl(*words):
    """What openssl prints."""
    return subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=True).stdout


class Authority:
    """Its certificate is `ca`; what it issues stands beside it, for this machine unless names say otherwise."""

    CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

    def __init__(self, folder, name="authority"):
        self.folder, self.name = folder, name
        self.ca, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl("req", "-x509", *self.CURVE, "-subj", f"/CN={name}", "-days", 30, "-keyout", self._key, "-out", self.ca)

    def issue(self, name, days=30, names="DNS:localhost,IP:127.0.0.1"):
        """(certificate, key) of that name; files there before are replaced, each at once."""
        request, extra, made, key = (self.folder / f".{name}.{kind}" for kind in ("csr", "ext", "pem", "key"))
        openssl("req", *self.CURVE, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        extra.write_text(f"subjectAltName={names}\n", encoding="ascii")
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial", "-days", days,
                "-extfile", extra, "-out", made)
        key.chmod(0o600)
        os.replace(key, self.folder / f"{name}.key")
        os.replace(made, self.folder / f"{name}.pem")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def client(self, shows=None):
        """An ssl context that believes this authority, and shows a (certificate, key)."""
        made = ssl.create_default_context(cafile=self.ca)
        if shows:
            made.load_cert_chain(*shows)
        return made


def serial_of(certificate):
    """The serial number of a certificate in a file, as ssl's getpeercert() has it."""
    return openssl("x509", "-in", certificate, "-noout", "-serial").strip().partition("=")[2]
