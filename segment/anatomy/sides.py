"""Which organs are on one side of the body, by their names, and which is which in the mirror image of a CT."""

import logging
import re
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.single_words import SINGLE_WORDS, SPINE, VERTEBRA

log = logging.getLogger(__name__)

# Words that name a side wherever they are in a name: English, German, French, Latin, Italian, Spanish, Portuguese.
RIGHT = """
    right 右 r rt rechts rechte rechter rechtes droit droite dexter dextra dextrum destro destra derecho derecha direito
    direita
"""
LEFT = """
    left 左 l lt links linke linker linkes gauche sinister sinistra sinistrum sinistro izquierdo izquierda esquerdo
    esquerda
"""
# Abbreviations that may mean something else. They name a side only where the same name has the other one, too.
SHORT_RIGHT = "re dx dxt dex d der"
SHORT_LEFT = "li sx sin s g izq"

WORDS = dict.fromkeys(RIGHT.split(), "right") | dict.fromkeys(LEFT.split(), "left")
SHORT = dict.fromkeys(SHORT_RIGHT.split(), "right") | dict.fromkeys(SHORT_LEFT.split(), "left")
INSIDE = re.compile("right|left|右|左")  # also as a part of a word, as in leftkidney
SHOWN = 5  # organs named in a sentence
NEW_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")  # in RightKidney


def has_side(organ: str) -> bool:
    """Whether a name has a side: right_kidney, Kidney Left, kidney_r, rein gauche. RK alone has none."""
    return any(word in WORDS for word in _words(organ))


def find_pairs(organs: Sequence[str]) -> dict[str, str]:
    """The organ on the other side, by name, for all organs whose names differ in the side only.

    For example right_kidney and left_kidney, kidney_r and kidney_l, Niere re and Niere li, RK and LK.
    """
    partner: dict[str, str] = {}
    for words in (WORDS, WORDS | SHORT):
        partner |= _pairs({organ: _split(_words(organ), words) for organ in organs if organ not in partner})
    partner |= _pairs({organ: _initial(organ) for organ in organs if organ not in partner and not has_side(organ)})
    return partner


def mirrored_classes(organs: Sequence[str], pairs: Mapping[str, str] | None = None) -> list[int]:
    """The class that each class becomes in a mirrored CT, background first: right_kidney and left_kidney swap.

    An organ whose name has a side, and whose partner is not among the organs, becomes background.

    Args:
        organs: Class i is organs[i-1].
        pairs: The organ on the other side, by name; None for those of `find_pairs`.
    """
    partner = find_pairs(organs) if pairs is None else pairs
    classes = [0]
    for organ in organs:
        other = partner.get(organ, "" if has_side(organ) else organ)
        classes.append(1 + organs.index(other) if other in organs else 0)
    return classes


def unknown_sides(organs: Sequence[str]) -> list[str]:
    """Organs whose names may mean one side: RK without LK, kidney_1, or a word in Polish.

    All others have a partner, or a side, or consist of `SINGLE_WORDS`.
    """
    partner = find_pairs(organs)
    return [organ for organ in organs if organ not in partner and not has_side(organ) and not _is_single(organ)]


def sides_not_checked(organs: Sequence[str], anatomy: Anatomy) -> str:
    """A sentence that names the organs whose side no check compares with the CT; empty if there are none.

    They lie on one side by their names, or may do so, and the anatomy does not say on which.
    """
    pairs, unknown = find_pairs(organs), unknown_sides(organs)
    sided = [organ for organ in organs if organ in pairs or organ in unknown or has_side(organ)]
    missing = [organ for organ in sided if organ not in anatomy.right and organ not in anatomy.left]
    if not missing:
        return ""
    more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    return (
        f"no check finds {', '.join(missing[:SHOWN])}{more} on the wrong side, because neither anatomy.right nor "
        "anatomy.left names them; add those that lie on one side there, or call them as conf/anatomy/default.yaml does"
    )


def warn_of_sides(organs: Sequence[str], anatomy: Anatomy) -> None:
    """Log `sides_not_checked` as a warning."""
    sentence = sides_not_checked(organs, anatomy)
    if sentence:
        log.warning("%s", sentence)


def _words(organ: str) -> list[str]:
    """The words of a name in small letters: Left-Kidney and leftkidney are left and kidney."""
    name = INSIDE.sub(r" \g<0> ", NEW_WORD.sub(" ", organ).lower())
    return re.findall(r"[^\W_]+", name)


def _is_single(organ: str) -> bool:
    words = _words(organ)
    in_spine = len(words) == 1 or not SPINE.isdisjoint(words)
    return all(word in SINGLE_WORDS or (in_spine and VERTEBRA.fullmatch(word)) for word in words)


def _split(words: Sequence[str], sides: Mapping[str, str]) -> tuple[Hashable, str]:
    """What both organs of a pair have in common, and the side of this one.

    The side is empty for a name without one, and for a name that is nothing else, such as R.
    """
    found = [sides[word] for word in words if word in sides]
    if not found or len(found) == len(words):
        return tuple(words), ""
    # With several sides, as in left_lobe_of_right_lung, all of them are exchanged.
    common = [found[0] == sides[word] if word in sides else word for word in words]
    return tuple(common), found[0]


def _initial(organ: str) -> tuple[Hashable, str]:
    """As `_split`, if the first letter is the side: RK, rkidney. A name with a digit, such as L1, has none."""
    name = organ.lower()
    side = {"r": "right", "l": "left"}.get(name[:1], "") if name[1:].replace("_", "").isalpha() else ""
    return name[1:] if side else name, side


def _pairs(named: Mapping[str, tuple[Hashable, str]]) -> dict[str, str]:
    """Partners by name: two organs, and no third, that have the same in common and are on different sides."""
    groups: dict[Hashable, list[tuple[str, str]]] = defaultdict(list)
    for organ, (common, side) in named.items():
        if side:
            groups[common].append((organ, side))
    partner: dict[str, str] = {}
    for group in groups.values():
        if sorted(side for _, side in group) == ["left", "right"]:
            (one, _), (other, _) = group
            partner |= {one: other, other: one}
    return partner
