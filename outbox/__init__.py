"""Promises to send, and the proof of what was sent."""
