"""
Components of web pages, as JSON: written plainly, in the language asked for, from the facts of the prompt and nothing else.

A prompt asks for one by two blocks, each a line of JSON between two equal lines: ``TASK`` says what to write, ``FACTS`` what may
be stated. Facts are put in as they were given. Equal prompts and seeds give equal texts. Pages about different things share few
sentences, the components of one page none.
"""

from genqueue_site.studio.pages.asked import read
from genqueue_site.studio.pages.oddities import CUT_OFF, ODDITIES, answer

__all__ = ["CUT_OFF", "ODDITIES", "answer", "read"]
