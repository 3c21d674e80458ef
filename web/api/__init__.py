"""The JSON API of departments and officers, version 1."""
