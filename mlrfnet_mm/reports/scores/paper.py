"""What the paper prints, for columns named paper; Li et al., IEEE Access 2023."""

# Table 5, last row. The lists behind it are those of protocol `chexnet`, though Table 2 calls them
# official: numbers of other protocols must not be put next to these.
TABLE_5_STAMP, TABLE_5_IMAGES = 'ChestX-ray14 chexnet/test', 22433
TABLE_5 = {
    'Atelectasis': 0.833,
    'Cardiomegaly': 0.915,
    'Effusion': 0.884,
    'Infiltration': 0.717,
    'Mass': 0.858,
    'Nodule': 0.799,
    'Pneumonia': 0.760,
    'Pneumothorax': 0.900,
    'Consolidation': 0.826,
    'Edema': 0.905,
    'Emphysema': 0.941,
    'Fibrosis': 0.821,
    'Pleural_Thickening': 0.810,
    'Hernia': 0.963,
    'mean': 0.853,  # as printed; the mean of the fourteen is 0.852
}

# What a test set of the paper's holds: images, or studies on CheXpert. Fewer are not its test set.
WHOLE = {'ChestX-ray14 chexnet': TABLE_5_IMAGES, 'CheXpert select-on-valid': 200}


def paper_aucs(stamp: str, images: int) -> dict[str, float]:
    """The paper's AUCs for the same data set, protocol and whole split; empty for any other."""
    return dict(TABLE_5) if (stamp, images) == (TABLE_5_STAMP, TABLE_5_IMAGES) else {}
