"""``edgefashion models install`` as a function: a pack, proved on this machine, becomes a model's revision in force."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from edgefashion.bundles import bundle, current, pack, places, probation, resolve, revisions
from edgefashion.bundles.revisions import Origin, Revision
from edgefashion.errors import BadInputError, EdgeFashionError
from edgefashion.packs import gate, signature
from edgefashion.system.files import replace_patiently, sync, sync_folder
from edgefashion.system.text import quoted

_WORK: Final = ".install-"
_IRS: Final = ("int8", "fp32", "fp16")
_FINDERS: Final = ("finder_int8", "finder_fp16")


@dataclass(frozen=True)
class Installed:
    """What :func:`install` did."""

    model: str
    revision: Revision
    """The one in force now."""
    previous: str | None
    """The one that was; None where there was none."""
    was_there: bool
    """True where this very bundle was a revision here already."""
    signed_by: str | None
    """SHA-256 of the key or certificate that the signature was checked with; None where none was checked."""
    signed: bool
    """Whether the pack has a signature, checked or not."""
    tried: gate.Tried | None
    """What its pinned pictures said; None where it has none, or was here already."""
    probation_s: float
    """How long a running camera compares it with the one before; 0: not at all."""
    removed: tuple[str, ...] = ()
    """Old revisions that went."""

    def as_json(self) -> dict[str, Any]:
        """Its fields, for ``--json``."""
        told = asdict(replace(self, revision=None, tried=None))  # type: ignore[arg-type]
        tried = self.tried.as_json() if self.tried else None
        return {**told, "revision": self.revision.id, "sha256": self.revision.sha256, "tried": tried}


def install(
    given: str | Path,
    *,
    name: str | None = None,
    key: Path | None = None,
    require_signature: bool = False,
    anyway: bool = False,
    keep: int = revisions.KEEP,
    probation_minutes: float = probation.MINUTES,
) -> Installed:
    """Install a pack: read, check its signature, guard, try its pinned pictures, then put it in force.

    Until the last step nothing changes for whoever uses the model, and a crash anywhere leaves the old revision or the
    new one in force. A running camera takes the new one up, and goes back by itself where it is worse.

    Args:
        given: What ``edgefashion models export`` has written, the folder of a bundle, or a bundle's name.
        name: The model that it becomes a revision of, in ``./models``. None: as it was called where it was made.
        key: A public key, or an authority's certificate, in PEM: only a pack signed by it is installed.
        require_signature: Refuse where no ``key`` is given to check with.
        anyway: Install a pack without pinned pictures, which cannot be tried.
        keep: How many revisions are kept.
        probation_minutes: How long a running camera compares; 0: not at all.

    Returns:
        What was done: the revision in force, the one before, what its pictures said.

    Raises:
        BadInputError: No whole pack, a signature that does not hold, a network that is refused, another kind of network
            than the one in force.
        GateError: The answers here are not those that its maker measured.
        MissingError: ``model-signing`` or OpenVINO is not installed.

    Example:
        >>> from edgefashion import export_pack, install_pack
        >>> done = install_pack(export_pack("edge"), name="shop", anyway=True)
        >>> done.model, done.previous
        ('shop', None)
    """
    if require_signature and key is None and not resolve.is_shipped(_named(Path(given)) / bundle.INFO):
        raise BadInputError("a signature is required, and there is no key to check it with. Give --key FILE")
    if keep < 1:
        raise BadInputError(f"at least 1 revision is kept, not {keep}")
    given = _named(Path(given))
    with _unpacked(given, name, key) as (folder, work, facts, signed_by):
        made = _opened(work, given)
        known = revisions.history(folder)
        was = next((each for each in known if each.current), None)
        there = next((each for each in known if each.sha256 == made.sha256 and _is_whole(each)), None)
        tried, was_there = None, there is not None
        if there is None:
            _check_kind(folder, made, given)
            _guard(made, given)
            # What came with the package has no pinned pictures, and was tried before it was shipped.
            tried = _try(made, given, anyway=anyway or resolve.is_shipped(given / bundle.INFO))
            there = _add(folder, work, made, replace(facts.origin, why=f"installed from {given.name}"), signed_by)
        seconds = probation_minutes * 60 if was is not None and was.id != there.id else 0.0
        now = revisions.switch(folder, there.id, probation_s=seconds or None)
        gone = tuple(each.id for each in revisions.prune(folder, keep))
    previous = None if was is None else was.id
    return Installed(folder.name, now, previous, was_there, signed_by, facts.signed, tried, seconds, gone)


def _named(given: Path) -> Path:
    """What is to be installed: a path, or where the bundle of that name lies."""
    if given.exists() or len(given.parts) != 1:
        return given
    return next((found for each in places.model_dirs() if resolve.is_bundle(found := each / given)), given)


def _is_whole(of: Revision) -> bool:
    try:
        bundle.open_bundle(of.path).verify_all()
    except (BadInputError, OSError):
        return False
    return True


def _add(folder: Path, work: Path, made: bundle.Bundle, origin: Origin, signed_by: str | None) -> Revision:
    """Make what was unpacked in ``work`` a revision, which is not in force yet."""
    place = revisions.next_place(folder, made.sha256[:8])
    sync(work)
    replace_patiently(work, place)
    sync_folder(place.parent)
    # Who made it, when, and from which revision there, is of another machine.
    here = replace(origin, signed_by=signed_by, parent=None, taken_back=None, who="", when="")
    return revisions.record(folder, place, here)


@contextlib.contextmanager
def _unpacked(given: Path, name: str | None, key: Path | None) -> Iterator[tuple[Path, Path, pack.Pack, str | None]]:
    """The model's folder, kept from other processes; the bundle unpacked in it aside; what its pack says of it; and by
    what its signature was checked. Whatever comes of it, nothing is left aside."""
    # Where it goes is told inside the pack, and there it has to be unpacked: a rename works within one disk.
    label = name or _name_in(given)
    folder = places.model_dirs()[0] / pack.check_model_name(label)
    if not folder.exists() and folder.parent.is_dir():
        twins = [each.name for each in folder.parent.iterdir() if each.name.casefold() == folder.name.casefold()]
        if twins:
            raise BadInputError(f"there is {twins[0]} already: on other systems the same folder. Give that name")
    draft_like = folder.exists() and not resolve.is_bundle(folder) and not revisions.history(folder)
    if draft_like and any(each.name != current.REVISIONS for each in folder.iterdir()):
        raise BadInputError(f"{folder} exists and is no bundle. Give the model another name with --name")
    new = not folder.exists()
    try:
        with revisions.changing(folder):
            for left in (folder / current.REVISIONS).glob(f"{_WORK}*"):  # of a run that was killed: we hold the lock
                shutil.rmtree(left, ignore_errors=True)
            work = folder / current.REVISIONS / f"{_WORK}{secrets.token_hex(4)}"
            try:
                facts = _unpack(given, work)
                # What came with the program has no signature: whoever trusts the one trusts the other.
                unsigned = key is None or resolve.is_shipped(given / bundle.INFO)
                signed_by = None if unsigned or key is None else signature.check(work, key, given)
                for beside in (pack.FACTS, pack.SIGNATURE):
                    (work / beside).unlink(missing_ok=True)
                yield folder, work, facts, signed_by
            finally:
                shutil.rmtree(work, ignore_errors=True)
    finally:
        if new and not revisions.history(folder):
            revisions.forget(folder)


def _name_in(given: Path) -> str:
    if given.is_dir():
        return current.folder_of(given.absolute()).name
    return pack.peek(given).model


def _unpack(given: Path, work: Path) -> pack.Pack:
    if not given.is_dir():
        return pack.unpack(given, work)
    found = resolve.resolve(given.absolute()).bundle  # a path: no other of this name in ./models
    if found is None:
        raise BadInputError(f"{given} is no bundle. Give a pack, or the folder of a bundle")
    found.verify_all()
    for file in (bundle.INFO, *found.files):
        copy = work / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found.path / file, copy)
    return pack.Pack(found.name, "", found.sha256, Origin(), signed=False)


def _opened(work: Path, given: Path) -> bundle.Bundle:
    """The unpacked bundle. An error about it names what the user has given."""
    try:
        made = bundle.open_bundle(work)
        made.verify_all()
    except BadInputError as error:
        raise BadInputError(str(error).replace(str(work), str(given))) from error
    return made


def _check_kind(folder: Path, made: bundle.Bundle, given: Path) -> None:
    """Raise :class:`BadInputError` for a network that does other work than the one in force."""
    try:
        before = bundle.open_bundle(current.place_of(folder))
    except EdgeFashionError:
        return  # there is none, or none that can be read
    if made.takes_photos != before.takes_photos:
        kinds = {True: "photos", False: "Fashion-MNIST's grey images"}
        raise BadInputError(
            f"{given} is for another network: it takes {kinds[made.takes_photos]}, and {folder.name} takes "
            f"{kinds[before.takes_photos]}. Give it another name with --name"
        )


def _guard(made: bundle.Bundle, given: Path) -> None:
    """Try every network of the bundle in a process of its own, as loading would."""
    from edgefashion.bundles.guard import check

    if not any(made.has(part) for part in _IRS):
        raise BadInputError(f"{given} has no IR that a camera could run. Convert it before it is exported")
    for part in (*_IRS, *_FINDERS):
        if made.has(part):
            path = made.verified(part)
            check.check(path, finder=part in _FINDERS, named=given / path.name)


def _try(made: bundle.Bundle, given: Path, *, anyway: bool) -> gate.Tried | None:
    if not made.has("pinned"):
        if anyway:
            return None
        raise BadInputError(
            f"{given} has no pinned pictures to be tried on: nobody knows how it answers here. Add --anyway to install "
            f"it untried"
        )
    from edgefashion.inference.load import load

    try:
        return gate.try_pinned(made, load(made.path))
    except BadInputError as error:
        raise BadInputError(str(error).replace(str(made.path), str(given))) from error


def next_step(model: str) -> str:
    """The command that takes an installation back."""
    return f"edgefashion models rollback {quoted(model)}"
