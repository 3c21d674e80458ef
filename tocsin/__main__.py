"""`python -m tocsin` is the command `tocsin`."""

from tocsin.entry import main

if __name__ == "__main__":
    main()
