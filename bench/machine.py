"""What the numbers were taken on: facts that have to stand beside them to mean anything."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from processes import Cores


def facts(cores: Cores) -> dict[str, str]:
    """The machine, and how busy it was at the start."""
    return {
        "processor": f"{_first_field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "cores": f"server under test on {cores.server}, load and origin on {cores.load}",
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
    }


def programs(weir: Path, revision: str) -> dict[str, str]:
    """The versions of what is compared; `revision` says which sources the gateway was built from."""
    return {
        "weir": f"{_said([str(weir), '--version'])}, {revision}",
        "nginx": _said(["nginx", "-v"]),
        "wrk": _said(["wrk", "-v"]).split(" Copyright")[0],
    }


def _first_field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _said(command: list[str]) -> str:
    """The first line that a program says, on either output."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:
        return "unknown"
    return ((done.stdout + done.stderr).strip().splitlines() or ["unknown"])[0]
