"""A Flask application with sessions, templates, JSON, errors and a growing store."""
import logging
import os

from flask import Flask, abort, jsonify, render_template_string, request, session
from werkzeug.serving import make_server

logging.getLogger('werkzeug').setLevel(logging.ERROR)
app = Flask(__name__)
app.secret_key = b'not secret'
STORE = {}
PAGE = '<h1>{{ title }}</h1>{% for item in items %}<li>{{ item.name }}: {{ item.value|round(2) }}</li>{% endfor %}'


class Item:
    def __init__(self, name, value):
        self.name = name
        self.value = value
        self.history = [value]


@app.before_request
def count():
    session['seen'] = session.get('seen', 0) + 1


@app.route('/')
def index():
    for number in range(20):
        name = 'item %d' % (len(STORE) + number)
        STORE[name] = Item(name, number * 1.5)
    if len(STORE) > 20000:
        STORE.clear()
    return render_template_string(PAGE, title='items', items=list(STORE.values())[-20:])


@app.route('/json')
def as_json():
    return jsonify({name: item.value for name, item in list(STORE.items())[:50]}, )


@app.route('/missing')
def missing():
    abort(404, description='nothing at %s' % request.path)


server = make_server('127.0.0.1', 0, app, threaded=True)
client = app.test_client()
for path in ('/', '/json', '/missing') * 5:
    client.get(path)
print('READY', os.getpid(), server.port, flush=True)
server.serve_forever()
