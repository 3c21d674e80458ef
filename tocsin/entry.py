"""Where the command begins: the modules are loaded without the collector looking at them again and again."""

import gc

gc.disable()  # loading makes half a million objects that all stay: looking for garbage in them is a sixth of the start

from tocsin import cli  # noqa: E402 (after the line above, or it would be of no use)


def main() -> None:
    """Run the command; what was loaded is set aside for good."""
    gc.freeze()
    gc.enable()
    cli.main()
