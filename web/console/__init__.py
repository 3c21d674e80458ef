"""The plain pages of the desk."""
