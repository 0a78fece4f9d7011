"""A WSGI application whose first request runs the script that HOST_SCENARIO names, and never ends."""
import os
import sys


def application(environ, start_response):
    script = os.environ['HOST_SCENARIO']
    sys.argv = [script]
    sys.path.insert(0, os.path.dirname(script))
    with open(script) as source:
        exec(compile(source.read(), script, 'exec'), {'__name__': '__main__', '__file__': script})
    start_response('200 OK', [])
    return [b'']
