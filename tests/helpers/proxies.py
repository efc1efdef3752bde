"""Real reverse proxies for the tests of the page: nginx and Caddy from Debian, with the lines that they are given."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.camera import wait_until
from helpers.mqtt import free_port

_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {lines}
  }}
}}
"""
_CADDY = """
{{
  admin off
  auto_https off
  storage file_system {folder}/storage
}}
http://127.0.0.1:{port} {{
  {lines}
}}
"""


def _program(name: str, package: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("EDGEFASHION_TEST_PROXY") == "required":
            pytest.fail(f"no proxy: apt-get install {package}")
        pytest.skip(f"{name} is not installed (apt-get install {package})")
    return found


@contextlib.contextmanager
def _running(command: list[str], port: int, folder: Path) -> Iterator[str]:
    log = folder / "proxy.log"

    def listens() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, **home})
    try:
        wait_until(listens, f"{command[0]} to listen")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def nginx(folder: Path, lines: str) -> Iterator[str]:
    """An nginx with ``lines`` in its one server block. Gives its address, which ends without a slash."""
    port = free_port()
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port, lines=lines))
    command = [_program("nginx", "nginx-light"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with _running(command, port, folder) as address:
        yield address


@contextlib.contextmanager
def caddy(folder: Path, lines: str) -> Iterator[str]:
    """Caddy with ``lines`` in its one site. Gives its address, which ends without a slash."""
    port = free_port()
    (folder / "Caddyfile").write_text(_CADDY.format(folder=folder, port=port, lines=lines))
    command = [_program("caddy", "caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    with _running(command, port, folder) as address:
        yield address
