"""Dramatiq actors and timers; a message is a bell and carries ids only."""
