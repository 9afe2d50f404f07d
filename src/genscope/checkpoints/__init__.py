"""Floor 1: bytes to tensors. The only code that opens weight files; one file per format, none of them ever runs what it reads."""
