"""The rows of the benchmark, and how one is measured.

A row that serves hits starts both servers, has them store the object, and then lets them take turns: weir, nginx, weir,
nginx. A row that fills starts a server anew with an empty store for each of its turns, so that nothing is left of the
round before; starting up is not part of the measurement, what a server still does after the last byte is. In each
round the two are measured within seconds of each other, so that a machine that is busy for a while slows both.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Callable, Iterator

from clients import Clients, Delivered, check_stored
from content import GIB, KIB, MIB, Object
from processes import BenchError
from servers import Nginx, Origin, Server, Weir

# A hundred ticks of the kernel's clock and some to spare.
PROCESSOR_SECONDS_WANTED = 1.5
WRK_SECONDS_MAX = 20
TRANSFERS_MAX = 4000

QUICK_LENGTH_MAX = 64 * MIB
QUICK_CONNECTIONS_MAX = 40


class Unit(Enum):
    """What processor time is divided by."""

    REQUEST = "µs/request"
    GIGABYTE = "CPU-s/GB"


class Program(Enum):
    """What makes the load of a row of hits."""

    WRK = "wrk"
    DOWNLOADS = "weir-load"


@dataclass(frozen=True)
class Sample:
    """One turn of one server."""

    processor_seconds: float
    requests: int
    bytes: int
    seconds: float
    peak_memory_bytes: int
    origin_fetches: int
    first_byte_p50_seconds: float | None = None
    first_byte_p99_seconds: float | None = None

    def cost(self, unit: Unit) -> float:
        """Processor time per unit."""
        match unit:
            case Unit.REQUEST:
                return self.processor_seconds / self.requests * 1e6
            case Unit.GIGABYTE:
                return self.processor_seconds / (self.bytes / 1e9)


@dataclass
class Stage:
    """What the rows play on: a running origin, the two caches, and the load."""

    origin: Origin
    weir: Weir
    nginx: Nginx
    clients: Clients
    objects: dict[int, Object] = field(default_factory=dict)

    def object(self, length: int) -> Object:
        """The object of this length, made when it is first asked for."""
        if length not in self.objects:
            self.objects[length] = self.origin.put(f"{length}.bin", length)
        return self.objects[length]

    def measure(self, server: Server, load: Callable[[], Delivered]) -> Sample:
        """Runs the load and takes what it cost the server."""
        process = server.process
        if process is None:
            raise BenchError(f"{server.name} is measured without running")
        process.forget_peak_memory()
        fetches = self.origin.fetches()
        before = process.quiet_processor_seconds()
        delivered = load()
        after = process.quiet_processor_seconds()
        return Sample(
            processor_seconds=after - before,
            requests=delivered.requests,
            bytes=delivered.bytes,
            seconds=delivered.seconds,
            peak_memory_bytes=process.peak_memory_bytes(),
            origin_fetches=self.origin.fetches() - fetches,
            first_byte_p50_seconds=delivered.first_byte_p50_seconds,
            first_byte_p99_seconds=delivered.first_byte_p99_seconds,
        )


Round = dict[str, Sample]


@dataclass(frozen=True)
class HitRow:
    """Objects that are stored."""

    name: str
    meaning: str
    unit: Unit
    length: int
    connections: int
    program: Program
    # Seconds of wrk, or transfers; None to find how much it takes.
    amount: int | None = None

    def quick(self) -> "HitRow":
        """The same in a second or two, for trying the bench itself."""
        connections = min(self.connections, QUICK_CONNECTIONS_MAX)
        amount = 1 if self.program is Program.WRK else connections
        return replace(self, length=min(self.length, QUICK_LENGTH_MAX), connections=connections, amount=amount)

    def rounds(self, stage: Stage, count: int) -> Iterator[Round]:
        """Measures so many rounds."""
        wanted = stage.object(self.length)
        with stage.weir.running(), stage.nginx.running():
            servers = (stage.weir, stage.nginx)
            for server in servers:
                check_stored(server.port, f"/{wanted.name}", wanted)
            amount = self.amount or max(self._amount_for(stage, server) for server in servers)
            for _ in range(count):
                yield {server.name: self._turn(stage, server, amount) for server in servers}

    def reference_seconds(self, stage: Stage) -> float | None:
        """Hits have nothing to do with the origin's speed."""
        return None

    def _turn(self, stage: Stage, server: Server, amount: int) -> Sample:
        path = f"/{stage.object(self.length).name}"
        match self.program:
            case Program.WRK:
                load = lambda: stage.clients.repeat_for(amount, self.connections, server.port, path, self.length)
            case Program.DOWNLOADS:
                load = lambda: stage.clients.download(amount, self.connections, server.port, path, self.length)
        sample = stage.measure(server, load)
        if sample.origin_fetches:
            raise BenchError(f"{self.name}: {server.name} went to the origin {sample.origin_fetches} times for hits")
        return sample

    def _amount_for(self, stage: Stage, server: Server) -> int:
        """How much it takes until the server has used enough processor time to be measured in ticks."""
        amount, most = (1, WRK_SECONDS_MAX) if self.program is Program.WRK else (self.connections, TRANSFERS_MAX)
        while True:
            used = self._turn(stage, server, amount).processor_seconds
            enough = -(-amount * PROCESSOR_SECONDS_WANTED // max(used, 0.01))
            if used >= PROCESSOR_SECONDS_WANTED * 0.8 or amount >= most:
                return amount
            # From little time little follows: no more than ten times as much at once.
            amount = int(min(most, enough, amount * 10))


@dataclass(frozen=True)
class FillRow:
    """An object that is not stored, asked for by this many clients at once."""

    name: str
    meaning: str
    unit: Unit
    length: int
    connections: int
    folder: str = "/"

    def quick(self) -> "FillRow":
        """The same in a second or two, for trying the bench itself."""
        connections = min(self.connections, QUICK_CONNECTIONS_MAX)
        return replace(self, length=min(self.length, QUICK_LENGTH_MAX), connections=connections)

    def rounds(self, stage: Stage, count: int) -> Iterator[Round]:
        """Measures so many rounds."""
        for _ in range(count):
            yield {server.name: self._turn(stage, server) for server in (stage.weir, stage.nginx)}

    def reference_seconds(self, stage: Stage) -> float | None:
        """How long the origin takes for one client without a cache between."""
        path = f"{self.folder}{stage.object(self.length).name}"
        return stage.clients.download(1, 1, stage.origin.port, path, self.length).seconds

    def _turn(self, stage: Stage, server: Server) -> Sample:
        wanted = stage.object(self.length)
        path = f"{self.folder}{wanted.name}"
        # What the round before has written shall not be written back in the middle of this one.
        os.sync()
        with server.running():
            many = self.connections
            load = lambda: stage.clients.download(many, many, server.port, path, self.length)
            sample = stage.measure(server, load)
            if sample.origin_fetches != 1 and server is stage.weir:
                raise BenchError(f"{self.name}: weir fetched {sample.origin_fetches} times instead of once")
            check_stored(server.port, path, wanted)
        return sample


@dataclass(frozen=True)
class SmallFillRow:
    """Objects that are not stored, each of them asked for once, one after the other on each connection."""

    name: str
    meaning: str
    unit: Unit
    length: int
    connections: int
    seconds: int = 4

    def quick(self) -> "SmallFillRow":
        """The same in a second, for trying the bench itself."""
        return replace(self, seconds=1)

    def rounds(self, stage: Stage, count: int) -> Iterator[Round]:
        """Measures so many rounds."""
        for _ in range(count):
            yield {server.name: self._turn(stage, server) for server in (stage.weir, stage.nginx)}

    def reference_seconds(self, stage: Stage) -> float | None:
        """How fast they come depends on the servers alone."""
        return None

    def _turn(self, stage: Stage, server: Server) -> Sample:
        wanted = stage.object(self.length)
        folder = f"/each/{wanted.name}/"
        os.sync()
        with server.running():
            load = lambda: stage.clients.each_for(self.seconds, self.connections, server.port, folder, self.length)
            sample = stage.measure(server, load)
            # wrk gives up what is under way when its time is over.
            if not 0 <= sample.origin_fetches - sample.requests <= self.connections:
                raise BenchError(f"{self.name}: {server.name} fetched {sample.origin_fetches} of {sample.requests}")
            for number in (1, sample.requests):
                check_stored(server.port, f"{folder}{number}", wanted)
        return sample


Row = HitRow | FillRow | SmallFillRow

ROWS: tuple[Row, ...] = (
    HitRow("hit-1k", "hits of 1 KiB, 16 connections", Unit.REQUEST, KIB, 16, Program.WRK),
    HitRow("hit-64k", "hits of 64 KiB, 16 connections", Unit.REQUEST, 64 * KIB, 16, Program.WRK),
    HitRow("hit-1m", "hits of 1 MiB, 16 connections", Unit.GIGABYTE, MIB, 16, Program.WRK),
    HitRow("hit-64m", "hits of 64 MiB, 4 connections", Unit.GIGABYTE, 64 * MIB, 4, Program.DOWNLOADS),
    HitRow("hit-1g", "hits of 1 GiB, 2 connections", Unit.GIGABYTE, GIB, 2, Program.DOWNLOADS),
    HitRow("many-600x64m", "600 hits of 64 MiB at once", Unit.GIGABYTE, 64 * MIB, 600, Program.DOWNLOADS, 600),
    SmallFillRow("cold-1k", "objects of 1 KiB that are not stored, 16 connections", Unit.REQUEST, KIB, 16),
    SmallFillRow("cold-64k", "objects of 64 KiB that are not stored, 16 connections", Unit.REQUEST, 64 * KIB, 16),
    FillRow("cold-1g", "1 GiB that is not stored, one client", Unit.GIGABYTE, GIB, 1),
    FillRow("followers-200", "64 MiB from a slow origin, 200 clients", Unit.GIGABYTE, 64 * MIB, 200, "/slow/"),
)
