"""A model card that fills itself from a run, and the checklists that it answers."""
