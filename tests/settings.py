"""
Settings of the tests: the product's, with the tests' own database server, home and media directory.

Variables set here also apply to the processes that tests start. DATABASE_URL is used if it is set.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# a short path, because it contains PostgreSQL's socket, whose path may have at most 100 bytes
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
    "OPENAI_WEBHOOK_SECRET",
    "REPLICATE_WEBHOOK_SECRET",
    "OPENROUTER_WEBHOOK_SECRET",
    "PUBLIC_URL",
    "WEBHOOK_URL",
    "REDIS_URL",
):
    os.environ[key] = ""  # so that no .env lets a test call a paid provider

from genqueue_site.settings import *  # noqa: E402, F403
from genqueue_site.settings import DATABASES, REST_FRAMEWORK, STATIC_ROOT  # noqa: E402

# concurrent runs share the server, each with its own database; pytest-xdist adds its worker's name
DATABASES["default"] |= {"MAX_CONNECTIONS": 300, "TEST": {"NAME": f"test_genqueue_{os.getpid()}"}}
if not DATABASES["default"]["ENGINE"].endswith("embedded"):
    del DATABASES["default"]["MAX_CONNECTIONS"]

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
REST_FRAMEWORK["DEFAULT_THROTTLE_CLASSES"] = []
WHITENOISE_AUTOREFRESH = True  # look up files on request instead of scanning all for each client
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns if it is missing
