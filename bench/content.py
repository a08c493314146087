"""The objects that are served: one stream of bytes, cut off at different lengths.

Each page begins with a mark that follows from its number, which the load client checks (bench/load/src/content.rs holds
the same formula); the rest is noise that nothing can compress. The digest of each object is kept for whole checks.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = 4096
MARK_STEP = 0x9E3779B97F4A7C15
PIECE_PAGES = 256
NOISE_SEED = 9111

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True)
class Object:
    """A file at the origin."""

    name: str
    length: int
    sha256: str


def make(folder: Path, name: str, length: int) -> Object:
    """Writes the object into the folder and takes its digest."""
    digest = hashlib.sha256()
    noise = random.Random(NOISE_SEED).randbytes(PIECE_PAGES * PAGE_BYTES)
    with (folder / name).open("wb") as file:
        for first_page in range(0, -(-length // PAGE_BYTES), PIECE_PAGES):
            piece = _piece(noise, first_page)[: length - first_page * PAGE_BYTES]
            digest.update(piece)
            file.write(piece)
    return Object(name, length, digest.hexdigest())


def _piece(noise: bytes, first_page: int) -> bytes:
    piece = bytearray(noise)
    for page in range(PIECE_PAGES):
        mark = (first_page + page + 1) * MARK_STEP % 2**64
        piece[page * PAGE_BYTES : page * PAGE_BYTES + 8] = mark.to_bytes(8, "little")
    return bytes(piece)
