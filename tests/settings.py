"""
Settings of the tests: the product's own, on a server, a home and a media directory that belong to the tests.

What is set in the environment holds for the processes that tests start, too. DATABASE_URL, where it is set, is used.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# short: PostgreSQL's socket lies below, and its path may not be longer than 100 bytes
os.environ["GENQUEUE_VAR"] = str(ROOT / "var" / "test")
os.environ["EMBEDDED_FAST"] = "1"
os.environ["ALLOW_STUDIO"] = "1"
os.environ["MEDIA_ROOT"] = tempfile.mkdtemp(prefix="gq-media-")
atexit.register(shutil.rmtree, os.environ["MEDIA_ROOT"], ignore_errors=True)
os.environ["DEBUG"] = "0"
for key in (
    "OPENAI_VIDEOS_API_KEY",
    "FAL_KEY",
    "REPLICATE_API_TOKEN",
    "OPENROUTER_API_KEY",
    "OPENAI_IMAGES_API_KEY",
    "CHAT_API_KEY",
    "REDIS_URL",
):
    os.environ[key] = ""  # nobody's .env makes a test buy anything

from genqueue_site.settings import *  # noqa: E402, F403
from genqueue_site.settings import DATABASES, REST_FRAMEWORK, STATIC_ROOT  # noqa: E402

# several runs share the server, each with a database of its own; pytest-xdist adds its worker's name
DATABASES["default"] |= {"MAX_CONNECTIONS": 300, "TEST": {"NAME": f"test_genqueue_{os.getpid()}"}}
if not DATABASES["default"]["ENGINE"].endswith("embedded"):
    del DATABASES["default"]["MAX_CONNECTIONS"]

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
REST_FRAMEWORK["DEFAULT_THROTTLE_CLASSES"] = []
WHITENOISE_AUTOREFRESH = True  # looks for a file when asked for it, not for all whenever a client is made
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns where there is none
