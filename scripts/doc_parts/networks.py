"""Tables of networks and engines: speed, start, conversion, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from doc_parts.results import Results, middle, share, size_text, spread, table


def engines(results: Results) -> str:
    """Every engine on the same weights; the benchmark writes it."""
    return results.text("peers.md")


def engines_on_photos(results: Results) -> str:
    """Every engine on the photo network's weights; the benchmark writes it."""
    return results.text("peers_kiosk.md")


def zoo(results: Results) -> str:
    """Every network of the zoo, reported and measured; the benchmark writes it."""
    return results.text("seeds.md")


def isa(results: Results) -> str:
    """FP32 and INT8 at instruction-set caps, one image, one thread."""
    rows = []
    for network, report in results.json("isa.json").items():
        for cap in report["settings"]["isa"]:
            at = {row["precision"]: row for row in report["rows"] if row["isa"] == cap}
            if {"fp32", "int8"} <= at.keys():
                rounds = (at[precision]["latency_p50_rounds_us"] for precision in ("int8", "fp32"))
                times = (f"{at[precision]['latency_us']['p50']:,.0f} us" for precision in ("fp32", "int8"))
                rows.append((network, cap, *times, *middle([a / b for a, b in zip(*rounds, strict=True)])))
    return table(("network", "cap", "FP32", "INT8", "INT8 / FP32", "quartiles"), rows)


def cold_start(results: Results) -> str:
    """From the start of a process to its first answer."""
    networks = results.json("cold_start.json")["networks"]
    names = {
        "predict": "`edgefashion predict`",
        "predict, earlier": "the earlier `edgefashion predict`",
        "bare": "bare OpenVINO",
        "bare, CACHE_DIR": "bare OpenVINO with its model cache",
        "TensorFlow": "TensorFlow",
    }
    seconds = table(
        ("network", "start of a process to its first answer", "median"),
        (
            (f"`{network}`", names[name], f"{taken:.2f} s")
            for network, found in networks.items()
            for name, taken in found["seconds"].items()
        ),
    )
    ratios = table(
        ("network", "ratio", "median", "quartiles"),
        (
            (f"`{network}`", " / ".join(names[one] for one in name.split(" / ")), *spread(of))
            for network, found in networks.items()
            for name, of in found["ratios"].items()
        ),
    )
    return f"{seconds}\n\n{ratios}"


def overhead(results: Results) -> str:
    """The Python around a call, and OpenVINO's own tool beside `bench`."""
    found = results.json("overhead.json")
    rows = []
    for precision in ("fp32", "int8"):
        call, tool = found[precision]["call"], found[precision]["benchmark_app"]
        low, high = call["overhead_quartiles_us"]
        rows.append(
            (
                precision.upper(),
                f"{call['call_us']:.1f} us",
                f"{call['inside_us']:.1f} us",
                f"{call['overhead_us']:+.1f} us ({low:+.1f} to {high:+.1f})",
                f"{tool['bench_us']:.1f} us",
                f"{tool['benchmark_app_us']:.1f} us",
                f"{tool['benchmark_app_us'] / call['inside_us']:.2f}",
            )
        )
    header = (
        "`edge`",
        "our call",
        "of it inside OpenVINO",
        "our call, less `infer()`",
        "`bench`",
        "`benchmark_app`",
        "tool / inside",
    )
    return table(header, rows)


def embed(results: Results) -> str:
    """A frame prepared by Python and OpenCV, and inside the IR."""

    def cell(of: dict[str, Any]) -> str:
        return "{} ({})".format(*spread(of, 0, "p50"))

    rows = [
        (
            f"{row['model']} {row['precision'].upper()}",
            size_text(row["size_wh"]),
            cell(row["python_us"]),
            cell(row["preprocessing_us"]),
            cell(row["embedded_us"]),
        )
        for row in results.json("embed.json")["rows"]
    ]
    header = ("network", "frame", "OpenCV and the plain IR, us", "of it OpenCV, us", "the embedded IR, us")
    return table(header, rows)


def conversion(results: Results) -> str:
    """The shipped `edge` in every form: what converting it changed."""
    folder, info, report = results.bundle("edge")
    gate = report["int8"]
    drop = gate["drop"] * 100
    proofs = {
        one["precision"]: f"largest difference of a probability {one['max_abs_difference']:.1e}, "
        f"{one['changed_top1']} of {one['n']:,} answers changed"
        for one in report["convert"]["parity"]
    } | {
        "int8": f"{drop:.2f} points lost on {gate['gate_images']:,} training images kept from calibration "
        f"(limit {gate['max_drop'] * 100:g})"
    }
    rows = [("original (Keras, float32)", "-", _mb(folder, "model.keras"), _test(info, "original"))]
    rows += [
        (f"{form.upper()} IR", proof, _mb(folder, f"{form}.xml", f"{form}.bin"), _test(info, form))
        for form, proof in proofs.items()
    ]
    return table(("`edge`", "gate", "size", "accuracy, 10,000 test images"), rows)


def _mb(folder: Any, *names: str) -> str:
    return f"{sum((folder / name).stat().st_size for name in names) / 1e6:.2f} MB"


def _test(info: dict[str, Any], form: str) -> str:
    return share(info["metrics"][form]["test_accuracy"], 2)


def edge_seeds(results: Results) -> str:
    """Our own network, trained with three seeds, and its teachers."""
    found = results.json("edge.json")
    rows = []
    for seed, of in found["seeds"].items():
        rows.append(
            (
                f"seed {seed}",
                share(of["int8_gate"]["accuracy_before"], 2),
                *(share(of[precision]["accuracy"], 2) for precision in ("fp32", "int8")),
                *(f"{of[precision]['calibration_error']:.3f}" for precision in ("fp32", "int8")),
            )
        )
    validation = [of["int8_gate"]["accuracy_before"] for of in found["seeds"].values()]
    means = (share(found["mean_accuracy"][precision], 2) for precision in ("fp32", "int8"))
    rows.append(("mean", share(sum(validation) / len(validation), 2), *means, "-", "-"))
    _, info, report = results.bundle("edge-teachers")
    teachers = (_test(info, "original"), _test(info, "int8"))
    rows.append(("`edge-teachers`", share(report["int8"]["accuracy_before"], 2), *teachers, "-", "-"))
    header = (
        "`edge`",
        "validation",
        "test, FP32",
        "test, INT8",
        "calibration error, FP32",
        "INT8",
    )
    latency = found["latency"]
    ran = {name: len(operations) for name, operations in latency["operations"].items()}
    beside = latency["beside"]
    return (
        f"{table(header, rows)}\n\nIts INT8 takes {latency['ratio']:.2f} of the time of `{beside}`'s for an image on "
        f"one thread; its compiled graph has {ran['edge']} operations, that of `{beside}` {ran[beside]}."
    )


def shapes(results: Results) -> str:
    """Untrained shapes of `edge` in OpenVINO and in LiteRT."""
    rows = []
    for row in results.json("shapes.json")["rows"]:
        low, high = row["quartiles"]
        rows.append(
            (
                _layers(row["settings"]),
                f"{row['parameters']:,}",
                f"{row['macs'] / 1e6:.1f} M",
                f"{row['openvino_us']:.0f} us",
                f"{row['litert_us']:.0f} us",
                f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})",
            )
        )
    return table(("convolutions", "parameters", "multiply-adds", "OpenVINO", "LiteRT", "ratio"), rows)


def front(results: Results) -> str:
    """The trials that no other beats in both accuracy and latency, and the shape that ships."""
    found = results.json("front.json")
    trials = sorted(found["trials"], key=lambda trial: trial["latency"])
    shipped = next(trial["number"] for trial in trials if trial["parameters"] == found["shipped"])
    rows = [
        (
            _layers(trial["parameters"]) + (" (ships)" if trial["number"] == shipped else ""),
            f"{100 * trial['val_accuracy']:.1f} %",
            f"{trial['latency']:.2f}",
        )
        for trial in trials
        if trial["number"] in (*found["front"], shipped)
    ]
    return table(("convolutions", "validation images right", "INT8, the shipped shape's time = 1"), rows)


def _layers(of: Mapping[str, int]) -> str:
    """The convolutions of a shape of `edge`."""
    stem = f"{of['stem']} of {of['stem_size']}x{of['stem_size']}"
    stem += "" if of.get("stem_stride", 2) == 2 else f" by {of['stem_stride']}"
    middle = [str(of["middle"])] * of["middle_layers"]
    middle[0] += "" if of.get("middle_stride", 2) == 2 else " by 1"
    late = [str(of["late"])] * of.get("late_layers", 1)
    return ", ".join([stem, *[str(of["early"])] * of["early_layers"], *middle, *late])


def rounding(results: Results) -> str:
    """INT8 with its first layers rounded to the nearest, and to the images."""
    rows = []
    for network, found in results.json("rounding.json").items():
        for nearest, images in zip(found[::2], found[1::2], strict=True):
            rows.append(
                (
                    f"`{network}`",
                    nearest["bias_correction"],
                    *(f"{of['mean_abs_difference']:.4f}" for of in (nearest, images)),
                    *(share(of["answered_alike"], 2) for of in (nearest, images)),
                    *(share(of["accuracy"], 2) for of in (nearest, images)),
                    share(nearest["accuracy_fp32"], 2),
                )
            )
    header = ("network", "bias correction", "a probability differs by", "to images", "answered alike", "to images")
    return table((*header, "accuracy", "to images", "FP32"), rows)


PARTS: Final[dict[str, Callable[[Results], str]]] = {
    "engines": engines,
    "engines-on-photos": engines_on_photos,
    "isa": isa,
    "cold-start": cold_start,
    "overhead": overhead,
    "embed": embed,
    "conversion": conversion,
    "zoo": zoo,
    "edge-seeds": edge_seeds,
    "shapes": shapes,
    "front": front,
    "rounding": rounding,
}
