"""A bundle's facts in its IRs, for whoever has nothing but an IR."""

from __future__ import annotations

import json
from typing import Any

from edgefashion.bundles import bundle, draft, model_files
from edgefashion.bundles.facts import Facts
from edgefashion.inference import classifier
from edgefashion.inference.openvino_engine import read_ir


def describe(ir: Any, facts: Facts) -> None:
    """Write what a user of the bare IR must know into its rt_info, twice: as Intel's Model API reads it
    (``model_info``), and exactly (``edgefashion``, whose labels keep their spaces)."""
    photo = facts.takes_photos
    model_info = {
        "model_type": "Classification",
        "labels": " ".join(label.replace(" ", "_") for label in facts.labels),
        "resize_type": "standard" if photo else "fit_to_window_letterbox",
        "pad_value": "0",
        "mean_values": "0",
        "scale_values": "1",  # the 1/255 is inside the graph
        "reverse_input_channels": str(photo),  # Model API reads pictures as BGR; the network takes RGB
        "output_raw_scores": "False",
    }
    if not photo:
        # Model API prepares only colour pictures. A grey one of the network's size it then passes on as it is.
        side = image_side(ir)
        model_info |= {"embedded_processing": "True", "orig_height": str(side[0]), "orig_width": str(side[1])}
    for key, value in model_info.items():
        ir.set_rt_info(value, ["model_info", key])
    told = facts.as_json()
    for key in ("name", "labels", "pixels", "thresholds"):
        ir.set_rt_info(json.dumps(told[key]), [bundle.RT_INFO, key])


def describe_again(making: draft.Draft) -> None:
    """Write a draft's facts into the IRs it holds, whose rule may have been chosen after they were made."""
    for part in bundle.IR_PRECISIONS:
        xml = making.part(part)
        if xml.is_file():
            ir = read_ir(xml)
            describe(ir, making.facts)
            model_files.save_ir(ir, xml)  # as it is: weights of 16 bits stay so


def image_side(ir: Any) -> tuple[int, ...]:
    """(height, width) of a converted network's image; for a flat input the square of as many pixels."""
    return classifier.image_shape(tuple(ir.input(0).shape)[1:])[:2]
