"""Asking servers for objects: wrk for small ones, weir-load for large and many, and a whole check by digest.

Every client counts what failed, and a failure ends the run: figures of a server that drops transfers mean nothing.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from content import Object
from processes import BenchError, pinned

# What the clients of one run may take at most, however slow the machine is.
CLIENT_SECONDS_MAX = 1200
HIT_SECONDS_MAX = 30.0
READ_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Delivered:
    """What a client got, all of it whole."""

    requests: int
    bytes: int
    seconds: float
    first_byte_p50_seconds: float | None = None
    first_byte_p99_seconds: float | None = None


@dataclass(frozen=True)
class Clients:
    """The load programs, and the cores they run on."""

    load_program: Path
    cores: str

    def repeat_for(self, seconds: int, connections: int, port: int, path: str, length: int) -> Delivered:
        """One object over and over, on connections that stay open, by wrk."""
        return self._wrk(seconds, connections, port, path, length, [])

    def each_for(self, seconds: int, connections: int, port: int, folder: str, length: int) -> Delivered:
        """As `repeat_for`, every request for another object of the folder."""
        return self._wrk(seconds, connections, port, folder, length, ["--", "each"])

    def _wrk(
        self, seconds: int, connections: int, port: int, path: str, length: int, arguments: list[str]
    ) -> Delivered:
        script = Path(__file__).with_name("wrk.lua")
        url = f"http://127.0.0.1:{port}{path}"
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
        result = self._run(["wrk", *options, url, *arguments])
        if result["errors"] or result["requests"] == 0:
            raise BenchError(f"wrk: {result['errors']} of {result['requests']} requests of {url} failed")
        if result["bytes"] < result["requests"] * length:
            raise BenchError(f"wrk: {result['requests']} responses of {url} were shorter than {length} bytes each")
        return Delivered(result["requests"], result["bytes"], result["seconds"])

    def download(self, transfers: int, connections: int, port: int, path: str, length: int) -> Delivered:
        """Whole downloads, so many in all and at once, each checked by its length and the marks of its pages."""
        command = [str(self.load_program), "--address", f"127.0.0.1:{port}", "--path", path]
        command += ["--length", str(length), "--connections", str(connections), "--transfers", str(transfers)]
        result = self._run(command)
        if result["failures"] or result["transfers"] != transfers:
            raise BenchError(f"{result['failures']} of {transfers} transfers failed: {result['first_failure']}")
        return Delivered(
            result["transfers"],
            result["bytes"],
            result["seconds"],
            result["first_byte_p50_seconds"],
            result["first_byte_p99_seconds"],
        )

    def _run(self, command: list[str]) -> dict:
        """Runs a load program to its end; its last line of output is JSON."""
        try:
            done = subprocess.run(
                pinned(self.cores, command), capture_output=True, text=True, timeout=CLIENT_SECONDS_MAX, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{command[0]} did not end within {CLIENT_SECONDS_MAX} s") from error
        lines = done.stdout.strip().splitlines()
        if done.returncode != 0 or not lines:
            raise BenchError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()}")
        return json.loads(lines[-1])


def check_whole(port: int, path: str, wanted: Object) -> str:
    """Fetches the object and compares every byte by its digest; returns the field X-Cache."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        digest = hashlib.sha256()
        while piece := response.read(READ_BYTES):
            digest.update(piece)
    finally:
        connection.close()
    if response.status != 200 or digest.hexdigest() != wanted.sha256:
        raise BenchError(f"port {port} answered {path} with {response.status} and wrong bytes: {response.headers}")
    return response.getheader("X-Cache", "")


def check_stored(port: int, path: str, wanted: Object) -> None:
    """Returns when the object is answered from the store, every byte right."""
    deadline = time.monotonic() + HIT_SECONDS_MAX
    while (said := check_whole(port, path, wanted)) != "HIT":
        if time.monotonic() > deadline:
            raise BenchError(f"port {port} does not store {path}: X-Cache is {said!r}")
        time.sleep(0.1)
