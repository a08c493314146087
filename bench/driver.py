"""Weir beside nginx: arguments, the run itself, and what is written of it. Started by `bench/run`.

The exit code is 0, or 1 when the run failed (a transfer that failed fails the run) or, with --compare, when a row got
worse by more than a tenth. Every process and every folder of the run is gone at its end, also after Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path

import machine
import report
from clients import Clients
from processes import BenchError, Cores
from rows import ROWS, Row, Sample, Stage
from servers import Server, make_servers

ROUNDS_DEFAULT = 5
FREE_BYTES_NEEDED = 6 * 2**30
BUSY_LOAD_AVERAGE = 0.5
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/run", description="Compares Weir with nginx proxy_cache.")
    names = [row.name for row in ROWS]
    parser.add_argument("--rows", type=lambda text: text.split(","), default=names, help=",".join(names))
    parser.add_argument("--rounds", type=int, help=f"turns of each server for a row, default {ROUNDS_DEFAULT}")
    parser.add_argument("--disks", type=int, default=1, help="disks of Weir's store: folders below --data; default 1")
    parser.add_argument("--quick", action="store_true", help="smaller, one round: tries the bench, measures nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="say which rows moved by more than 10 %%")
    parser.add_argument("--data", type=Path, required=True, help="folder for everything, on the disk to measure")
    parser.add_argument("--binary", type=Path, required=True, help="the gateway; left out: a release build of it")
    parser.add_argument("--revision", default="a binary from elsewhere", help=argparse.SUPPRESS)
    parser.add_argument("--load", type=Path, required=True, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.rows if name not in names]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(names)}")
    chosen.rounds = chosen.rounds or (1 if chosen.quick else ROUNDS_DEFAULT)
    if chosen.rounds < 1 or chosen.disks < 1:
        parser.error("--rounds and --disks must be at least 1")
    return chosen


def run_rows(stage: Stage, rows: list[Row], count: int) -> list[dict]:
    """Measures the rows, telling each when it is known."""
    results = []
    for row in rows:
        print(f"{row.name}: {row.meaning}", file=sys.stderr)
        reference = row.reference_seconds(stage)
        rounds = []
        for number, one in enumerate(row.rounds(stage, count), 1):
            rounds.append(one)
            turns = ", ".join(turn(name, sample, row) for name, sample in one.items())
            print(f"  round {number} of {count}: {turns}", file=sys.stderr)
        results.append(report.row_result(row, rounds, reference))
    return results


def turn(name: str, sample: Sample, row: Row) -> str:
    """One turn of one server; a rate that is far off tells of a stall that processor time does not show."""
    rate = f"{sample.requests / sample.seconds:.0f} requests/s, {sample.bytes / sample.seconds / 1e9:.2f} GB/s"
    return f"{name} {sample.cost(row.unit):.3f} {row.unit.value} ({rate})"


def run(chosen: argparse.Namespace) -> dict:
    """The whole run, in a folder that is gone afterwards."""
    cores = Cores.of_this_machine()
    facts = machine.facts(cores)
    with tempfile.TemporaryDirectory(prefix="run-", dir=chosen.data) as name:
        origin, weir, nginx = make_servers(Path(name), cores, chosen.binary.resolve(), chosen.disks)
        rows = [row.quick() if chosen.quick else row for row in ROWS if row.name in chosen.rows]
        with origin.running():
            stage = Stage(origin, weir, nginx, Clients(chosen.load.resolve(), cores.load))
            results = run_rows(stage, rows, chosen.rounds)
        return {
            "format": report.FORMAT,
            "quick": chosen.quick,
            "rounds": chosen.rounds,
            "machine": facts,
            "programs": machine.programs(chosen.binary, chosen.revision),
            "configurations": {server.name: configuration(server, name) for server in (origin, weir, nginx)},
            "rows": results,
        }


def configuration(server: Server, folder: str) -> str:
    """The configuration that a server was last started with, without the name of this run's folder."""
    (file,) = [*server.folder.glob("*.toml"), *server.folder.glob("nginx.conf")]
    return file.read_text().replace(folder, "RUN")


def publish(result: dict, chosen: argparse.Namespace) -> None:
    """Prints the tables and writes the files."""
    text = report.document(result)
    (chosen.data / "report.md").write_text(text)
    print(report.table(result["rows"]), report.waits(result["rows"]), sep="\n\n")
    print(f"\nwith configurations: {chosen.data / 'report.md'}", file=sys.stderr)
    if chosen.json:
        chosen.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def prepare(chosen: argparse.Namespace) -> None:
    """What has to be so before anything starts."""
    chosen.data.mkdir(parents=True, exist_ok=True)
    chosen.data = chosen.data.resolve()
    disk = os.statvfs(chosen.data)
    if disk.f_bavail * disk.f_frsize < FREE_BYTES_NEEDED:
        raise BenchError(f"{chosen.data} needs {FREE_BYTES_NEEDED >> 30} GiB of free space")
    busy = os.getloadavg()[0]
    if busy > BUSY_LOAD_AVERAGE and not chosen.quick:
        print(f"bench/run: this machine is busy (load average {busy:.1f}): figures will spread", file=sys.stderr)
    # 600 downloads take two descriptors each in a server.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for number in STOP_SIGNALS:
        signal.signal(number, stop)


def stop(_number: int, _frame: object) -> None:
    """Unwinds the run, which ends all that was started; being told twice must not interrupt that."""
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: None)
    raise KeyboardInterrupt


def main() -> int:
    """Returns the exit code."""
    chosen = arguments()
    try:
        old = json.loads(chosen.compare.read_text()) if chosen.compare else None
        prepare(chosen)
        result = run(chosen)
        publish(result, chosen)
        if old is None:
            return 0
        words, is_worse = report.compare(old, result)
        print(f"\nsince {chosen.compare}:\n{words}")
        return 1 if is_worse else 0
    except (BenchError, OSError) as error:
        print(f"bench/run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench/run: stopped", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
