"""Organ colours that are the same in every picture and that colour-blind readers can distinguish."""

from collections.abc import Sequence

Color = tuple[float, float, float]

# Okabe & Ito, "Color Universal Design" (2008), https://jfly.uni-koeln.de/color/, without black, which is invisible on a
# CT. The first four are bright enough for a CT and the easiest to distinguish under simulated protan-, deuteran- and
# tritanopia (Machado et al. 2009). Lightness had a low weight in this choice: the shading of surfaces changes it.
_OKABE_ITO = (
    (0xD5, 0x5E, 0x00),  # vermillion
    (0x56, 0xB4, 0xE9),  # sky blue
    (0xF0, 0xE4, 0x42),  # yellow
    (0xCC, 0x79, 0xA7),  # reddish purple
    (0x00, 0x9E, 0x73),  # bluish green
    (0xE6, 0x9F, 0x00),  # orange
    (0x00, 0x72, 0xB2),  # blue
)
# Shift of the first, second and third seven colours towards white (positive) or black (negative). More shades would not
# help: 22 colours cannot be distinguished anyway.
_SHIFTS = (0.0, 0.55, -0.45)


def organ_colors(organs: Sequence[str]) -> list[Color]:
    """Red, green and blue in [0, 1] for each organ; they depend only on its index in the list.

    The colours repeat after seven organs: first paler, then darker, then unchanged.
    """
    return [_color(index) for index in range(len(organs))]


def _color(index: int) -> Color:
    cycle, position = divmod(index, len(_OKABE_ITO))
    shift = _SHIFTS[cycle % len(_SHIFTS)]
    target = 1.0 if shift > 0 else 0.0
    red, green, blue = (value / 255 + abs(shift) * (target - value / 255) for value in _OKABE_ITO[position])
    return red, green, blue
