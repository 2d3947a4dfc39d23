# SPDX-License-Identifier: MIT
"""The console's files as they are served, and as they are written."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess

import httpx
import pytest
from browser import CONTENT_SECURITY_POLICY, SOURCES
from harness import Rotator

FILES = sorted(str(file.relative_to(SOURCES)) for file in SOURCES.rglob("*") if file.suffix in (".js", ".css", ".svg", ".html"))


def test_the_page_and_its_files_are_served_as_they_are_written(server: Rotator):
    for name in FILES:
        answer = server.http.get(server.url + ("/" if name == "index.html" else f"/console/{name}"))
        assert answer.status_code == 200, name
        assert answer.content == (SOURCES / name).read_bytes(), f"{name} in the binary is not the one in the folder"
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "set-cookie" not in answer.headers


def test_files_come_compressed_and_are_asked_for_once(server: Rotator):
    with httpx.Client(trust_env=False) as client:
        with client.stream("GET", f"{server.url}/console/console.css", headers={"Accept-Encoding": "gzip"}) as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip" and gzip.decompress(raw) == (SOURCES / "console.css").read_bytes()
        again = client.get(f"{server.url}/console/console.css", headers={"Accept-Encoding": "gzip", "If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize("path", ["/console", "/console/", "/console/nothing.js", "/console/../admin/app-config", "/console/%2e%2e/", "/index.html"])
def test_nothing_else_is_there(server: Rotator, path: str):
    with server.raw() as raw:
        raw.send(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
        assert raw.response().status in (401, 404)


def test_the_page_needs_no_token_and_takes_no_other_method(server: Rotator):
    assert server.http.post(server.url + "/").status_code == 405
    assert server.http.head(server.url + "/", headers={"Accept-Encoding": "identity"}).headers["content-length"] == str((SOURCES / "index.html").stat().st_size)


def test_the_types_are_sound():
    compiler = shutil.which("tsc")
    assert compiler, "the type checker is not installed: apt-get install node-typescript"
    done = subprocess.run([compiler, "--noEmit", "-p", str(SOURCES / "jsconfig.json")], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout


def test_nothing_in_the_page_parses_markup_or_runs_a_text():
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|\beval\(|new Function|setAttribute\(\s*[\"']on|javascript:|https?://[^\"'`\s]*\.js\b")
    for name in FILES:
        if name.endswith(".js"):
            found = forbidden.search((SOURCES / name).read_text())
            assert found is None, f"{name}: {found and found[0]}"
    page = (SOURCES / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", page)


def test_every_text_is_used_and_every_text_that_is_used_exists():
    texts = set(re.findall(r'^  "([^"]+)":', (SOURCES / "text" / "en.js").read_text(), re.MULTILINE))
    code = "\n".join((SOURCES / name).read_text() for name in FILES if name.endswith(".js") and not name.startswith("text/"))
    # Keys that are put together from a prefix and a word of the server's.
    prefixes = set(re.findall(r'\bword\(\s*"([^"]+)"', code)) | set(re.findall(r'`([a-zA-Z.]+)\.\$\{', code)) | set(re.findall(r'badge\([^()]*(?:\([^()]*\))?[^()]*, "([^"]+)"\)', code))
    unused = {text for text in texts if f'"{text}"' not in code and not any(text.startswith(prefix + ".") for prefix in prefixes | {"state"})}
    assert unused == set()
