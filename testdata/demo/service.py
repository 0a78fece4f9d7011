"""A small service with four leaks that production services really have.

    1. RESULTS is a cache keyed by the whole request: nothing is ever evicted, nothing ever hit.
    2. Every connection subscribes a closure to an event source and never unsubscribes; the closure
       keeps the connection, and the connection keeps its buffers.
    3. Failed requests are collected with their tracebacks, so their frames' locals live on.
    4. Metrics are labelled with the user's id: one counter for each user that ever came.

It serves requests from a thread of its own until it is stopped.
"""
import collections
import os
import threading
import time


class Request:
    def __init__(self, number):
        self.number = number
        self.user = 'user-%06d' % (number * 7919 % 100000)
        self.path = '/api/v1/items/%d' % number
        self.headers = {'User-Agent': 'demo/1.0', 'X-Request-Id': '%032x' % number, 'Accept': 'application/json'}


class Session:
    """What is kept of a connection."""

    __slots__ = ('user', 'buffer', 'history', '__weakref__')

    def __init__(self, user):
        self.user = user
        self.buffer = bytearray(600)
        self.history = []


class CacheEntry:
    def __init__(self, request, body):
        self.request = request
        self.body = body
        self.created = time.time()


class EventSource:
    def __init__(self):
        self.listeners = []

    def subscribe(self, listener):
        self.listeners.append(listener)


RESULTS = {}
EVENTS = EventSource()
FAILURES = collections.deque(maxlen=20000)
METRICS = collections.defaultdict(collections.Counter)


def render(request):
    return {'id': request.number, 'name': 'item %d' % request.number, 'tags': ['tag%d' % (request.number % 50), 'new'],
            'price': request.number * 1.5}


def connect(request):
    session = Session(request.user)

    def on_event(event):
        session.history.append(event)

    EVENTS.subscribe(on_event)
    return session


def validate(request):
    details = {'checked': request.headers, 'path': request.path}
    if request.number % 10 == 0:
        raise ValueError('item %d cannot be shown' % request.number, details)


def handle(number):
    request = Request(number)
    METRICS[request.user]['requests'] += 1
    if number % 3 == 0:
        connect(request)
    try:
        validate(request)
    except ValueError as error:
        FAILURES.append(error)
        return None
    key = (request.user, request.path, tuple(sorted(request.headers.items())))
    if key not in RESULTS:
        RESULTS[key] = CacheEntry(request, render(request))
    return RESULTS[key].body


def serve():
    number = 0
    while True:
        for _ in range(100):
            number += 1
            handle(number)
        time.sleep(0.005)


worker = threading.Thread(target=serve, name='requests', daemon=True)
worker.start()
print('READY', os.getpid(), flush=True)
worker.join()
