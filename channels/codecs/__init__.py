"""Formats that several wires and doors share."""
