"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

from config.statement_time import limit_pages

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
limit_pages()
application = get_wsgi_application()
