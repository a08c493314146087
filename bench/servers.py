"""The servers of a run: the origin, and the two caches in front of it that are compared.

Both caches get one worker thread and one core, keep no access log and store on the same file system. What is set
beyond a server's defaults is written here and nowhere else, and printed with the results.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from content import Object, make
from processes import BenchError, Cores, Process, empty_folder, free_port, pinned

START_ATTEMPTS_MAX = 5

# Much slower than either cache, so that most of a fill is still to come when the last follower has connected. nginx
# lets the bytes of the first second pass at once.
SLOW_BYTES_PER_SECOND = 16 * 1024 * 1024

ORIGIN_CONFIGURATION = """\
{user}worker_processes 1;
daemon off;
pid nginx.pid;
error_log error.log;
worker_rlimit_nofile {files};
events {{ worker_connections 4096; multi_accept on; }}
http {{
    sendfile on;
    keepalive_requests 1000000000;
    access_log access.log;
    {folders}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root www;
        add_header Cache-Control "max-age=86400";
        location /slow/ {{ alias www/; limit_rate {slow}; }}
        location ~ ^/each/(?<name>[^/]+)/ {{ rewrite ^ /$name break; }}
    }}
}}
"""

# Without tcp_nopush: with it nginx leaves TCP_NODELAY out, and the last segment of a response, where it is a small one,
# waits for the delayed acknowledgment of the one before. On loopback, hits of 64 KiB stood still for 40 ms each. At
# 1 KiB it would save nginx a tenth.
NGINX_CONFIGURATION = """\
{user}worker_processes 1;
daemon off;
pid nginx.pid;
error_log error.log;
worker_rlimit_nofile {files};
events {{ worker_connections 4096; multi_accept on; }}
http {{
    sendfile on;
    keepalive_requests 1000000000;
    access_log off;
    {folders}
    proxy_cache_path cache levels=1:2 keys_zone=bench:16m max_size=100g inactive=1d use_temp_path=off;
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_cache bench;
            proxy_cache_lock on;
            proxy_cache_lock_timeout 600s;
            proxy_cache_lock_age 600s;
            add_header X-Cache $upstream_cache_status;
        }}
    }}
}}
"""

WEIR_CONFIGURATION = """\
[server]
threads = 1

[upstream]
allow_networks = ["127.0.0.0/8"]

[log]
level = "warn"
access = "off"

{store}[[mirror]]
path = "/"
upstreams = ["http://127.0.0.1:{origin}/"]
"""


def _nginx_words(folder: Path) -> dict[str, object]:
    """What both nginx need to run as whoever runs this, in a folder of their own."""
    folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    return {
        # Only root may set it; then the worker must be root as well, to enter the folders of the run.
        "user": f"user {user} {group};\n" if os.geteuid() == 0 else "",
        "folders": "\n    ".join(f"{name}_temp_path {folder}/{name};" for name in folders),
        "files": 16384,
    }


class Server:
    """A server that can be started, several times if need be, with nothing stored."""

    name: str

    def __init__(self, folder: Path, cores: str) -> None:
        self.folder = folder
        self.cores = cores
        self.port = 0
        self.process: Process | None = None

    def configure(self) -> list[str]:
        """Writes the configuration for `self.port` and returns the command that runs the server."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Makes the folder as it is to be at the start."""
        empty_folder(self.folder)

    @contextmanager
    def running(self) -> Iterator["Server"]:
        """Runs the server for the length of the block."""
        self.process = self._start()
        try:
            yield self
        finally:
            self.process.stop()
            self.process = None

    def _start(self) -> Process:
        self.prepare()
        for attempt in range(1, START_ATTEMPTS_MAX + 1):
            # Somebody else may take the port between choosing it and listening on it.
            self.port = free_port()
            process = Process(self.name, pinned(self.cores, self.configure()), self.folder)
            try:
                process.wait_for_port(self.port)
                return process
            except BaseException as error:
                process.stop()
                if attempt == START_ATTEMPTS_MAX or not isinstance(error, BenchError):
                    raise
        raise AssertionError("the last attempt returns or raises")


class Origin(Server):
    """Static files by nginx; counts how often each path is fetched."""

    name = "origin"

    def prepare(self) -> None:
        (empty_folder(self.folder) / "www").mkdir()

    def configure(self) -> list[str]:
        words = _nginx_words(self.folder)
        text = ORIGIN_CONFIGURATION.format(port=self.port, slow=SLOW_BYTES_PER_SECOND, **words)
        (self.folder / "nginx.conf").write_text(text)
        return ["nginx", "-p", str(self.folder), "-c", "nginx.conf"]

    def put(self, name: str, length: int) -> Object:
        """Makes an object that is served as /NAME, slowly as /slow/NAME, and as whatever is below /each/NAME/."""
        return make(self.folder / "www", name, length)

    def fetches(self) -> int:
        """Requests that have ended here, of all paths."""
        with (self.folder / "access.log").open("rb") as log:
            return sum(1 for _ in log)


class Nginx(Server):
    """nginx with proxy_cache."""

    name = "nginx"

    def __init__(self, folder: Path, cores: str, origin: Origin) -> None:
        super().__init__(folder, cores)
        self.origin = origin

    def configure(self) -> list[str]:
        words = _nginx_words(self.folder)
        text = NGINX_CONFIGURATION.format(port=self.port, origin=self.origin.port, **words)
        (self.folder / "nginx.conf").write_text(text)
        return ["nginx", "-p", str(self.folder), "-c", "nginx.conf"]


class Weir(Server):
    """The gateway, with a mirror of the origin."""

    name = "weir"

    def __init__(self, folder: Path, cores: str, origin: Origin, program: Path, disks: int) -> None:
        super().__init__(folder, cores)
        self.origin = origin
        self.program = program
        self.disks = disks

    def configure(self) -> list[str]:
        disks = [str(self.folder / f"disk{number}") for number in range(self.disks)]
        store = f"[store]\ndisks = {json.dumps(disks)}\n\n" if self.disks > 1 else ""
        (self.folder / "weir.toml").write_text(WEIR_CONFIGURATION.format(origin=self.origin.port, store=store))
        listen = ["--listen", f"127.0.0.1:{self.port}", "--admin", "127.0.0.1:0"]
        return [str(self.program), "serve", "--config", "weir.toml", *listen, "--data", "data"]


def make_servers(folder: Path, cores: Cores, program: Path, disks: int) -> tuple[Origin, Weir, Nginx]:
    """The three of them, not running yet; Weir with so many disks."""
    origin = Origin(folder / "origin", cores.load)
    weir = Weir(folder / "weir", cores.server, origin, program, disks)
    return origin, weir, Nginx(folder / "nginx", cores.server, origin)
