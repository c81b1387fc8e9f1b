"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

from config.statement_time import limit_pages

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
limit_pages()
django = get_wsgi_application()

from config.fast import in_front_of  # noqa: E402  (it reads models, which are there from now on)

application = in_front_of(django)
