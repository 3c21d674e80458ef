"""Whether two reports tell of the same: what a text names, when it was, how it sounds, and how alike two are."""

import os

# pypinyin reads this when it is imported: 40 MB of readings of whole phrases, of which single characters need none.
os.environ.setdefault("PYPINYIN_NO_PHRASES", "1")
