"""Words of strangers that would run, or break out, wherever they are not taken as text."""

CANARIES = (
    "<script>boom()</script>",
    '"><img src=x onerror=boom()>',
    "javascript:boom()",
    "{{7*7}}",
    "</title><b>x",
    "<!--x",
)
