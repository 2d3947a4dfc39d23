# SPDX-License-Identifier: MIT
"""A private certificate authority, made with the openssl command."""

from __future__ import annotations

import pathlib
import subprocess

CONFIG = """
[ca]
default_ca = ours
[ours]
dir = .
database = ./index.txt
serial = ./serial
new_certs_dir = .
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
[request]
distinguished_name = name
[name]
"""


class Authority:
    """Certificates are made once each; `issue` returns (chain, key) as paths."""

    def __init__(self, directory: pathlib.Path, name: str = "Acceptance CA"):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "ca.cnf").write_text(CONFIG)
        (directory / "index.txt").write_text("")
        (directory / "serial").write_text("1000\n")
        self.certificate = directory / "ca.pem"
        self.openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", f"/CN={name}",
            "-keyout", "ca.key", "-out", "ca.pem", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip

    def openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.directory, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def issue(self, label: str, names: str = "DNS:localhost,IP:127.0.0.1", start: str = "20240101000000Z", end: str = "20991231000000Z") -> tuple[str, str]:
        self.openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={label}", "-keyout", f"{label}.key",
            "-out", f"{label}.csr", "-addext", f"subjectAltName={names}",
        )  # fmt: skip
        self.openssl("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", f"{label}.csr", "-out", f"{label}.pem", "-notext", "-startdate", start, "-enddate", end)
        return str(self.directory / f"{label}.pem"), str(self.directory / f"{label}.key")
