"""Reads the settings and joins rooms to wires."""
