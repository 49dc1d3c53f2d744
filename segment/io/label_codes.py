"""Map the codes in label files to structures and class indices."""

from collections.abc import Mapping, Sequence

import numpy as np

from segment.errors import UserError

Codes = Mapping[str, int | Sequence[int]]
Declared = Mapping[str, int | str | Sequence[int | str]]  # codes for label files, names for DICOM segmentations

MAX_CODE = 2**16 - 1  # limits the size of the lookup table
MAX_ORGANS = 255  # class indices are uint8


def normalise_name(name: str) -> str:
    """Return a name in lower case, with hyphens and runs of spaces replaced by underscores.

    For example, ` Kidney-Left` becomes `kidney_left`. No name is changed in any other way unless the user asks for it.
    """
    return "_".join(name.lower().split()).replace("-", "_")


def codes_of(declared: Declared) -> Codes:
    """Return the codes among the declared codes and names, by structure.

    Raises:
        UserError: When a structure has names but no code.
    """
    codes: dict[str, int | Sequence[int]] = {}
    for structure, value in declared.items():
        given = [one for one in _as_list(value) if not isinstance(one, str)]
        if not given and _as_list(value):
            msg = (
                f"label_codes gives {structure} {value!r}, a name in DICOM segmentations, but there are files of "
                f"codes; give a code, or both, as in {{{structure}: [1, Liver]}}"
            )
            raise UserError(msg)
        codes[structure] = given if isinstance(value, Sequence) else value
    return codes


def names_of(declared: Declared) -> Mapping[str, Sequence[str]]:
    """Return the names among the declared codes and names, by structure. Structures without names are left out."""
    names: dict[str, Sequence[str]] = {}
    for structure, value in declared.items():
        given = [one for one in _as_list(value) if isinstance(one, str)]
        if given:
            names[structure] = given
    return names


def _as_list(value: int | str | Sequence[int | str]) -> list[int | str]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


class LabelMap:
    """Maps the codes of one data set's label files to class indices.

    Class i is organs[i-1]. Every other structure with a code, and code 0, is background. An organ without a code is
    unknown in these files: its class does not occur.

    Args:
        codes: Code or codes of every structure, by name. Several codes are merged. Background (0) may be omitted.
        organs: Structures to segment, in the order of their classes.
        named_in: Where the codes are declared, for errors.

    Raises:
        UserError: When an organ is listed twice or has no usable code, when one code is given to two structures, or
            when there are more organs than fit into uint8.
    """

    def __init__(self, codes: Codes, organs: Sequence[str], named_in: str = "label_codes") -> None:
        _check_organs(organs)
        self.named_in = named_in
        owner: dict[int, str] = {}
        for name, value in codes.items():
            for code in _code_list(name, value, lowest=1 if name in organs else 0, named_in=named_in):
                if code in owner:
                    msg = f"label code {code} is given to both {owner[code]} and {name}; a code can mean one structure"
                    raise UserError(msg)
                owner[code] = name
        self.known = np.zeros(max(owner, default=0) + 1, dtype=bool)
        self.known[[0, *owner]] = True
        self.classes = np.zeros(len(self.known), dtype=np.uint8)
        for code, name in owner.items():
            if name in organs:
                self.classes[code] = list(organs).index(name) + 1

    def to_classes(self, label: np.ndarray, *, source: str) -> np.ndarray:
        """Return the class indices of a label map.

        Args:
            label: Codes, any shape, any integer type.
            source: Name of the label map in errors, for example its file.

        Returns:
            uint8 of the same shape.

        Raises:
            UserError: When a code is neither 0 nor declared.
        """
        if label.dtype.kind not in "iu":
            msg = f"{source} holds {label.dtype} values; give a label map of integer codes"
            raise UserError(msg)
        in_table = label.min(initial=0) >= 0 and label.max(initial=0) < len(self.known)
        if not in_table or not self.known[label].all():
            found = np.unique(label).tolist()
            unknown = [code for code in found if not (0 <= code < len(self.known) and self.known[code])]
            listed = ", ".join(map(str, unknown[:10])) + (" …" if len(unknown) > 10 else "")
            msg = (
                f"{source} holds codes that {self.named_in} does not name: {listed}; name them there, or correct the "
                "label file"
            )
            raise UserError(msg)
        classes: np.ndarray = self.classes[label]
        return classes


def _check_organs(organs: Sequence[str]) -> None:
    repeated = sorted({organ for organ in organs if list(organs).count(organ) > 1})
    if repeated:
        msg = f"organs lists {', '.join(repeated)} more than once; list every organ once"
        raise UserError(msg)
    if len(organs) > MAX_ORGANS:
        msg = f"{len(organs)} organs are too many; at most {MAX_ORGANS} fit into a mask"
        raise UserError(msg)


def _code_list(name: str, value: int | Sequence[int], lowest: int, named_in: str) -> list[int]:
    codes = list(value) if isinstance(value, Sequence) else [value]
    if not codes or any(type(code) is not int or not lowest <= code <= MAX_CODE for code in codes):
        msg = f"{named_in} gives {name} the code {value!r}; give whole numbers from {lowest} to {MAX_CODE}"
        raise UserError(msg)
    return codes
