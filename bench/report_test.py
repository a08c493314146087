"""Tests of the figures: `python3 -B -m unittest discover --start-directory bench --pattern '*_test.py'`."""

from __future__ import annotations

import hashlib
import tempfile
import unittest
from pathlib import Path

import report
from content import PAGE_BYTES, make
from processes import BenchError
from rows import HitRow, Program, Sample, Unit

ROW = HitRow("hit-1k", "hits", Unit.REQUEST, 1024, 16, Program.WRK)


def one_round(weir: float, nginx: float) -> dict[str, Sample]:
    """A round in which a million requests took this much processor time."""
    return {name: Sample(seconds, 10**6, 10**9, 2.0, 2**20, 0) for name, seconds in (("weir", weir), ("nginx", nginx))}


def result_with(ratio: float, quick: bool = False) -> dict:
    """A run whose only row has this ratio, give or take little."""
    rounds = [one_round(ratio * share, share) for share in (10, 11, 12)]
    return {"format": report.FORMAT, "quick": quick, "rows": [report.row_result(ROW, rounds, None)]}


class Figures(unittest.TestCase):
    """Medians, ratios and what moved."""

    def test_a_round_that_was_slow_for_both_does_not_move_the_ratio(self) -> None:
        row = report.row_result(ROW, [one_round(10, 20), one_round(30, 60), one_round(12, 24)], None)
        self.assertEqual(row["ratio"], {"median": 0.5, "min": 0.5, "max": 0.5})
        self.assertEqual(row["weir"]["cost"], {"median": 12.0, "min": 10.0, "max": 30.0})

    def test_a_gigabyte_has_nine_zeros(self) -> None:
        self.assertEqual(one_round(3, 1)["weir"].cost(Unit.GIGABYTE), 3.0)

    def test_small_moves_are_not_told(self) -> None:
        words, is_worse = report.compare(result_with(1.0), result_with(1.09))
        self.assertIn("no row moved", words)
        self.assertFalse(is_worse)

    def test_what_got_worse_is_told_from_what_got_better(self) -> None:
        for ratio, verdict, expected in ((1.2, "worse by 20%", True), (0.8, "better by 20%", False)):
            words, is_worse = report.compare(result_with(1.0), result_with(ratio))
            self.assertIn(verdict, words)
            self.assertEqual(is_worse, expected)

    def test_quick_runs_are_not_compared(self) -> None:
        with self.assertRaises(BenchError):
            report.compare(result_with(1.0), result_with(1.0, quick=True))

    def test_every_row_has_its_line(self) -> None:
        line = "| `hit-1k` | µs/request | 16.5 | 11.0 | **1.50** (1.50–1.50) | 1 MiB | 1 MiB |"
        self.assertIn(line, report.table(result_with(1.5)["rows"]))


class Content(unittest.TestCase):
    """Objects as the load client expects them."""

    def test_each_page_begins_with_its_mark(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            made = make(Path(folder), "a", 2 * PAGE_BYTES + 3)
            held = (Path(folder) / "a").read_bytes()
        self.assertEqual(len(held), made.length)
        self.assertEqual(hashlib.sha256(held).hexdigest(), made.sha256)
        self.assertEqual(held[:8].hex(), "157c4a7fb979379e")
        self.assertEqual(held[PAGE_BYTES : PAGE_BYTES + 8].hex(), "2af894fe72f36e3c")


if __name__ == "__main__":
    unittest.main()
