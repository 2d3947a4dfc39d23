"""Turns the figures of all rounds into one table beside the targets, and puts it into README.md."""

import datetime
import os
import platform
import re
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

BUILD_COMMAND = ["swift", "build", "-c", "release", "--product", "rotator-server", "--static-swift-stdlib", "-Xswiftc", "-enforce-exclusivity=unchecked"]
TITLES = {"rotator": "rotator-server", "nginx": "nginx", "caddy": "Caddy"}


@dataclass
class Metric:
    """One line of the table: a figure of each target, and what is asked of it."""
    title: str
    value: Callable[[dict, str], float]  # (the figures of one round, target); KeyError where it was not measured
    against: str | None = None           # asked of the ratio to this target; None: of the figure itself
    must: float | None = None
    aim: float | None = None
    more_is_better: bool = False
    digits: int = 1


def figure(scenario: str, name: str) -> Callable[[dict, str], float]:
    return lambda figures, target: figures[scenario][target][name]


def added(name: str) -> Callable[[dict, str], float]:
    return lambda figures, target: figures["open"][target][name] - figures["open"]["direct"][name]


METRICS = [
    Metric("CPU per unary request, µs", figure("unary", "cpu_us"), "nginx", 1.15, 0.95, digits=2),
    Metric("CPU per unary request, µs", figure("unary", "cpu_us"), "caddy", 1 / 6, 1 / 7, digits=2),
    Metric("requests/s on one core", figure("unary", "per_second"), "nginx", 0.9, 1.05, more_is_better=True, digits=0),
    Metric("added p50 at 1,500/s, µs", added("p50_us"), "nginx", 1.3, 1.0),
    Metric("added p99 at 1,500/s, µs", added("p99_us"), "nginx"),
    Metric("user instructions per unary request", figure("callgrind", "instructions"), None, 25_000, 16_000, digits=0),
    Metric("user instructions per unary request", figure("callgrind", "instructions"), "nginx", digits=0),
    Metric("KiB per open SSE stream, plain upstream", figure("streams", "kib_per_stream"), None, 12, 8),
    Metric("CPU per paced SSE event, µs", figure("paced", "cpu_us"), "nginx", 1.1, 0.85, digits=2),
    Metric("SSE events/s on one core", figure("bulk", "per_second"), "nginx", 1.0, 1.5, more_is_better=True, digits=0),
    Metric("SSE events/s on one core", figure("bulk", "per_second"), "caddy", 1.5, 2.0, more_is_better=True, digits=0),
    Metric("CPU per bulk SSE event, µs", figure("bulk", "cpu_us"), "nginx", digits=3),
    Metric("CPU per unary request with REDIS_URL, µs", figure("redis", "shared_us"), digits=2),
    Metric("CPU per unary request with REDIS_URL ÷ in-process", figure("redis", "ratio"), None, 1.05, 1.02, digits=3),
    Metric("CPU per request beside 2,000 streams ÷ alone", figure("streams", "ratio"), None, 1.3, 1.15, digits=2),
]


def table(rounds: list[dict], targets: list[str]) -> list[dict]:
    """Medians of each figure; ratios are formed within each round, and then their median is taken."""
    subject = "rotator" if "rotator" in targets else targets[-1]

    def per_round(work: Callable[[dict], float]) -> list[float]:
        values = []
        for figures in rounds:
            try:
                values.append(work(figures))
            except (KeyError, ZeroDivisionError):
                continue
        return values

    rows = []
    for metric in METRICS:
        values = {t: statistics.median(v) for t in targets if (v := per_round(lambda f: metric.value(f, t)))}
        if not values:
            continue
        row = {"metric": metric.title, "digits": metric.digits, "values": values, "against": None, 
               "must": metric.must if subject == "rotator" else None, "aim": metric.aim if subject == "rotator" else None,
               "more_is_better": metric.more_is_better, "verdict": None}
        asked = values.get(subject)
        if metric.against:
            if metric.against not in targets or metric.against == subject:
                continue
            ratios = per_round(lambda f: metric.value(f, subject) / metric.value(f, metric.against))
            row["against"] = f"{TITLES[subject]} ÷ {TITLES[metric.against]}"
            asked = statistics.median(ratios) if ratios else None
            row |= {"ratio": asked, "ratio_range": [min(ratios), max(ratios)] if ratios else None}
        if subject == "rotator" and asked is not None and metric.must is not None:
            def reaches(bound: float) -> bool:
                return asked >= bound if metric.more_is_better else asked <= bound
            row["verdict"] = "aim" if reaches(metric.aim) else "must" if reaches(metric.must) else "missed"
        rows.append(row)
    return rows


def number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def bound(value: float | None, row: dict) -> str:
    if value is None:
        return "–"
    sign = "≥" if row["more_is_better"] else "≤"
    if row["against"] and value < 0.5:
        return f"{sign} 1/{1 / value:.0f}"
    return f"{sign} {value:,g}"


def markdown(setting: dict, command: list[str], rows: list[dict], notes: list[str], rounds: int) -> str:
    lines = [f"{setting['date']}, {setting['revision']}: `{' '.join(command)}`", "",
             f"{setting['machine']}. {', '.join(setting['versions'])}.",
             f"Medians of {rounds} round{'s' if rounds > 1 else ''}; behind a ratio its least and greatest.", ""]
    targets = [t for t in TITLES if any(t in row["values"] for row in rows)]
    lines += ["| metric | " + " | ".join(TITLES[t] for t in targets) + " | ratio | must | aim | reached |",
              "| --- |" + " ---: |" * len(targets) + " --- | --- | --- | --- |"]
    for row in rows:
        ratio = "–"
        if row.get("ratio") is not None:
            low, high = row["ratio_range"]
            ratio = f"{row['ratio']:.2f} ({low:.2f}–{high:.2f}) {row['against'].partition('÷')[1]}{row['against'].partition('÷')[2]}"
        cells = [row["metric"], *(number(row["values"].get(t), row["digits"]) for t in targets), ratio, bound(row["must"], row), bound(row["aim"], row), row["verdict"] or "–"]
        lines.append("| " + " | ".join(cells) + " |")
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines)


def setting(chosen: list, repository: Path) -> dict:
    """What a reader must know of the machine to judge the figures."""
    cpu = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.*)$", cpu, re.M)
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) / 2**20
    virtual = ", virtual machine" if re.search(r"^flags.*\bhypervisor\b", cpu, re.M) else ""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    revision = git("rev-parse", "--short", "HEAD")
    changed = " with changes" if revision and git("status", "--porcelain", "--", "Sources", "Package.swift") else ""
    return {
        "date": datetime.date.today().isoformat(),
        "revision": f"revision {revision}{changed}" if revision else "no revision",
        "machine": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB{virtual}, {system}, Linux {platform.release()}",
        "versions": [target.version() for target in chosen],
    }


def write_into(readme: Path, text: str) -> None:
    begin, end = "<!-- results -->", "<!-- /results -->"
    before, found, rest = readme.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{readme.name} has no place for results: {begin} … {end}")
    readme.write_text(f"{before}{begin}\n{text}\n{end}{after}")
