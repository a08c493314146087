"""Figures out of samples: medians, ratios, the table, and what moved since another run.

The ratio of a row is the median of the ratios of its rounds, not the ratio of the medians: the two servers of a round
were measured next to each other, and what slowed one has mostly slowed the other.
"""

from __future__ import annotations

from statistics import median

from processes import BenchError
from rows import Round, Row

FORMAT = 1
MOVED = 0.10
SERVERS = ("weir", "nginx")


def row_result(row: Row, rounds: list[Round], reference_seconds: float | None) -> dict:
    """What the JSON file says about one row."""
    result: dict = {"name": row.name, "meaning": row.meaning, "unit": row.unit.value}
    for name in SERVERS:
        samples = [one[name] for one in rounds]
        result[name] = {
            "cost": _spread([sample.cost(row.unit) for sample in samples]),
            "peak_memory_bytes": max(sample.peak_memory_bytes for sample in samples),
            "origin_fetches": max(sample.origin_fetches for sample in samples),
            "seconds": median(sample.seconds for sample in samples),
            "first_byte_p50_seconds": _median_known(samples, "first_byte_p50_seconds"),
            "first_byte_p99_seconds": _median_known(samples, "first_byte_p99_seconds"),
        }
    ratios = [one["weir"].cost(row.unit) / max(one["nginx"].cost(row.unit), 1e-9) for one in rounds]
    result["ratio"] = _spread(ratios)
    result["origin_seconds"] = reference_seconds
    return result


def _spread(values: list[float]) -> dict[str, float]:
    spread = {"median": median(values), "min": min(values), "max": max(values)}
    return {name: round(value, 6) for name, value in spread.items()}


def _median_known(samples: list, name: str) -> float | None:
    known = [value for sample in samples if (value := getattr(sample, name)) is not None]
    return median(known) if known else None


def table(rows: list[dict]) -> str:
    """The results as a table in Markdown."""
    lines = [
        "| Row | Unit | Weir | nginx | Weir / nginx (min–max) | Peak memory, Weir | nginx |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        weir, nginx, ratio = row["weir"], row["nginx"], row["ratio"]
        cells = [
            f"`{row['name']}`",
            row["unit"],
            _number(weir["cost"]["median"]),
            _number(nginx["cost"]["median"]),
            f"**{ratio['median']:.2f}** ({ratio['min']:.2f}–{ratio['max']:.2f})",
            _mebibytes(weir["peak_memory_bytes"]),
            _mebibytes(nginx["peak_memory_bytes"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def waits(rows: list[dict]) -> str:
    """First bytes, times and fetches of the rows with whole downloads, as a table in Markdown."""
    lines = [
        "| Row | Server | First byte p50 | p99 | All done after | Origin alone takes | Fetches at the origin |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        alone = row["origin_seconds"]
        for name in SERVERS:
            own = row[name]
            if own["first_byte_p50_seconds"] is None:
                continue
            cells = [f"`{row['name']}`", "Weir" if name == "weir" else name]
            cells += [_seconds(own["first_byte_p50_seconds"]), _seconds(own["first_byte_p99_seconds"])]
            cells += [_seconds(own["seconds"]), _seconds(alone), str(own["origin_fetches"])]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine_lines(result: dict) -> str:
    """The facts about machine and programs as a list in Markdown."""
    facts = {**result["machine"], **result["programs"], "rounds": result["rounds"]}
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def document(result: dict) -> str:
    """Everything about a run in Markdown."""
    parts = ["# Weir beside nginx\n"]
    if result["quick"]:
        parts.append("**A quick run: it shows that the bench works, its figures mean nothing.**\n")
    parts += [machine_lines(result) + "\n", table(result["rows"]) + "\n", waits(result["rows"]) + "\n"]
    for name, text in result["configurations"].items():
        parts.append(f"## Configuration of {name}\n\n```\n{text}```\n")
    return "\n".join(parts)


def compare(old: dict, new: dict) -> tuple[str, bool]:
    """Which rows moved by more than a tenth, in words, and whether one of them got worse.

    Ratios are compared, because they survive a change of machine; what a row costs Weir by itself is told beside them.
    """
    for result in (old, new):
        if result.get("format") != FORMAT:
            raise BenchError(f"only results of format {FORMAT} can be compared")
        if result["quick"]:
            raise BenchError("figures of a quick run mean nothing and are not compared")
    before = {row["name"]: row for row in old["rows"]}
    lines, is_worse = [], False
    for row in new["rows"]:
        if row["name"] not in before:
            lines.append(f"{row['name']}: new")
            continue
        earlier = before[row["name"]]
        change = row["ratio"]["median"] / earlier["ratio"]["median"] - 1
        if abs(change) <= MOVED:
            continue
        is_worse = is_worse or change > 0
        lines.append(_moved(earlier, row, change) + _overlap(earlier, row))
    return "\n".join(lines) or f"no row moved by more than {MOVED:.0%}", is_worse


def _moved(earlier: dict, row: dict, change: float) -> str:
    """How a row moved, in words."""
    costs = [_number(one["weir"]["cost"]["median"]) for one in (earlier, row)]
    ratios = [f"{one['ratio']['median']:.2f}" for one in (earlier, row)]
    verdict = "worse" if change > 0 else "better"
    return (
        f"{row['name']}: {verdict} by {abs(change):.0%}: {' → '.join(ratios)} of nginx"
        f" (Weir alone {' → '.join(costs)} {row['unit']})"
    )


def _overlap(earlier: dict, row: dict) -> str:
    """A word of doubt where the rounds of both runs overlap."""
    one, other = earlier["ratio"], row["ratio"]
    overlaps = one["min"] <= other["max"] and other["min"] <= one["max"]
    return "; the rounds of the two runs overlap, so run it again" if overlaps else ""


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"
