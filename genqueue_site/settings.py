"""Settings. They come from the environment only; `.env.example` lists each with its default and unit."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
import environ
import structlog

from campaigns.pages.languages import LANGUAGES as LANGUAGES_OF_PAGES
from genqueue_site import environment as env
from genqueue_site import logs
from queue_app.rules.times import Times

django_stubs_ext.monkeypatch()

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "manage.py").exists():  # installed as a package: templates and static files ride along
    ROOT = Path(__file__).resolve().parent / "_data"
environ.Env.read_env(ROOT / ".env", overwrite=False)

# --- where things are ---------------------------------------------------------------------------------------------
VAR = env.directory("GENQUEUE_VAR", ROOT / "var")
if not (env.text("SECRET_KEY") and env.text("DATABASE_URL")):  # missing ones are stored there
    env.must_be_writable("GENQUEUE_VAR", VAR)
MEDIA_ROOT = Path(env.text("MEDIA_ROOT", str(VAR / "media")))
PUBLIC_URL = env.origin("PUBLIC_URL", "http://127.0.0.1:8000")
# where providers reach us; they are not asked to call us unless one of the two is set
WEBHOOK_URL = env.origin("WEBHOOK_URL", PUBLIC_URL) if env.text("WEBHOOK_URL") or env.text("PUBLIC_URL") else ""

# --- security -----------------------------------------------------------------------------------------------------
DEBUG = env.flag("DEBUG")
SECRET_KEY = env.secret("SECRET_KEY", VAR / "secret_key")
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1],testserver")
# log-ins without a password: only where no other host name leads here
DEMO = env.flag("DEMO", DEBUG) and {*ALLOWED_HOSTS} <= {"127.0.0.1", "localhost", "[::1]", "testserver"}
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
BEHIND_TLS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS else None
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:"],
        "media-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 8_000_000  # bytes of any body; `genqueue_site.asgi` reads no more
UPLOAD_MAX_BYTES = 21_000_000  # of a body with images at one of these addresses
UPLOAD_PATHS = ("/api/v1/uploads/", "/uploads/", "/quick/", "/campaigns/new/", "/schedules/new/")
AUTH_USER_MODEL = "queue_app.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
AXES_FAILURE_LIMIT = env.whole("LOGIN_FAILURES", 10, low=1, high=1_000)
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_DISABLE_ACCESS_LOG = True  # a row for each log-in that nobody reads and nothing removes
AXES_USERNAME_CALLABLE = "genqueue_site.failed_logins.user_name"

# --- applications -------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "genqueue_site.apps.SiteConfig",
    "genqueue_site.apps.GenqueueAdminConfig",
    "campaigns",
    "queue_app",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_q",
    "rest_framework",
    "knox",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "axes",
    "csp",
    "django_structlog",
]
MIDDLEWARE = [
    "genqueue_site.middleware.connections_freed",
    "genqueue_site.middleware.problems_below_api",
    "genqueue_site.middleware.storable_text",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "genqueue_site.middleware.SlashesOfReadsOnly",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "genqueue_site.middleware.acts_remembered",
    "genqueue_site.middleware.bell_renewed",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "genqueue_site.middleware.pages_and_fragments",
    "django_structlog.middlewares.RequestMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "genqueue_site.urls"
WSGI_APPLICATION = None
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "campaigns.context_processors.wallet",
                "campaigns.context_processors.unread",
            ]
        },
    }
]
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SILENCED_SYSTEM_CHECKS: list[str] = []

# --- database: DATABASE_URL, else a server of our own under var/ (stack: zero set-up, the same engine) ------------
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.database("DATABASE_URL")
    or {
        "ENGINE": "genqueue_site.db.embedded",
        "NAME": "genqueue",
        "USER": "postgres",
        "HOME": VAR / "pg18",
        "FAST": env.flag("EMBEDDED_FAST"),
    }
}
# 0 for the web: under ASGI a kept connection serves nobody twice. `runworker` sets it for its clusters
CONN_MAX_AGE = env.whole("CONN_MAX_AGE", 0, low=0, high=86_400)
DATABASES["default"] |= {"CONN_MAX_AGE": CONN_MAX_AGE, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": False}
MIGRATION_MODULES = {"knox": None}  # its own token table is swapped out for ApiKey
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- files and static files ---------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [ROOT / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "genqueue_site.static_fonts.FontFinder",
]
WHITENOISE_USE_FINDERS = True  # `make run` needs no collectstatic
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MIMETYPES = {".ttf": "font/ttf"}
WHITENOISE_IMMUTABLE_FILE_TEST = r"/gq/fonts/[^/]+-\d[\d.]*\.ttf$"  # the version is in the name
STORAGES = {
    "default": env.storage("MEDIA_STORAGE"),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
FILE_UPLOAD_PERMISSIONS = 0o640

# --- time and language --------------------------------------------------------------------------------------------
USE_TZ = True
QUEUE_TIME_ZONE = env.time_zone("QUEUE_TIME_ZONE", "UTC")
TIME_ZONE = QUEUE_TIME_ZONE
LANGUAGE_CODE = "en"
USE_I18N = True
LANGUAGES = [("en", "English")]
USE_THOUSAND_SEPARATOR = True
FORMAT_MODULE_PATH = ["genqueue_site.formats"]

# --- mail: printed to the console unless a server is named --------------------------------------------------------
vars().update(env.mail("EMAIL_URL", "consolemail://"))
EMAIL_TIMEOUT = 10  # seconds; a server that says nothing must not hold the queue that delivers
DEFAULT_FROM_EMAIL = env.text("MAIL_FROM", "genqueue@localhost")

# --- the queue ----------------------------------------------------------------------------------------------------
# the keys and webhook secrets that a provider account may name; nothing else of the environment is ever sent to a provider
PROVIDER_KEYS = {
    name: env.text(name)
    for name in (
        "OPENAI_VIDEOS_API_KEY",
        "FAL_KEY",
        "REPLICATE_API_TOKEN",
        "OPENROUTER_API_KEY",
        "OPENAI_IMAGES_API_KEY",
        "CHAT_API_KEY",
        "OPENAI_WEBHOOK_SECRET",
        "REPLICATE_WEBHOOK_SECRET",
        "OPENROUTER_WEBHOOK_SECRET",
    )
}
STUDIO_URL = env.origin("STUDIO_URL", "http://127.0.0.1:8001")
STUDIO_SECONDS = env.studio().seconds_per_job  # so that estimates of previews are right from the first
STUDIO_WEBHOOK_SECRET = env.studio().webhook_secret
ALLOW_STUDIO = env.flag("ALLOW_STUDIO", DEBUG)
TRUSTED_ORIGINS = env.origins("TRUSTED_ORIGINS") or ([STUDIO_URL] if ALLOW_STUDIO else [])
WEBHOOK_TRUSTED_ORIGINS = env.origins("WEBHOOK_TRUSTED_ORIGINS")  # receivers that may be private or speak http
ASSET_MAX_BYTES = env.whole("ASSET_MAX_MEGABYTES", 512, low=1, high=10_000) * 1_000_000
WEBHOOK_MAX_BYTES = 1_000_000  # of an inbound webhook; `genqueue_site.asgi` reads no more
WEBHOOKS_KEPT = timedelta(days=env.whole("WEBHOOKS_KEPT_DAYS", 30, low=1, high=3_650))
# channels of messages: name → dotted path of a callable that gets the message's id; `announce.TOLD` maps facts to channels
OUTBOX_CHANNELS = {
    "notices": "campaigns.notices.deliver",
    "emails": "queue_app.outbox.emails.deliver",
    "alerts": "queue_app.outbox.alerts.deliver",
    "webhooks": "queue_app.outbox.webhooks.deliver",
}

# 1 in production; smaller to rehearse failures that would take minutes
TIMES = Times().scaled(env.factor("TIME_SCALE", 1.0, low=0.02, high=1.0))

REDIS_URL = env.url("REDIS_URL", schemes=("redis", "rediss", "unix"), such_as="redis://host:6379/0")
WORKERS = env.whole("WORKERS", 4, low=1, high=64)
LONG_WORKERS = env.whole("LONG_WORKERS", 6, low=1, high=64)
Q_CLUSTER: dict[str, Any] = {
    "name": "genqueue",  # also the signing salt of queued tasks: the same on every machine
    "workers": WORKERS,
    "queue_limit": WORKERS,
    "bulk": 1,
    "poll": 2,
    "guard_cycle": 1,
    # we retry, django-q2 does not
    "timeout": round(TIMES.task),
    "retry": 300,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "recycle": 500,
    "max_rss": 400_000,
    "catch_up": False,
    "scheduler": False,
    "compress": False,
    "log_level": "WARNING",
    "ALT_CLUSTERS": {
        "long": {
            "workers": LONG_WORKERS,
            "queue_limit": LONG_WORKERS,
            "timeout": round(TIMES.long_task),
            "retry": 1000,
            "scheduler": False,
        },
        "store": {"workers": 2, "queue_limit": 2, "timeout": round(TIMES.store_task), "retry": 1000, "scheduler": False},
        # not renewed after so many tasks: a worker that leaves waits for its messages, and nobody else takes new ones meanwhile
        "deliver": {"workers": 1, "queue_limit": 1, "timeout": 60, "retry": 300, "recycle": 10**9, "scheduler": False},
    },
}
if REDIS_URL:
    Q_CLUSTER |= {"redis": REDIS_URL, "broker_class": "queue_app.runtime.redis_broker.RedisQueueBroker"}
else:
    Q_CLUSTER |= {"orm": "default", "broker_class": "queue_app.runtime.broker.QueueBroker"}

# --- API ----------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "queue_app.api.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated", "queue_app.api.permissions.HasScope"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "queue_app.api.negotiation.Tolerant",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "queue_app.api.schema.CallSchema",
    "DEFAULT_THROTTLE_CLASSES": ["queue_app.api.throttling.CallerThrottle"],
    "EXCEPTION_HANDLER": "queue_app.api.errors.problem",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
# of one caller; a key may have others
API_READS_PER_MINUTE = env.whole("API_READS_PER_MINUTE", 12_000, low=1, high=1_000_000)
API_WRITES_PER_MINUTE = env.whole("API_WRITES_PER_MINUTE", 3_000, low=1, high=1_000_000)
# what applications above the queue add to the API's table from exception to answer
API_REFUSALS = ["campaigns.api.refusals.TABLE"]
# what they do in the same transaction when clients or staff change a job or a batch: called with its id and the new values
FOLLOWERS = {"job": ["campaigns.launch.reword"], "batch": ["campaigns.actions.follow"]}
# what puts a job on hold that is queued again: called with the jobs, of which it sets `held_for`
HOLD_AGAIN = ["campaigns.releases.hold_again"]
# what they do in every sweep of the dispatcher: called with the time
SWEEPS = ["campaigns.breaker.look"]
# jobs that work in several stages: job type → dotted path of what says which (`queue_app.work.pipeline.Pipeline`)
PIPELINES = {"page": "campaigns.pages.pipeline.PAGES"}
# called with the job's id and the name of a stage before it, after it, and with the error if it fails
STAGE_HOOKS = {
    "before": env.names("STAGE_HOOKS_BEFORE"),
    "after": env.names("STAGE_HOOKS_AFTER"),
    "error": env.names("STAGE_HOOKS_ERROR"),
}
# what schedules can make: name → dotted path of its maker (`queue_app.work.makers.Maker`)
SCHEDULED = {"job": "queue_app.work.makers.jobs", "campaign": "campaigns.scheduled.campaigns"}
# what pages can be written in, in the order that forms show
PAGE_LANGUAGES = env.choices("PAGE_LANGUAGES", [*LANGUAGES_OF_PAGES])
KNOX_TOKEN_MODEL = "queue_app.ApiKey"  # noqa: S105 - the name of a model
REST_KNOX = {"TOKEN_PREFIX": "gq_", "TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Bearer"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Genqueue API",
    "VERSION": "1",
    "DESCRIPTION": "Submit jobs and campaigns, read their status and cost. Errors are application/problem+json.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "queue_app.api.document.finish"],
    "ENUM_NAME_OVERRIDES": {
        "State": "queue_app.models.job.State",
        "Status": "queue_app.models.job.Status",
        "StageStatus": ["done", "now", "wait", "bad"],
        "BulkStatus": ["waiting", "running", "done", "undone", "aborted"],
        "CampaignStatus": ["needs_attention", "running", "paused", "queued", "finished"],
    },
}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 20_000}}}

# --- logs: one line each on stderr, with what is bound to the task or the request ----------------------------------
# plain tracebacks: the pretty ones of structlog show local variables, and a key may be among them (I36)
_FACTS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso"),
]
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *_FACTS,
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
_RENDERERS: dict[str, Any] = {
    "line": structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback),
    "json": structlog.processors.JSONRenderer(),
}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "facts": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                logs.sound,
                _RENDERERS[env.choice("LOG_FORMAT", "line", _RENDERERS)],
            ],
            "foreign_pre_chain": _FACTS,
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "facts"}},
    "root": {"handlers": ["stderr"], "level": env.choice("LOG_LEVEL", "WARNING", _LEVELS)},
    "loggers": {
        "queue_app": {"level": env.choice("LOG_LEVEL", "INFO", _LEVELS)},
        "django.request": {"level": "ERROR"},
        # uvicorn installs its own handlers before these settings are read; its lines contain addresses with all parameters
        **{name: {"handlers": [], "propagate": True} for name in ("uvicorn", "uvicorn.error", "uvicorn.access")},
    },
}
