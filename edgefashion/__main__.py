"""``python -m edgefashion``: the command line without the installed script."""

from edgefashion.cli.main import main

main()
