"""Organ colours that stay the same from picture to picture and are told apart by colour-blind readers too."""

from collections.abc import Sequence

Color = tuple[float, float, float]

# Okabe & Ito, "Color Universal Design" (2008), https://jfly.uni-koeln.de/color/, without black, which a CT swallows.
# Of their colours the first four are those that stay apart best under simulated protan-, deuteran- and tritanopia
# (Machado et al. 2009) when lightness, which the shading of a surface changes, counts little, and are light enough
# to be seen on a CT.
_OKABE_ITO = (
    (0xD5, 0x5E, 0x00),  # vermillion
    (0x56, 0xB4, 0xE9),  # sky blue
    (0xF0, 0xE4, 0x42),  # yellow
    (0xCC, 0x79, 0xA7),  # reddish purple
    (0x00, 0x9E, 0x73),  # bluish green
    (0xE6, 0x9F, 0x00),  # orange
    (0x00, 0x72, 0xB2),  # blue
)
# How far the first, second and third round go towards white (positive) or black; nobody tells 22 colours apart.
_ROUNDS = (0.0, 0.55, -0.45)


def organ_colors(organs: Sequence[str]) -> list[Color]:
    """Red, green and blue in [0, 1] for each organ, by its place in the list alone.

    After seven organs the colours come again paler, then darker, then as they were.
    """
    return [_color(index) for index in range(len(organs))]


def _color(index: int) -> Color:
    turn, place = divmod(index, len(_OKABE_ITO))
    shift = _ROUNDS[turn % len(_ROUNDS)]
    goal = 1.0 if shift > 0 else 0.0
    red, green, blue = (value / 255 + abs(shift) * (goal - value / 255) for value in _OKABE_ITO[place])
    return red, green, blue
