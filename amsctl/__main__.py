"""``python -m amsctl``. Python looks for modules in the folder where it is started first, which may be a checkout: none of its files is one of ours."""

import os
import sys

if not sys.flags.safe_path and sys.path[0] != os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
    del sys.path[0]

from amsctl.cli.main import main

raise SystemExit(main())
