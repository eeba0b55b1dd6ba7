"""``python -m amsctl``."""

from amsctl.cli.main import main

raise SystemExit(main())
