"""Sample formats that several rooms share: CAN messages and keys as structured arrays."""
