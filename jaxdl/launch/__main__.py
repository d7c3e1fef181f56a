import sys

from jaxdl.launch import main

sys.exit(main())
