"""A model as the server runs it: our ``Classifier``, one a thread, behind KServe's ``Model``."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.errors import InvalidInput

from edgefashion.bundles import model_files
from edgefashion.bundles.running import running
from edgefashion.inference import finder, finite, preprocess
from edgefashion.inference.predict import SeenGarment, answer_of, predict, see
from edgefashion.serving import encoded_pictures, extensions, request_input
from edgefashion.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier
    from edgefashion.serving.admission import Gate

Tensors = dict[str, "NDArray[Any]"]

_TYPES: Final = {"f": "FP32", "i": "INT32", "b": "BOOL", "O": "BYTES"}
_FASHION: Final = (preprocess.SIDE_PX, preprocess.SIDE_PX, 1)
_FASHION_PHOTO: Final = (preprocess.FASHION_PX, preprocess.FASHION_PX, 3)

AT_ONCE_S: Final = 0.0005
"""A request that takes less is computed on the event loop: handing it to a thread and back takes about as long."""


class Garments(Model):  # type: ignore[misc]
    """One model. A classifier is for one thread at a time, so each thread of the gate has its own."""

    def __init__(
        self, first: Classifier, load: Callable[[], Classifier], gate: Gate, *, most_images: int, most_pixels: int
    ) -> None:
        """``first`` is the event loop's own classifier; ``load`` gives one for each thread."""
        super().__init__(first.name)
        self.first = first
        self._sha256 = model_files.sha256_of(first.source) if first.source else ""
        self.running = running(first.name, first.source)
        """Which revision it is."""
        self.gate = gate
        self.most_images = most_images
        self.most_pixels = most_pixels
        self.load_one = load
        self._of_thread = threading.local()
        self._of_thread.classifier = first
        self._unused: list[Classifier] = []
        self._image_s = float("inf")
        shape = self.first.input_shape
        # A photo network takes Fashion-MNIST's images too, as they are or as the photos made of them.
        self.shapes = [shape, _FASHION, _FASHION_PHOTO] if self.first.takes_photos else [shape]

    def load(self) -> bool:
        """Compile for every thread and run once, so that the first request is not the slow one."""
        self._image_s = min(self._warm_up(self.first) for _ in range(10))
        if self._image_s >= AT_ONCE_S:
            self._unused.append(self.first)  # nothing is computed on the event loop then
        self.gate.run_in_each(lambda: self._warm_up(self._classifier()))
        self.ready = True
        return True

    def stand_by(self) -> None:
        """Get ready beside a model that answers: with a classifier for every thread, none of which is kept waiting."""
        others = [self.load_one() for _ in range(self.gate.workers)]
        self._image_s = min(self._warm_up(self.first) for _ in range(10))
        for classifier in others:
            self._warm_up(classifier)
        self._unused += [self.first, *others]
        self._of_thread = threading.local()  # this thread answers nothing
        self.ready = True

    def _warm_up(self, classifier: Classifier) -> float:
        """Run once; the seconds it took."""
        start_s = time.perf_counter()
        self._tensors(classifier, np.zeros((1, *classifier.input_shape), np.uint8), {"probabilities", "mask"}, None)
        seconds = time.perf_counter() - start_s
        if classifier.finder is not None:
            classifier.finder.make_ready()
        return seconds

    def facts(self) -> dict[str, Any]:
        """What a client needs to know of the model beside its tensors."""
        return {
            "labels": list(self.first.labels),
            "accept_threshold": self.first.accept_threshold,
            "precision": self.first.precision,
            "input_shape": list(self.first.input_shape),
            "version": __version__,
            "sha256": self._sha256,
            "revision": self.running.revision,
            "bundle_sha256": self.running.sha256,
            "max_images": self.most_images,
            "floors": dict(self.first.rule.floors),
            "kind_floor": self.first.rule.kind_floor,
            "worn_floors": self.first.rule.worn_floors,
            "finder_floor": self.first.finder.floor if self.first.finder else None,
            "finder_sha256": self.first.finder.sha256 if self.first.finder else "",
        }

    def get_input_types(self) -> list[dict[str, Any]]:
        """The inputs, ``frames`` only with a finder. A request holds one of them."""
        found = [
            {"name": request_input.IMAGES, "datatype": "UINT8", "shape": [-1, *self.first.input_shape]},
            {"name": request_input.PICTURES, "datatype": "BYTES", "shape": [-1]},
        ]
        if self.first.finder is not None:
            found.append({"name": request_input.FRAMES, "datatype": "UINT8", "shape": [-1, *finder.FRAME_SHAPE]})
        return found

    def get_output_types(self) -> list[dict[str, Any]]:
        """The outputs: ``probabilities`` of images and pictures, ``mask`` of images only, ``cells`` of frames only, the
        others of pictures only."""
        rows, columns, _ = self.first.input_shape
        found = [{"name": "probabilities", "datatype": "FP32", "shape": [-1, len(self.first.labels)]}]
        if self.first.takes_photos:
            found.append({"name": "mask", "datatype": "FP32", "shape": [-1, rows // 8, columns // 8]})
        for name, datatype in (("label", "BYTES"), ("confidence", "FP32"), ("accepted", "BOOL")):
            found.append({"name": name, "datatype": datatype, "shape": [-1]})
        found.append({"name": "box", "datatype": "INT32", "shape": [-1, 4]})
        found.append({"name": "garments", "datatype": "BYTES", "shape": [-1]})
        if self.first.finder is not None:
            found.append({"name": "cells", "datatype": "FP32", "shape": [-1, *finder.CELLS_SHAPE]})
        return found

    async def predict(self, payload: Any, *_: Any) -> Any:
        """A v2 request's answer. Raises ``InvalidInput`` or :class:`edgefashion.serving.statuses.RefusedError`."""
        if not isinstance(payload, InferRequest):
            raise InvalidInput("this server speaks version 2 of the protocol. Ask /v2/models/NAME/infer")
        asked = extensions.asked(payload)
        given = request_input.the_input(payload.inputs, [known["name"] for known in self.get_input_types()])
        wanted = self._wanted(payload, given.name)
        if unlike := set(asked.classes) - {"probabilities"}:
            raise InvalidInput(f"{min(unlike)!r} holds no classes. Ask 'probabilities' for a classification")
        if given.name == request_input.IMAGES:
            count = request_input.check_count(given.shape, self.most_images)

            def work(end_s: float) -> Tensors:
                return self._of_images(given, wanted, end_s)

            # Numbers in lists take longer: they are converted first.
            at_once = request_input.is_binary(given) and count * self._image_s < AT_ONCE_S and asked.within_s is None
            found = self.gate.run_here(work) if at_once else await self.gate.run(work, asked.within_s)
        elif given.name == request_input.FRAMES:
            found = await self.gate.run(lambda end_s: self._of_frames(given, end_s), asked.within_s)
        else:
            found = await self.gate.run(lambda end_s: self._of_pictures(given, end_s), asked.within_s)
        if "probabilities" in asked.classes:
            count = asked.classes["probabilities"]
            found["probabilities"] = extensions.classified(found["probabilities"], count, self.first.labels)
        outputs = []
        for name, tensor in found.items():
            if name in wanted:
                output = InferOutput(name, list(tensor.shape), _TYPES[tensor.dtype.kind])
                output.set_data_from_numpy(tensor, binary_data=True)
                outputs.append(output)
        return InferResponse(
            response_id=payload.id or "",
            model_name=self.name,
            model_version="",  # None would be null in JSON, where the protocol has a text
            infer_outputs=outputs,
            parameters={"facts": json.dumps(self.facts())} if asked.facts else None,
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )

    def _wanted(self, payload: InferRequest, input_name: str) -> set[str]:
        known = {"probabilities", "mask"} if self.first.takes_photos else {"probabilities"}
        if input_name == request_input.PICTURES:
            known = {"probabilities", "label", "confidence", "accepted", "box", "garments"}
        if input_name == request_input.FRAMES:
            known = {"cells"}
        asked = {output.name for output in payload.request_outputs or ()}
        if asked - known:
            wrong = ", ".join(sorted(repr(name)[:40] for name in asked - known)[:4])
            raise InvalidInput(f"the outputs of {input_name!r} are {', '.join(sorted(known))}, not {wrong}")
        return asked or known

    def _classifier(self) -> Classifier:
        """This thread's own."""
        if not hasattr(self._of_thread, "classifier"):
            try:
                self._of_thread.classifier = self._unused.pop()
            except IndexError:
                self._of_thread.classifier = self.load_one()
        own: Classifier = self._of_thread.classifier
        return own

    def _of_images(self, given: Any, wanted: set[str], end_s: float) -> Tensors:
        images = request_input.images_of(given, self.shapes, self.most_images)
        return self._tensors(self._classifier(), images, wanted, end_s)

    def _tensors(
        self, classifier: Classifier, images: NDArray[np.uint8], wanted: set[str], end_s: float | None
    ) -> Tensors:
        if not classifier.takes_photos:
            return {"probabilities": classifier(images)}
        if images.shape[1:] == _FASHION_PHOTO != classifier.input_shape:
            probabilities = classifier.run(images)
            finite.check(self.name, probabilities)
            return {"probabilities": probabilities}
        if images.shape[1:] != classifier.input_shape or "mask" not in wanted:
            return {"probabilities": classifier(images)}
        looks = []
        for image in images:
            self.gate.check_time(end_s)
            looks.append(classifier.look(image))
        return {"probabilities": np.stack([p for p, _ in looks]), "mask": np.stack([mask for _, mask in looks])}

    def _of_pictures(self, given: Any, end_s: float) -> Tensors:
        encoded = encoded_pictures.encoded_of(given, self.most_images)
        classifier = self._classifier()
        count = len(encoded)
        found: Tensors = {
            "label": np.full(count, b"", object),
            "confidence": np.zeros(count, np.float32),
            "accepted": np.zeros(count, np.bool_),
            "box": np.full((count, 4), -1, np.int32),
            "probabilities": np.zeros((count, len(classifier.labels)), np.float32),
            "garments": np.full(count, b"[]", object),
        }
        for number, one in enumerate(encoded):
            self.gate.check_time(end_s)
            picture = encoded_pictures.decoded(one, number, self.most_pixels)
            garments, probabilities = _seen(classifier, picture.image)
            garments = tuple(replace(garment, box=picture.at_full_size(garment.box)) for garment in garments)
            if probabilities is not None:
                found["probabilities"][number] = probabilities
            if garments:
                main = garments[0].answer
                found["label"][number] = main.label.encode()
                found["confidence"][number] = main.confidence
                found["accepted"][number] = main.accepted
                found["box"][number] = garments[0].box
                found["garments"][number] = json.dumps([garment.as_json() for garment in garments]).encode()
        return found

    def _of_frames(self, given: Any, end_s: float) -> Tensors:
        frames = request_input.images_of(given, [finder.FRAME_SHAPE], self.most_images)
        own = self._classifier().finder
        assert own is not None, "without one there is no such input"
        cells = []
        for frame in frames:
            self.gate.check_time(end_s)
            cells.append(own.cells(frame))
        return {"cells": np.stack(cells)}


def _seen(
    classifier: Classifier, picture: NDArray[np.uint8]
) -> tuple[tuple[SeenGarment, ...], NDArray[np.float32] | None]:
    """The garments of a picture, and what the network says of the main one; where no finder looks, what it says of the
    whole picture, be a garment in it or not. None where it was not asked."""
    if classifier.finder is not None:
        garments = predict(classifier, picture).garments
        return garments, garments[0].probabilities if garments else None
    found = see(classifier, picture)
    if found is None:
        return (), None
    item, probabilities = found
    answer = answer_of(probabilities, classifier.labels, classifier.rule)
    return (() if answer is None else (SeenGarment(answer, item.box, probabilities),)), probabilities
