"""What the categories of annotated scenes are called, and which label of ours each one means."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

from edgefashion.labels import GROUPS, LABELS, UNKNOWN

PERSON: Final = "Person"
HEAD: Final = "Head"

SCENE_LABELS: Final[tuple[str, ...]] = (*LABELS, *GROUPS, UNKNOWN, PERSON, HEAD)
"""The labels that a thing of a scene may have."""

_MEANS: Final[dict[str, str]] = {
    "T-shirt/top": (
        "t shirt, tshirt, tee, tee shirt, top, tank top, tank, crop top, camisole, polo, polo shirt, short sleeve top"
    ),
    "Trouser": "pant, trouser, jean, legging, chino, slack, jogger, sweatpant, track pant, trackpant",
    "Pullover": "sweater, sweatshirt, hoodie, hoody, cardigan, jersey, knitwear, sweat shirt, turtleneck",
    "Dress": "gown, sundress, short sleeve dress, long sleeve dress, vest dress, sling dress, sleeveless dress",
    "Coat": (
        "jacket, blazer, cape, parka, anorak, trench coat, trenchcoat, raincoat, overcoat, outerwear, outwear, outer, "
        "short sleeve outwear, long sleeve outwear, suit jacket, denim jacket, leather jacket, down jacket"
    ),
    "Shirt": "blouse, shirt blouse, button down, button up, dress shirt",
    "Sandal": "flip flop",
    "Sneaker": "trainer, running shoe, sport shoe, tennis shoe",
    "Bag": (
        "handbag, purse, backpack, rucksack, tote, tote bag, shoulder bag, shopping bag, bag wallet, clutch, suitcase"
    ),
    "Ankle boot": "boot, bootie, booty",
    "Footwear": "shoe, clog, flat, heel, high heel, loafer, pump, wedge, slipper, footgear",
    UNKNOWN: (
        "other, skirt, short, hat, cap, headwear, beanie, beany, scarf, scarve, scarf tie, tie, belt, glove, sock, "
        "stocking, tight, tight stocking, leg warmer, waistcoat, gilet, jumpsuit, romper, overall, dungaree, bodysuit, "
        "swimwear, swimsuit, bikini, bra, underwear, panty, lingerie, pyjama, pajama, robe, bathrobe, kimono, sari, "
        "watch, glass, eyeglass, sunglass, jewelry, jewellery, necklace, bracelet, earring, ring, wallet, umbrella, "
        "accessory, intimate"
    ),
    PERSON: "people, human, pedestrian, man, woman, child",
    HEAD: "face",
}

_TWO_WAYS: Final = {
    "jumper": "Pullover (in Britain) or Dress (in America)",
    "vest": "T-shirt/top (in Britain) or Unknown (a waistcoat, in America)",
    "suit": "Coat and Trouser",
    "long sleeve top": "Shirt or Pullover",
    "top t shirt sweatshirt": "T-shirt/top or Pullover",
    "clothing": "one of the labels",
    "cloth": "one of the labels",
    "clothe": "one of the labels",
    "garment": "one of the labels",
}
"""Names that people use for two of our labels."""


def _plain(name: str) -> str:
    """``name`` in small letters, words in the singular with one blank between."""
    return " ".join(_singular(word) for word in re.sub(r"[\W_]+", " ", name).casefold().split())


def _singular(word: str) -> str:
    for end, one in (("sses", "ss"), ("ches", "ch"), ("ies", "y"), ("ss", "ss"), ("s", "")):
        if len(word) > 3 and word.endswith(end):
            return word.removesuffix(end) + one
    return word


_LABEL_OF: Final = {
    **{_plain(name): label for label, names in _MEANS.items() for name in names.split(", ")},
    **{_plain(label): label for label in SCENE_LABELS},
}

_EXACT: Final = {label.casefold(): label for label in SCENE_LABELS}


def label_of(category: Mapping[str, Any]) -> str | None:
    """The label that a COCO category means, None where it means none of ours.

    Its name decides. A supercategory that is one of our labels decides where the name says nothing, and "Unknown" as
    the supercategory decides in any case: whoever writes it knows the name.
    """
    above = _EXACT.get(str(category.get("supercategory")).casefold())
    return above if above == UNKNOWN else _LABEL_OF.get(_plain(str(category.get("name"))), above)


def label_named(name: object) -> str | None:
    """The label that a plain name means, None where it means none of ours."""
    return _LABEL_OF.get(_plain(str(name)))


def unknown_category(name: str) -> str:
    """Why a category is left out, with the labels that its name is near to."""
    if both := _TWO_WAYS.get(_plain(name)):
        return f'category "{name}" may mean {both}. Rename it'
    near = difflib.get_close_matches(_plain(name), _LABEL_OF, n=3, cutoff=0.8)
    names = list(dict.fromkeys(_LABEL_OF[each] for each in near))
    hint = f"did you mean {' or '.join(names)}?" if names else f"known: {', '.join(SCENE_LABELS)}"
    return f'category "{name}" is none that is known ({hint})'
