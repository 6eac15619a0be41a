"""Sample formats that several rooms share: CAN messages, keys and sound."""
