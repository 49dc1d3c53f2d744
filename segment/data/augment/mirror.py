"""Mirroring with right and left organs swapped."""

from collections.abc import Sequence

import numpy as np
import torch
import torchio as tio
from torch import Tensor

from segment.anatomy.sides import find_pairs, has_side, unknown_sides
from segment.bounds import Share, in_range
from segment.data.augment.subjects import TISSUE, shallow_copy, steps_of
from segment.errors import UserError

# Swapping a pair takes 0.15 ms in a patch of 96³. A lookup table takes 0.5 ms for any number of pairs.
FEW_PAIRS = 3


class RandomLeftRightFlip(tio.SpatialTransform):  # type: ignore[misc]
    """Mirror left and right, and swap the classes of paired organs.

    Only the first axis is mirrored, which is left-right in the RAS+ orientation of preprocessed volumes. For example,
    the right kidney moves to the left and gets the class of the left kidney. An organ without a pair moves to the wrong
    side. A liver on the left occurs in one of ten thousand patients (situs inversus).

    If the subject has `annotated` (classes,), its entries are swapped as well.

    Args:
        organs: Class i is organs[i-1].
        pairs: Names of paired organs, e.g. [[right_kidney, left_kidney]]. Pairs without any of the organs are ignored.
        p: Probability that the transform is applied.
        single: Organs without a pair, e.g. [hígado], if `segment` does not know their names.

    Raises:
        UserError: When a pair is not two different organs, an organ is in two pairs, the other organ of a pair is not
            among the organs, or an organ that has, or may have, a side is in no pair and not single.
    """

    @in_range
    def __init__(
        self, organs: Sequence[str], pairs: Sequence[Sequence[str]], p: Share = 0.5, single: Sequence[str] = ()
    ) -> None:
        super().__init__(p=p, copy=False)
        self.swapped = swapped_classes(organs, pairs, single)
        self.args_names = ["swapped"]

    def apply_transform(self, subject: tio.Subject) -> tio.Subject:
        """Mirror all images, and swap classes in label maps, but not the codes of a tissue map."""
        subject = shallow_copy(subject)
        for name, image in subject.get_images_dict(intensity_only=False).items():
            data = image.data.flip(1)
            if isinstance(image, tio.LabelMap) and name != TISSUE:
                data = self._swap(data)
            image.set_data(data)
        if "annotated" in subject:
            subject["annotated"] = subject["annotated"][self.swapped]
        return subject

    def _swap(self, label: Tensor) -> Tensor:
        """Swap classes, possibly in place. Values that are not a class, e.g. 255, are kept."""
        pairs = [(one, other) for one, other in enumerate(self.swapped) if one < other]
        if len(pairs) > FEW_PAIRS:
            table = torch.arange(256, dtype=label.dtype)
            table[: len(self.swapped)] = torch.tensor(self.swapped, dtype=label.dtype)
            return table.index_select(0, label.flatten().int()).reshape(label.shape)
        values = label.to(torch.uint8).numpy()
        for one, other in pairs:
            values ^= ((values == one) | (values == other)) * np.uint8(one ^ other)
        return torch.from_numpy(values).to(label.dtype)


def check_mirroring(augment: tio.Transform | None) -> None:
    """Refuse TorchIO's own mirroring of left and right, which would teach a right kidney as a left one.

    Raises:
        UserError: When the augmentation contains it.
    """
    for step in steps_of(augment):
        if isinstance(step, tio.RandomFlip | tio.Flip) and any(str(axis)[0].lower() in "0lr" for axis in step.axes):
            msg = (
                f"{type(step).__name__} mirrors left and right, but does not swap the labels of right and left organs; "
                f"use segment.data.augment.{RandomLeftRightFlip.__name__}"
            )
            raise UserError(msg)


# Transforms that move voxels and leave the affine as it is.
MOVING = (
    *(RandomLeftRightFlip, tio.Flip, tio.RandomFlip, tio.Affine, tio.RandomAffine, tio.ElasticDeformation),
    *(tio.RandomElasticDeformation, tio.AffineElasticDeformation, tio.RandomAffineElasticDeformation),
)


def check_preprocess(preprocess: tio.Transform) -> None:
    """Refuse a preprocessing that moves anatomy without changing the affine, so that masks would lie elsewhere.

    Raises:
        UserError: When it contains such a transform.
    """
    for step in steps_of(preprocess):
        if isinstance(step, MOVING):
            msg = (
                f"preprocess contains {type(step).__name__}, which moves voxels and leaves the affine as it is, so "
                "masks would not lie on their CT; use it in augment, or leave it out"
            )
            raise UserError(msg)


def swapped_classes(organs: Sequence[str], pairs: Sequence[Sequence[str]], single: Sequence[str] = ()) -> list[int]:
    """The class that each class becomes when mirrored, background first. Arguments as for `RandomLeftRightFlip`.

    For example, with organs liver, right_kidney and left_kidney the result is [0, 1, 3, 2].
    """
    partner: dict[str, str] = {}
    for pair in pairs:
        if len(set(pair)) != 2 or set(pair) & partner.keys():
            msg = f"{list(pair)} is not a pair for mirroring; give two different names, and each organ in one pair only"
            raise UserError(msg)
        partner |= {pair[0]: pair[1], pair[1]: pair[0]}
    for organ in organs:
        if organ in partner and partner[organ] not in organs:
            msg = f"{organ} is paired with {partner[organ]}, which is not among the organs; add it, or do not mirror"
            raise UserError(msg)
    without = [organ for organ in organs if organ not in partner and organ not in single]
    for organ in without:
        if has_side(organ) or organ in find_pairs(organs):
            msg = f"{organ} has a side but no pair, so mirroring would put it on the wrong one; add its pair to pairs"
            raise UserError(msg)
        if organ in unknown_sides(organs):
            msg = (
                f"{organ} may lie on one side, and mirroring would then put it on the wrong one; if it does, add it "
                f"and its partner on the other side to pairs of {RandomLeftRightFlip.__name__}, otherwise to single"
            )
            raise UserError(msg)
    names = list(organs)
    return [0, *(1 + names.index(partner.get(organ, organ)) for organ in names)]
