"""PadChest."""
