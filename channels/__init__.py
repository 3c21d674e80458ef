"""One file a wire, both ways: parse what comes in, make one call out."""
