"""What a text looks like: two words that a reader takes for one have one skeleton (UTS #39 §4, cut to what is met)."""

import unicodedata

# Letters of other scripts that pass for Latin ones, after case folding (confusables.txt of UTS #39).
_ALIKE = str.maketrans(
    "\u0430\u0432\u0435\u0451\u043a\u043c\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458"
    "\u0455\u0501\u051b\u051d\u04bb\u0475\u03b1\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4"
    "\u03c5\u03c7\u03c9\u03f2\u03f3\u0131\u0261\u0251\u2010\u2011\u2012\u2013\u2014\u2212",
    "abeekmopctyxijsdqwhvaeiknoptuxwcjiga------",
)


def skeleton(text: str) -> str:
    """For comparing and searching only, never for showing. Safe to repeat."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    kept = (c for c in folded if unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    return unicodedata.normalize("NFC", "".join(kept).translate(_ALIKE))
