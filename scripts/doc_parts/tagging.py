"""Tables of tagging an inventory: speed, stages, memory, several machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from doc_parts.results import Results, share, size_text, table

_SPEEDS: Final = {
    "predict, one at a time": "`predict`, one picture at a time",
    "tag, 1 workers": "`tag --workers 1`",
    "tag, 2 workers": "`tag --workers 2` (one a core, the default)",
    "tag, 3 workers": "`tag --workers 3`",
    "limit, full size": "the limit: JPEGs decoded on both cores, nothing else",
    "limit, as small": "the same, decoded only as large as the network needs",
}
_STAGES: Final = {
    "decoding": "decoding",
    "finding": "finding the garment",
    "inference": "inference",
    "reading": "reading the files",
    "other": "everything else",
}


def speed(results: Results) -> str:
    """Pictures a second."""
    found = results.json("tag.json")
    both = found["large"], found["small"]
    rows = [(title, *(f"{of['pictures_per_s'][name]:,.0f}" for of in both)) for name, title in _SPEEDS.items()]
    rows.append(("limit / `tag`", *(f"{of['limit / tag']['median']:.2f}" for of in both)))
    size = size_text(found["pictures"]["size_wh"])
    return table(("pictures a second", f"pictures of {size}", "photos of about 400x530"), rows)


def stages(results: Results) -> str:
    """What the time is spent on."""
    found = results.json("tag.json")
    runs = found["large"], found["small"], found["whole"]
    rows = [(title, *(share(of["shares"][stage], 0) for of in runs)) for stage, title in _STAGES.items()]
    size, count = size_text(found["pictures"]["size_wh"]), found["whole"]["pictures"]
    header = ("share of the time", f"pictures of {size}", "photos of about 400x530", f"the whole run of {count:,}")
    return table(header, rows)


def whole(results: Results) -> str:
    """A hundred thousand pictures, and the memory they took."""
    found = results.json("tag.json")
    run, memory = found["whole"], found["whole"]["memory_mb"]
    gb = found["pictures"]["count"] * found["pictures"]["bytes"] / 1e9
    rows = [
        ("pictures", f"{run['pictures']:,} ({gb:.1f} GB)"),
        ("that could not be read", f"{run['errors']}"),
        ("time", f"{run['seconds']:.0f} s, {run['pictures_per_s']:.0f} pictures a second"),
        *((f"memory of the command after {at}", f"{of['parent']} MB") for at, of in memory.items()),
        ("memory of a worker after 10% and after 50%", f"{memory['10%']['workers']} and {memory['50%']['workers']} MB"),
        ("size of the table", f"{run['table_bytes'] / 1e6:.1f} MB"),
    ]
    return table(("the whole run", "result"), rows)


def smaller(results: Results) -> str:
    """What decoding a large JPEG smaller changes."""
    rows = [
        (
            f"{of['shorter_edge_px']}" + (" px" if isinstance(of["shorter_edge_px"], int) else ""),
            f"{of['least_px']} px",
            f"{of['photos']:,}",
            f"{of['other_label']} ({share(of['other_label'] / of['photos'], 2)})",
            f"{of['other_accepted']}",
        )
        for of in results.json("tag.json")["answers"]
    ]
    header = ("shorter edge of the photo", "decoded to at least", "photos", "another label", "accepted or not changed")
    return table(header, rows)


def ray(results: Results) -> str:
    """The time n pictures take with Ray and without."""
    found = results.json("tag_ray.json")
    fitted = found["fitted_on"]
    counts = list(found["seconds"]["local"])
    rows = []
    for name, title in (("local", "`tag`"), ("ray", "`tag --engine ray`")):
        line, off = found["line"][name], found["checked_error_percent"][name]
        rows.append(
            (
                title,
                *(f"{found['seconds'][name][count]:.1f} s" for count in counts),
                f"{line['start_s']:.1f} s + {line['picture_ms']:.2f} ms n",
                ", ".join(f"{percent:+.0f} % at {int(count):,}" for count, percent in off.items()),
            )
        )
    fit = " and ".join(f"{count:,}" for count in fitted)
    header = ("pictures", *(f"{int(count):,}" for count in counts), f"line through {fit}", "the line is off by")
    return table(header, rows)


def ray_pays(results: Results) -> str:
    """From how many pictures on several machines are sooner done."""
    pays = results.json("tag_ray.json")["pays_from_pictures"]
    rows = [(machines, "never" if count is None else f"{count:,} pictures") for machines, count in pays.items()]
    return table(("machines", "Ray is sooner done from"), rows)


PARTS: Final[dict[str, Callable[[Results], str]]] = {
    "tag-speed": speed,
    "tag-stages": stages,
    "tag-whole": whole,
    "tag-smaller": smaller,
    "ray": ray,
    "ray-pays": ray_pays,
}
