"""No number that a command line can say makes nonsense of a run."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import pytest
import typer

from edgefashion.bench.report import BenchOptions
from edgefashion.bench.run import bench
from edgefashion.camera.settings import merge
from edgefashion.cli.main import FAMILIES
from edgefashion.conversion.quantize import QuantizeOptions
from edgefashion.errors import BadInputError
from edgefashion.serving.options import ServeOptions
from edgefashion.tagging.collecting import CollectOptions
from edgefashion.training.options import FinetuneOptions, options_for
from edgefashion.training.zoo.registry import architecture

if TYPE_CHECKING:
    from helpers.types import Run

COMMANDS = {
    "train --learning-rate": "train edge --limit 0",
    "train --validation-split": "train edge --limit 0",
    "convert --max-drop": "convert edge --out x --int8",
    "bench --seconds": "bench edge --vs none",
    "tag --collect-rate": "tag . --out tags.csv --collect kept",
    "camera --collect-rate": "camera --source nowhere.mp4 --collect kept",
    "serve --timeout": "serve nowhere",
    "serve --drain-timeout": "serve nowhere",
    "serve --max-request-mb": "serve nowhere",
    "serve --max-megapixels": "serve nowhere",
}
"""Every option that takes a number with a fraction, and a command that it may stand behind, which ends at once."""

NO_NUMBERS = ("nan", "inf", "-inf", "1e300")


def _functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every command's name and its function."""
    for name, home in FAMILIES.items():
        module, at = home.split(":")
        found = getattr(import_module(module), at)
        if isinstance(found, typer.Typer):
            yield from ((f"{name} {each.name}", each.callback) for each in found.registered_commands if each.callback)
        else:
            yield name, found


def _takes_fraction(annotation: Any) -> bool:
    annotation = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    return float in (get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,))


def test_every_option_is_listed() -> None:
    """An option that takes a number with a fraction is in the table below."""
    found = {
        f"{command} --{name.replace('_', '-')}"
        for command, function in _functions()
        for name, parameter in inspect.signature(function, eval_str=True).parameters.items()
        if _takes_fraction(parameter.annotation)
    }
    assert found == set(COMMANDS)


@pytest.mark.parametrize("given", NO_NUMBERS)
@pytest.mark.parametrize("option", COMMANDS)
def test_no_number_on_a_command_line(option: str, given: str, run_here: Run, tmp_path: Path) -> None:
    """Whatever is no number, or none that can be meant, is bad usage of the option, said before anything is done."""
    flag = option.rpartition(" ")[2]
    done = run_here(*COMMANDS[option].split(), flag, given)
    assert (done.returncode, flag in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [math.nan, math.inf, -math.inf, 1e300])
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda v: options_for("edge", learning_rate=v), "--learning-rate"),
        (lambda v: options_for("edge", validation_split=v), "--validation-split"),
        (lambda v: options_for("edge", weight_decay=v), "weight_decay"),
        (lambda v: options_for("edge", label_smoothing=v), "label_smoothing"),
        (lambda v: FinetuneOptions(learning_rate=v), "--learning-rate"),
        (lambda v: FinetuneOptions(validation_split=v), "--validation-split"),
        (lambda v: QuantizeOptions(max_drop=v), "--max-drop"),
        (lambda v: bench("edge", options=BenchOptions(seconds=v)), "--seconds"),
        (lambda v: CollectOptions(Path("x"), rate=v), "--collect"),
        (lambda v: merge({}, {"collect_rate": v}), "--collect-rate"),
        (lambda v: ServeOptions(timeout_s=v), "--timeout"),
        (lambda v: ServeOptions(drain_timeout_s=v), "--drain-timeout"),
        (lambda v: ServeOptions(max_request_mb=v), "--max-request-mb"),
        (lambda v: ServeOptions(max_megapixels=v), "--max-megapixels"),
    ],
)
def test_no_number_in_a_program(make: Callable[[float], object], says: str, given: float) -> None:
    """Nor does a program that calls the functions itself get further with one."""
    with pytest.raises(BadInputError, match=says):
        make(given)


@pytest.mark.parametrize("given", ["nan", "inf", "1e999", math.nan, math.inf])
@pytest.mark.parametrize(
    ("name", "setting"), [("cnn-413k", "dropout"), ("dilated-inception", "width"), ("edge", "stem")]
)
def test_no_number_as_a_setting_of_a_network(name: str, setting: str, given: str | float) -> None:
    """A network's setting takes numbers alone, whole or with a fraction."""
    with pytest.raises(BadInputError, match=f"{setting} has to be like"):
        architecture(name).checked({setting: given})
