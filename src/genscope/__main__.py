"""``python -m genscope`` is the ``genscope`` command."""

from genscope.cli.main import main

main()
