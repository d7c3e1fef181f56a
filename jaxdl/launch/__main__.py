import sys

from jaxdl import process
from jaxdl.launch import main

process.use_huge_pages()
sys.exit(main())
