"""Tables of serving: load, ends under load, a camera that loses its server, OpenVINO Model Server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from doc_parts.results import Results, share, size_text, table

_SERVED: Final = (("edge", "images"), ("kiosk", "images"), ("kiosk", "pictures"))
_CLIENTS: Final = (1, 4, 16, 64)
_PROTOCOLS: Final = {"http": "HTTP", "grpc": "gRPC"}
_FAULTS: Final = {"killed": "killed", "hung": "stopped, so that it hangs", "ended": "told to end"}


def load(results: Results) -> str:
    """Requests a second and their latency."""
    found = results.json("serve.json")
    at = {(row["protocol"], row["model"], row["input"], row["clients"]): row for row in found["rows"]}
    rows = []
    for protocol, title in _PROTOCOLS.items():
        for clients in _CLIENTS:
            cells = (_load(at[protocol, model, given, clients]) for model, given in _SERVED)
            rows.append((f"{title}, {clients} client{'s' * (clients > 1)}", *cells))
        best = (found["best"][f"{protocol} {model} {given}"] for model, given in _SERVED)
        rows.append((f"{title}, most with a p99 below 20 ms", *(_best(row) for row in best)))
    inside = (found["in_process"][f"{model} {given}"] for model, given in _SERVED)
    cells = (f"{of['one_core_a_second']:,.0f} / {of['all_cores_a_second']:,.0f}" for of in inside)
    rows.append(("in the process itself, one core / both cores", *cells))
    return table(("requests a second, p99", *(f"`{model}`, {given}" for model, given in _SERVED)), rows)


def _load(row: dict[str, Any]) -> str:
    return f"{row['requests_a_second']:,.0f}, {row['p99_ms']:.0f} ms"


def _best(row: dict[str, Any] | None) -> str:
    return "-" if row is None else f"{row['requests_a_second']:,.0f} ({row['clients']})"


def ended(results: Results) -> str:
    """Every request counted while the server is ended and started again."""
    rows = [
        (
            f"{title}, ended {of['times']} times",
            *(f"{of[count]:,}" for count in ("sent", "answered", "wrong", "failed", "silently_lost")),
            f"{of['back_after_s']:.2f} s",
        )
        for protocol, title in _PROTOCOLS.items()
        for of in (results.json("serve.json")["ended_under_load"][protocol],)
    ]
    header = (
        "server",
        "requests",
        "answered",
        "of them wrongly",
        "told as failed",
        "lost without a word",
        "ready after",
    )
    return table(header, rows)


def gap(results: Results) -> str:
    """How long a camera is without an answer when its server goes."""
    rows = [
        (
            f"{_PROTOCOLS[of['protocol']]}, {_FAULTS[of['fault']]}",
            f"{of['n']}",
            f"{of['longest_gap_s']:.2f} s",
            f"{of['back_after_s']['median']:.2f} s",
            f"{of['back_after_s']['longest']:.2f} s",
        )
        for of in results.json("remote.json")["summary"]
    ]
    header = ("server", "times", "longest time without an answer", "back on it after, median", "longest")
    return table(header, rows)


def one_picture(results: Results) -> str:
    """One picture in the process, over HTTP and over gRPC."""
    found = results.json("remote.json")["one_picture"]
    ways = list(dict.fromkeys(of["way"] for of in found))
    at = {(of["model"], of["way"]): f"{of['p50_ms']:.1f} ms (p99 {of['p99_ms']:.1f})" for of in found}
    models = dict.fromkeys(of["model"] for of in found)
    rows = [(f"`{model}`", *(at[model, way] for way in ways)) for model in models]
    return table(("one picture", *(_PROTOCOLS.get(way, "in the process") for way in ways)), rows)


def ovms_answers(results: Results) -> str:
    """Whether what a model server is given answers as `predict` does."""
    rows = [
        (
            f"`{of['model']}`",
            f"{of['n']}",
            share(of["same"]),
            share(of["decided"]),
            share(of["right"], 2),
            share(of["right_predict"], 2),
        )
        for of in results.json("export_ovms.json")["answers"]
    ]
    header = ("network", "pictures", "same label as `predict`", "same decision to accept", "right", "`predict` right")
    return table(header, rows)


def ovms_costs(results: Results) -> str:
    """What the exported graph costs by the size of the picture."""
    rows = [
        (
            f"`{of['model']}`",
            size_text(of["size_wh"]),
            *(f"{of[name]:.1f} ms" for name in ("decode_ms", "predict_ms", "served_ms")),
            f"{of['memory_mb']:.0f} MB",
        )
        for of in results.json("export_ovms.json")["costs"]
    ]
    header = ("network", "picture", "decoding it", "finding and naming in `predict`", "in the exported graph", "memory")
    return table(header, rows)


PARTS: Final[dict[str, Callable[[Results], str]]] = {
    "serve-load": load,
    "serve-ended": ended,
    "remote-gap": gap,
    "remote-one": one_picture,
    "ovms-answers": ovms_answers,
    "ovms-costs": ovms_costs,
}
