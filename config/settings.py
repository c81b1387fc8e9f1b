"""Every setting, from the environment; works with nothing set. What never differs is a constant where it is used."""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import psycopg.conninfo

from config import embedded, env

# --- Where things are ---------------------------------------------------------------------------------
BASE_DIR = Path(__file__).resolve().parent.parent
VAR = embedded.VAR
VAR.mkdir(parents=True, exist_ok=True)


def _own_secret() -> str:
    """A key made on the first run and kept, so that sessions and signed links outlive a restart."""
    path = VAR / "secret-key"
    if not path.exists():
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        try:
            os.link(fresh, path)  # atomic: of processes that start together one wins
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text()


# --- Security -----------------------------------------------------------------------------------------
# Signs sessions and links. Set it where several hosts serve one installation.
SECRET_KEY = env.text("SECRET_KEY") or _own_secret()
# Older keys that still verify links, comma-separated, newest first.
SECRET_KEY_FALLBACKS = [key for key in env.text("SECRET_KEY_FALLBACKS").split(",") if key]
DEBUG = env.flag("DEBUG", default=False)
# The address people and mail programs reach Volley at; links in mail begin with it.
PUBLIC_URL = env.text("PUBLIC_URL", f"http://127.0.0.1:{env.number('PORT', 8000)}").rstrip("/")
_public = urlsplit(PUBLIC_URL)
if not _public.hostname or PUBLIC_URL not in (f"http://{_public.netloc}", f"https://{_public.netloc}"):
    raise ValueError(
        f"PUBLIC_URL={PUBLIC_URL!r}: use a scheme and a host alone, such as https://mail.example.com."
    )
_https = _public.scheme == "https"
ALLOWED_HOSTS = env.text("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]," + _public.hostname).split(",")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("BEHIND_PROXY", default=False) else None
)
# Whose address is the visitor's: the proxy appends it to X-Forwarded-For.
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if SECURE_PROXY_SSL_HEADER else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"
CSRF_FAILURE_VIEW = "config.views.csrf_failure"

# --- Parts --------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "config",
    "campaigns",
    "delivery",
    "contacts",
    "accounts",
    "allauth",
    "allauth.account",
    "anymail",
    "django_htmx",
    "django_rq",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.content_security_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.middleware.workspace",
    "config.middleware.refusals",
    "config.middleware.time_for_deeds",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context.shell",
            ],
            "builtins": ["django.contrib.humanize.templatetags.humanize", "config.templatetags.volley"],
        },
    }
]

# --- Cache: what allauth counts to slow down guessing, shared by all web processes -----------------------
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.text("REDIS_URL") or embedded.redis_url(),
        "KEY_PREFIX": "volley",
    }
}

# --- Data ---------------------------------------------------------------------------------------------
_database = psycopg.conninfo.conninfo_to_dict(env.text("DATABASE_URL") or embedded.database_url())
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database.get("dbname", "volley"),
        "USER": _database.get("user", ""),
        "PASSWORD": _database.get("password", ""),
        "HOST": _database.get("host", ""),
        "PORT": str(_database.get("port", "")),
        "CONN_MAX_AGE": 600,  # seconds; web threads and workers live long
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            key: value
            for key, value in _database.items()
            if key not in ("dbname", "user", "password", "host", "port")
        },
    }
}
# Seconds that one statement of a page may take; 0: as long as it needs. Behind PgBouncer, which takes no such limit
# when a connection begins, set 0 and give the web's role one: ALTER ROLE … SET statement_timeout.
WEB_STATEMENT_SECONDS = env.number("WEB_STATEMENT_SECONDS", 5)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env.text("REDIS_URL") or embedded.redis_url()
FILES = VAR / "files"  # uploaded imports; every host that runs bulk workers needs to see it
MEDIA_ROOT = FILES
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 2**20  # bytes of a form without its files; a pasted newsletter fits
DATA_UPLOAD_MAX_NUMBER_FIELDS = (
    5000  # of a form: a thousand lists may be ticked, and all of an import's 2,000 columns be sent
)
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20  # bytes; larger files go to disk while they arrive
FILE_UPLOAD_HANDLERS = [
    "accounts.uploads.Limited",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

JOURNALS = VAR / "journals"  # of batches being sent; each host has its own

# --- Queue: it carries "work on X", never truth -------------------------------------------------------
# A worker listens on one queue: RQ is only then safe between taking and starting a job.
_queue = {
    "URL": REDIS_URL,
    "SERIALIZER": "json",
    "DEFAULT_TIMEOUT": 3600,
    "DEFAULT_RESULT_TTL": 0,
}
RQ_QUEUES = {"default": _queue, "system": _queue, "send": _queue, "events": _queue, "bulk": _queue}
RQ = {"DEFAULT_RESULT_TTL": 0}

# --- Watching: /metrics answers whoever brings this as a bearer token; without one there is no such page ---
METRICS_TOKEN = env.text("METRICS_TOKEN")

# --- Sending ------------------------------------------------------------------------------------------
# Seconds until the first retry of a deferred message; each further one waits twice as long, up to an hour.
RETRY_FIRST_SECONDS = env.number("RETRY_FIRST_SECONDS", 60)
# Hours after its first deferral until a message is given up and counts as rejected.
RETRY_HOURS = env.number("RETRY_HOURS", 24)

# --- Tracking: whose opens and clicks are no person's, beside delivery/tracking/machines.toml -----------------
# Comma-separated: networks such as 203.0.113.0/24, and words of agents.
MACHINE_NETWORKS = [each for each in env.text("MACHINE_NETWORKS").split(",") if each.strip()]
MACHINE_AGENTS = [each for each in env.text("MACHINE_AGENTS").split(",") if each.strip()]

# --- People -------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "UserAttributeSimilarityValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "signup": "accounts.forms.SignupForm",
    "login": "accounts.forms.LoginForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "accounts.forms.ResetPasswordKeyForm",
    "change_password": "accounts.forms.ChangePasswordForm",
    "add_email": "accounts.forms.AddEmailForm",
}
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""

# --- Mail of Volley's own (password resets, invitations) ----------------------------------------------
# The local inbox: an SMTP server that keeps what it gets and shows it at /inbox/, password resets among it, to
# whoever can open the page. For a first run only, so it is off where others may reach this machine.
_alone = not env.text("DATABASE_URL") and all(
    urlsplit(f"//{host}").hostname in ("127.0.0.1", "localhost", "::1")
    for host in (env.text("VOLLEY_HOST", "127.0.0.1"), _public.netloc)
)
INBOX = env.flag("VOLLEY_INBOX", default=_alone)
INBOX_HOST = "127.0.0.1"
INBOX_PORT = env.number("INBOX_PORT", 1025)
# Where the mail server that is the MX of a return path's domain may hand bounces to Volley, by SMTP or LMTP; 0:
# nowhere.
BOUNCE_HOST = env.text("BOUNCE_HOST", "127.0.0.1")
BOUNCE_PORT = env.number("BOUNCE_PORT", 0)
# Name servers that domains are checked by, with commas between them, such as 192.0.2.53 or 192.0.2.53:5353; empty:
# the machine's own. Blocklists answer a resolver of one's own, and no public one.
DNS_RESOLVERS = [each for each in env.text("DNS_RESOLVERS").replace(" ", "").split(",") if each]
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = env.text("EMAIL_HOST", INBOX_HOST)
EMAIL_PORT = env.number("EMAIL_PORT", INBOX_PORT)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=False)
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Volley <volley@localhost>")

# --- Static files -------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("tabler/css", BASE_DIR / "node_modules/@tabler/core/dist/css"),
    ("tabler/js", BASE_DIR / "node_modules/@tabler/core/dist/js"),
    ("tabler-icons", BASE_DIR / "node_modules/@tabler/icons-webfont/dist"),
    ("chartjs", BASE_DIR / "node_modules/chart.js/dist"),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "config.storage.StaticStorage"},
}

# --- Language and time: stored in UTC, shown in the workspace's zone ------------------------------------
LANGUAGE_CODE = "en"
# Of the pages that recipients see; the marketers' own stay English. Each but the first has its locale/<code>/.
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("fr", "Français"),
    ("es", "Español"),
    ("pt", "Português"),
]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_TZ = True
TIME_ZONE = "UTC"
USE_THOUSAND_SEPARATOR = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        "rq.worker": {"level": "WARNING"},
        "rq": {"level": "WARNING"},
        "mail.log": {"level": "WARNING"},
    },
}
SILENCED_SYSTEM_CHECKS: list[str] = []
