"""The table that ends the proof: what to look at first, as Markdown for an issue."""

from __future__ import annotations

from benchmarks.gpu.setting import Numbers
from pipelines.kinds import LOADS


def table(report: Numbers) -> str:
    """The report in one screen or two; a step that found nothing is named."""
    on_gpu = report["device"] == "gpu"
    lines = ["## imagenet-subset: proof of the GPU pipeline", ""]
    if not on_gpu:
        lines += [
            "**NO GPU: every step ran on DALI's CPU backend. This proves the proof alone.** "
            f"({report['why']})",
            "",
        ]
    rows = [("device", report["why"] if on_gpu else "cpu"), *_machine(report), *_pixels(report)]
    rows += [*_bare(report), *_builds(report), *_trouble(report), *_host(report)]
    rows += _not_done(report)
    lines += ["| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in rows]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


Rows = list[tuple[str, object]]


def _machine(report: Numbers) -> Rows:
    rows: Rows = []
    if found := report.get("versions"):
        named = found.get("versions", {})
        rows.append(("machine", f"{found.get('cores')} cores {found.get('cpu')}"))
        rows.append(("versions", ", ".join(f"{name} {text}" for name, text in named.items())))
        rows.append(("commit", found.get("commit")))
    if found := report.get("selftest"):
        wrong = found.get("problems")
        text = "; ".join(wrong[:3]) if wrong else "passed" if found.get("ok") else "not done"
        rows.append(("selftest", text))
    if found := report.get("tests"):
        rows.append(("tests marked gpu", " ".join(found.get("last", []))))
    return rows


def _pixels(report: Numbers) -> Rows:
    rows: Rows = []
    codecs = report.get("codecs", {})
    for backend in sorted({key.split(" ")[0] for key in codecs if " fancy=1" in key}):
        of_it = {k: v for k, v in codecs.items() if k.startswith(f"{backend} fancy=1")}
        if error := of_it.get(f"{backend} fancy=1", {}).get("error"):
            rows.append((f"decoder {backend}", error))
            continue
        worst = max((row.get("largest", 0) for row in of_it.values()), default=0)
        refused = [key.split(" ", 2)[2] for key, row in of_it.items() if row["refused"]]
        text = f"largest {worst} of 255; refuses {', '.join(refused) if refused else 'none'}"
        rows.append((f"decoder {backend}, smooth chroma", text))
    if libraries := codecs.get("libnvjpeg"):
        rows.append(("libnvjpeg", ", ".join(libraries)))
    parity = report.get("parity", {})
    for load in LOADS:
        of_it = [v for k, v in parity.items() if k.startswith(f"{load} ") and isinstance(v, dict)]
        if of_it:
            largest = max(row.get("largest", 0) for row in of_it)
            mean = max(row.get("worst_mean", 0) for row in of_it)
            lost = sum(row["lost"] for row in of_it)
            again = "same bytes" if parity.get(f"{load} repeats") else "other bytes"
            text = f"largest {largest} of 255, mean {mean}, lost {lost}; {again} in other batches"
            rows.append((f"whole rule, load {load}", text))
    return rows + _filters(report.get("filters", {}))


def _filters(found: Numbers) -> Rows:
    """The worst of each filter and kind, over all loads and sizes."""
    rows: Rows = []
    of = {tuple(key.split(" ", 3)[::3]): None for key in found if isinstance(found[key], dict)}
    for interpolation in dict.fromkeys(name for name, _ in of):
        texts = []
        for kind in (kind for name, kind in of if name == interpolation):
            of_it = [
                row for key, row in found.items() if key.split(" ", 3)[::3] == [interpolation, kind]
            ]
            largest = max(row.get("largest", 0) for row in of_it)
            texts.append(
                f"{kind} {largest} (mean {max(row.get('worst_mean', 0) for row in of_it)})"
            )
        rows.append((f"{interpolation}, largest of 255", ", ".join(texts)))
    return rows


def _bare(report: Numbers) -> Rows:
    found = report.get("bare", {})
    rows: Rows = []
    for row in found.get("rates", []):
        name = f"bare graph, load {row['load']}, {row['threads']} threads, batch {row['batch']}"
        if row["first"] != row["batch"]:
            name += f", first batch {row['first']}"
        use = f", JPEG engine {row['jpeg_%']:.0f}%" if "jpeg_%" in row else ""
        rate = f"{row['images/s']} images/s{use}" if "images/s" in row else row.get("error")
        rows.append((name, rate))
    if "pipeline in memory" in found:
        rows.append(("one process, from memory", f"{found['pipeline in memory']} images/s"))
    return rows


def _builds(report: Numbers) -> Rows:
    best = report.get("bare", {}).get("best", {}).get("images/s")
    rows: Rows = []
    for row in report.get("build", {}).get("builds", []):
        name = f"build of {row['photos']} photos, {row['device']} {row['pipeline']}"
        if row["processes"]:
            name += f", K = {row['processes']}, load {row['load']}"
        if "error" in row:
            rows.append((name, row["error"]))
            continue
        text = f"{row['images/s']} images/s in all"
        if steady := row.get("steady images/s"):
            text += f", {steady} without the start"
            if best and row["pipeline"] == "dali" and row["device"] == report["device"]:
                text += f", {steady / best:.2f} of the bare graph"
        text += f"; {row['memory_MB']} MB"
        if "gpu_MiB" in row:
            text += f", {row['gpu_MiB']:.0f} MiB on the GPU"
        rows.append((name, text))
    return rows


def _trouble(report: Numbers) -> Rows:
    rows: Rows = []
    for name, row in report.get("oom", {}).items():
        if isinstance(row, dict):
            all_there = "all photos" if row.get("all there") else "NOT ALL PHOTOS"
            text = row.get("error") or row.get("escaped")
            rows.append((name, text or f"{all_there}, batch {row.get('batch after')} in the end, "
                                       f"{row.get('by Pillow')} by Pillow"))  # fmt: skip
    if found := report.get("broken", {}).get("pipeline"):
        rows.append(("damaged files", f"{len(found['failures'])} refused; let through: "
                                      f"{', '.join(found['let through']) or 'none'}; "
                                      f"good ones lost: {len(found['good lost'])}"))  # fmt: skip
    if found := report.get("fork"):
        rows.append(("cuInit in a forked child",
                     found.get("cuInit in a forked child", found.get("skipped"))))  # fmt: skip
    return rows


def _host(report: Numbers) -> Rows:
    found = report.get("host", {}).get("us")
    if not found:
        return []
    text = ", ".join(f"{name} {us}" for name, us in found.items())
    return [("host stages of a photo, microseconds", text)]


def _not_done(report: Numbers) -> Rows:
    steps = report["seconds"]
    rows: Rows = [("seconds", ", ".join(f"{step} {s}" for step, s in steps.items()))]
    for step in steps:
        if isinstance(report[step], dict) and "failed" in report[step]:
            rows.append((f"FAILED: {step}", report[step]["failed"]))
    return rows
