"""Runs code beside a Volley: who connects sends code, and gets what it printed. Django is set up once for all of it.

Each code runs in a child of its own, with database connections of its own, at a hundredth of what a new Python costs.
"""

import contextlib
import io
import json
import os
import socketserver
import sys
import traceback


class Run(socketserver.StreamRequestHandler):
    def handle(self):
        code = self.rfile.read().decode()
        said, error = io.StringIO(), ""
        try:
            with contextlib.redirect_stdout(said):
                exec(code, {"json": json, "os": os})
        except BaseException:
            error = traceback.format_exc()
        self.wfile.write(json.dumps({"said": said.getvalue(), "error": error}).encode())


class Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    pass


if __name__ == "__main__":
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    Server(sys.argv[1], Run).serve_forever()
