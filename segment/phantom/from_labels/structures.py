"""What each structure of a label map is made of: a tissue, or an organ with parts of several tissues."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from segment.errors import UserError
from segment.io.label_codes import normalise_name
from segment.phantom.from_labels.drawing import ORGANS
from segment.phantom.tissues import TISSUES

UNLABELLED = "unlabelled"  # filled as if the map did not name the structure

# By normalised name, or by a pattern of names: those of the configured data sets, and those of TotalSegmentator, task
# "total", versions 1 and 2. Where masks overlap, the structure that comes later here wins: a vein in the liver is a
# vein. The values are tissues (`segment.phantom.tissues`) or organs (`segment.phantom.from_labels.drawing`).
STRUCTURES: dict[str, str] = {
    "background": UNLABELLED,
    "other": UNLABELLED,
    "body*": UNLABELLED,
    "face": UNLABELLED,
    # chest
    "lung*": "lung",
    "*_lung": "lung",
    "heart": "heart",
    "heart_myocardium": "myocardium",
    "heart_atrium_left": "left_heart",
    "heart_ventricle_left": "left_heart",
    "heart_atrium_right": "right_heart",
    "heart_ventricle_right": "right_heart",
    "atrial_appendage_left": "left_heart",
    "pulmonary_artery": "pulmonary_artery",
    "pulmonary_vein": "left_heart",  # the same blood at the same time
    "trachea": "airway",
    "oesophagus": "oesophagus",
    "esophagus": "oesophagus",
    "thyroid*": "thyroid",
    # abdomen
    "liver": "liver",
    "spleen": "spleen",
    "stomach": "stomach",
    "duodenum": "duodenum",
    "small_bowel": "small_bowel",
    "intestine": "small_bowel",
    "bowel": "small_bowel",
    "colon": "colon",
    "rectum": "colon",
    "pancreas": "pancreas",
    "gallbladder": "gallbladder",
    "adrenal*": "adrenal",
    "*_adrenal": "adrenal",
    "kidney": "kidney",
    "kidney_right": "kidney",
    "kidney_left": "kidney",
    "right_kidney": "kidney",
    "left_kidney": "kidney",
    # pelvis
    "bladder": "bladder",
    "urinary_bladder": "bladder",
    "prostate": "prostate",
    "prostate_or_uterus": "prostate",
    "uterus": "uterus",
    # muscles
    "gluteus*": "muscle",
    "autochthon*": "muscle",
    "iliopsoas*": "muscle",
    # skeleton
    "sacrum": "vertebra",
    "vertebra*": "vertebra",
    "rib_*": "bone",
    "sternum": "vertebra",
    "costal_cartilages": "cartilage",
    "humerus*": "bone",
    "scapula*": "bone",
    "clavicula*": "bone",
    "femur*": "bone",
    "*femoral_head": "bone",
    "hip_*": "bone",
    "skull": "bone",
    "spinal_cord": "cord",
    "brain": "cord",
    # vessels
    "aorta": "aorta",
    "brachiocephalic_trunk": "aorta",
    "subclavian_artery*": "aorta",
    "common_carotid_artery*": "aorta",
    "iliac_artery*": "aorta",
    "vena_cava": "vena_cava",
    "inferior_vena_cava": "vena_cava",
    "postcava": "vena_cava",
    "superior_vena_cava": "superior_vena_cava",
    "brachiocephalic_vein*": "superior_vena_cava",
    "iliac_vena*": "iliac_vein",
    "iliac_vein*": "iliac_vein",
    "portal_and_splenic_vein": "portal_vein",
    "portal_vein_and_splenic_vein": "portal_vein",
    "portal_vein": "portal_vein",
    "hepatic_vessel*": "hepatic_vein",
    # disease
    "*cyst*": "cyst",
    "*lung*cyst*": "lung",  # holds air
    "*cyst*lung*": "lung",
    "*nodule*": "hypodense_lesion",
    "*tumour*": "hypodense_lesion",
    "*tumor*": "hypodense_lesion",
    "*cancer*": "hypodense_lesion",
    "*lesion*": "hypodense_lesion",
    "cystic_*": "cyst",
}


def tissue_of(structures: Sequence[str], own: Mapping[str, str], option: str) -> dict[str, str]:
    """Return what each structure is made of, ordered so that where masks overlap the later one wins.

    Args:
        structures: Names in the label maps.
        own: The user's additions to STRUCTURES: by structure, a tissue, an organ, `unlabelled` or a name in STRUCTURES.
        option: The option that holds these, named in errors.

    Raises:
        UserError: When it is unknown what a structure is made of.
    """
    names = list(STRUCTURES)
    found: dict[str, tuple[int, str]] = {}
    for structure in structures:
        key = own.get(structure, structure)
        pattern = _pattern(normalise_name(key))
        if key in (*TISSUES, *ORGANS, UNLABELLED):
            found[structure] = (len(names) if pattern is None else names.index(pattern), key)
        elif pattern is not None:
            found[structure] = (names.index(pattern), STRUCTURES[pattern])
        else:
            raise UserError(_unknown(structure, own, option))
    return {structure: made_of for structure, (_, made_of) in sorted(found.items(), key=lambda item: item[1][0])}


def _pattern(name: str) -> str | None:
    """Return the entry of STRUCTURES for a normalised name: the name itself, else the last pattern that matches.

    The last, so that a tumour of the lung is a tumour, not lung.
    """
    if name in STRUCTURES:
        return name
    return next((pattern for pattern in reversed(STRUCTURES) if fnmatchcase(name, pattern)), None)


def _unknown(structure: str, own: Mapping[str, str], option: str) -> str:
    choices = f"a tissue ({', '.join(list(TISSUES)[:4])} …), an organ ({', '.join(ORGANS)}) or {UNLABELLED}"
    if structure in own:
        problem = f"{option} states that {structure} is made of {own[structure]!r}, which is unknown"
    else:
        problem = f"it is unknown what the structure {structure!r} is made of"
    return f"{problem}; name {choices}, e.g. '{option}={{{structure}: muscle}}'"
