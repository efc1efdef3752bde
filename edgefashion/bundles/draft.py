"""A bundle being made: written aside, then put in its place in one step."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edgefashion.bundles.bundle import FORMAT, INFO, PARTS, Bundle, report_of
from edgefashion.bundles.current import has_revisions, model_dir_of
from edgefashion.bundles.facts import Facts
from edgefashion.bundles.swap import behind, restore_interrupted, swap
from edgefashion.errors import BadInputError
from edgefashion.system.files import sha256, sync
from edgefashion.system.text import quoted


class Draft:
    """A bundle being made: fill ``path`` with files, and set ``facts``."""

    def __init__(self, path: Path, base: Bundle | None) -> None:
        self.path = path
        self._facts = None if base is None else base.facts
        self._base = path if base is None else base.path

    @property
    def facts(self) -> Facts:
        """What the bundle will state of its network: the base's facts until others are set."""
        assert self._facts is not None, "a draft without a base has no facts until they are set"
        return self._facts

    @facts.setter
    def facts(self, facts: Facts) -> None:
        self._facts = facts

    def part(self, name: str) -> Path:
        """Where ``name`` (``"fp32"``, ``"history"``, ...) is to be written."""
        return self.path / PARTS[name][0]

    def drop(self, part: str) -> None:
        """Remove ``part``, if it is there."""
        for name in PARTS[part]:
            target = self.path / name
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    def drop_embedded(self) -> None:
        """Remove the IR with embedded preprocessing and what was measured of it: the IR it was made of has
        changed."""
        self.drop("embedded")
        report = self._report()
        if report.pop("embed", None):
            self._write_report(report)

    def take(self, base: Bundle, part: str) -> None:
        """Copy ``part`` of another bundle. Raises :class:`BadInputError` unless the copy is what its manifest lists."""
        base.verified(part)
        for name in base.files_of(part):
            _copy(base, name, self.path)

    def add_report(self, stage: str, facts: Mapping[str, Any]) -> None:
        """Put ``facts`` under ``stage`` in the bundle's report."""
        self._write_report({**self._report(), stage: dict(facts)})

    def _report(self) -> dict[str, Any]:
        path = self.part("report")
        return report_of(path, self._base) if path.is_file() else {}

    def _write_report(self, report: Mapping[str, Any]) -> None:
        self.part("report").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _copy(base: Bundle, name: str, folder: Path) -> None:
    """Copy a file of ``base`` that was checked. The copy is checked too: it is what is listed in a new manifest."""
    copy = folder / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(base.path / name, copy)
    if sha256(copy) != base.files[name]:
        raise BadInputError(f"{base.path / name} was altered while it was copied. Nothing is written; run it again")


def check_target(target: Path) -> None:
    """Raise :class:`BadInputError` if ``target`` is something a bundle must not replace."""
    if target.name in {"", ".."}:
        raise BadInputError(f"{target} cannot be replaced from inside. Change to the folder above and give its name")
    try:
        restore_interrupted(target, INFO)
        if target.is_symlink() and not target.exists():
            raise BadInputError(
                f"{target} is a link to {target.readlink()}, which is not there. Mount or make it, or remove the link"
            )
        if os.path.ismount(target):
            raise _mounted(target)
        if has_revisions(target):
            raise BadInputError(
                f"{target} keeps the revisions of its model, which this would throw away. Write it elsewhere with "
                f"--out DIR, and put it in force with: edgefashion models install DIR --name {quoted(target.name)}"
            )
        if target.exists() and not (target / INFO).is_file() and (target.is_file() or any(target.iterdir())):
            raise BadInputError(f"{target} exists and is no bundle. Choose another --out")
    except OSError as error:
        raise BadInputError(f"{target} cannot be written: {error.strerror}. Choose another --out") from error


def _mounted(target: Path) -> BadInputError:
    return BadInputError(
        f"{target} is where a disk or a container's volume is mounted, and cannot be replaced. Mount it at the folder "
        "above, or choose another --out"
    )


def check_new(target: Path) -> None:
    """As :func:`check_target`, for another network than is there: a revision stays what its history says of it."""
    place = behind(target)
    model_dir = model_dir_of(place)
    if model_dir is not None and model_dir.absolute() != place.absolute():
        name = model_dir.absolute().name
        raise BadInputError(
            f"{target} is a place of {name}'s revisions, and no other network is put there. Give {model_dir}"
        )
    check_target(target)


@contextlib.contextmanager
def draft(target: Path, base: Bundle | None = None) -> Iterator[Draft]:
    """Make the bundle ``target``, starting from a verified copy of ``base`` if given.

    On leaving the block the facts and the manifest are written and the folder takes its place; if the block
    raises, nothing of it remains and an older bundle at ``target`` is untouched. Of a link, what it leads to is
    replaced. Raises :class:`BadInputError` if ``target`` cannot be written or is a folder of something else.
    """
    check_target(target)
    place = behind(target)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{place.name}.new-", dir=place.parent))
    except OSError as error:
        raise BadInputError(f"{target} cannot be written: {error.strerror}. Choose another --out") from error
    try:
        work.chmod(0o755)  # mkdtemp's 0700 is for secrets
        if base is not None:
            base.verify_all()
            for name in base.files:
                _copy(base, name, work)
        making = Draft(work, base)
        yield making
        if (model_dir := model_dir_of(target)) is not None:  # revisions are called like their model
            making.facts = making.facts._replace(name=model_dir.absolute().name)
        files = sorted(p.relative_to(work).as_posix() for p in work.rglob("*") if p.is_file() and p != work / INFO)
        info = {"format": FORMAT, **making.facts.as_json(), "files": {f: sha256(work / f) for f in files}}
        (work / INFO).write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
        sync(work)
        try:
            swap(work, place)
        except OSError as error:
            # Of the disk of the folder above, so that nothing told it before: a folder mounted at another.
            raise _mounted(target) if error.errno == errno.EBUSY else error from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def checkpoints_dir(target: Path) -> Path:
    """Where a training run that will become ``target`` keeps its checkpoints."""
    return target.with_name(f".{target.name}.training")
