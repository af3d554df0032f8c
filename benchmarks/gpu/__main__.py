"""Everything that only a GPU can show, in one command and less than nine minutes.

::

    python -m benchmarks.gpu                          # all steps, on generated photos
    python -m benchmarks.gpu --photos DIR             # on real ones, from below a folder
    python -m benchmarks.gpu codecs parity            # some steps

Each step is a process of its own with a time limit, so that one that hangs or crashes costs no
other. Without a GPU every step runs on DALI's CPU backend, as far as it can and on few photos, and
the table says so: then it proves the proof alone.

Findings go to ``--out``: ``table.md``, which can be pasted into an issue; ``chart.png``, its builds
and pixels as bars; ``report.json``, every number; ``log.txt``, all that was printed, nvImageCodec's
lines too.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.gpu.chart import chart
from benchmarks.gpu.setting import Numbers, Setting, say
from benchmarks.gpu.steps import FAILED, SECONDS, STEPS
from benchmarks.gpu.table import table

LINE = 300
"""Characters of a line that are shown; the log has all."""


def main() -> int:
    """Run the steps that were asked for; 1 if one of them found no result, 130 after Ctrl-C."""
    args = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    setting = replace(
        Setting.here(), work=args.work, photos=args.photos, build_photos=args.build_photos
    )
    report: Numbers = {"device": setting.device, "why": setting.why, "seconds": {}}
    try:
        setting.work.mkdir(parents=True, exist_ok=True)
        args.out.mkdir(parents=True, exist_ok=True)
        stopped = _run(args, setting, report)
    except OSError as error:
        say(f"{error.filename or args.out}: {error.strerror}")
        return 1
    finally:
        say(f"\n{table(report)}")
    if stopped:
        return 130
    return int(any("failed" in report[step] for step in report["seconds"]))


def _run(args: argparse.Namespace, setting: Setting, report: Numbers) -> bool:
    """Run all steps and write what they find; whether it was stopped."""
    end = time.monotonic() + args.seconds
    stopped = False
    with (args.out / "log.txt").open("w") as log:
        for step in args.steps or STEPS:
            left = end - time.monotonic()
            say(f"=== {step}")
            log.write(f"\n=== {step}\n")
            log.flush()
            began = time.monotonic()
            try:
                report[step] = _step(step, setting, min(SECONDS[step], left), log)
            except KeyboardInterrupt:
                report[step], stopped = {"failed": "stopped"}, True
            report["seconds"][step] = round(time.monotonic() - began, 1)
            (args.out / "report.json").write_text(json.dumps(report, indent=1, default=str))
            if stopped:
                break
    (args.out / "table.md").write_text(table(report))
    say(chart(report, args.out / "chart.png"))
    say(f"all of it: {args.out / 'report.json'}, {args.out / 'log.txt'}")
    return stopped


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("steps", nargs="*", type=_known, metavar="STEP", help=", ".join(STEPS))
    add("--photos", type=Path, metavar="DIR", help="folder of real JPEGs, at any depth")
    add("--out", type=Path, default=Path("benchmarks/results/gpu"), metavar="DIR")
    scratch = Path(tempfile.gettempdir()) / f"imagenet-subset-gpu-{os.getuid()}"
    add("--work", type=Path, default=scratch, metavar="DIR", help="for photos and builds")
    add("--seconds", type=float, default=535, metavar="S", help="for all steps together")
    add("--build_photos", type=int, metavar="N", help="photos of a build")
    return parser.parse_args()


def _known(step: str) -> str:
    if step not in STEPS:
        raise argparse.ArgumentTypeError(f"{step!r} is no step: there are {', '.join(STEPS)}")
    return step


def _step(step: str, setting: Setting, seconds: float, log: object) -> Numbers:
    """Findings of a step that runs in a process of its own."""
    if seconds < 5:
        return {"failed": "no time left"}
    result = setting.work / f"{step}.json"
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.gpu.steps", step, setting.to_json()]
    child = subprocess.Popen(
        [*command, str(result)],
        text=True,
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        _kill(child)

    clock = threading.Timer(seconds, kill)
    clock.start()
    why = ""
    try:
        for line in child.stdout or ():
            log.write(line)
            say(line.rstrip("\n")[:LINE])
            if line.startswith(FAILED):
                why = line.removeprefix(FAILED).strip()
        status = child.wait()
    finally:
        clock.cancel()
        _kill(child)
    found: Numbers = json.loads(result.read_text()) if result.exists() else {}
    if killed.is_set():
        found["failed"] = f"not done after {seconds:.0f} s"
    elif status:
        found.setdefault("failed", why or f"exit status {status}")
    return found


def _kill(child: subprocess.Popen[str]) -> None:
    """End a step and whatever it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
