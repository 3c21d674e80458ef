"""Whether two reports tell of the same: what a text names, when it was, how it sounds, and how alike two are."""
