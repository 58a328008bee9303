"""The command `unicoal`, also as `python -m unicoal_components` and of a packed copy of the package."""

from .interruption import start


def main() -> None:
    """Run the command line of the process."""
    start()
    from .commands.app import main

    main()


if __name__ == "__main__":
    main()
