"""A search as a picture: its course and what mattered, or accuracy against latency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    import optuna

_ENOUGH_TRIALS: Final = 10
"""From so many on the plot says which setting mattered."""


def draw(study: optuna.Study, path: Path, arch: str) -> None:
    """Draw the whole trials of a study as a PNG. Raises :class:`BadInputError` where there is none."""
    from matplotlib.figure import Figure
    from optuna.trial import TrialState

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise BadInputError("every trial diverged or was cut short. Give more --trials")
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(f"{arch}: {len(complete)} whole trials")
    if len(study.directions) > 1:
        _draw_front(figure.subplots(), complete, study.best_trials)
    else:
        _draw_course(figure.subplots(1, 2), study, complete)
    figure.savefig(path, dpi=110, format="png")


def _draw_front(axes: Any, complete: list[Any], best: list[Any]) -> None:
    """Every trial by its two values, and the line of those that no other beats in both."""
    front = sorted(tuple(trial.values) for trial in best)
    axes.plot([t.values[1] for t in complete], [t.values[0] for t in complete], ".", alpha=0.6, label="trial")
    axes.plot([late for _, late in front], [right for right, _ in front], "o-", label="no other is better in both")
    axes.axvline(1.0, linestyle=":", color="grey")
    axes.set(xlabel="INT8 latency, the default network's = 1", ylabel="validation accuracy")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")


def _draw_course(axes: Any, study: optuna.Study, complete: list[Any]) -> None:
    import optuna
    from matplotlib.ticker import MaxNLocator

    history, weight = axes
    numbers, values = [t.number for t in complete], [t.value or 0.0 for t in complete]
    history.plot(numbers, values, ".", label="trial")
    history.step(numbers, [max(values[: i + 1]) for i in range(len(values))], where="post", label="best so far")
    history.set(xlabel="trial", ylabel="validation accuracy")
    history.xaxis.set_major_locator(MaxNLocator(integer=True))
    history.grid(alpha=0.3)
    history.legend(loc="lower right")
    importances = {}
    if len(complete) >= _ENOUGH_TRIALS:
        by = optuna.importance.PedAnovaImportanceEvaluator()
        importances = optuna.importance.get_param_importances(study, evaluator=by)
    weight.barh(list(importances), list(importances.values()))
    weight.invert_yaxis()
    weight.set(xlabel="importance for the best trials (PED-ANOVA)" if importances else "too few trials to say")
