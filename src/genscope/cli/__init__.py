"""Floor 8: the command line. One file per verb: parse, one call, print. No arithmetic."""
