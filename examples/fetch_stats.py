#!/usr/bin/env python3
"""Fetch heapStats()'s dict of a process on another machine, and print what fills its heap.

    fetch_stats.py ssh HOST PID        run `sudo heapattach stats -p PID` there
    fetch_stats.py http URL PID        ask serve_stats.py with HTTP
    fetch_stats.py xmlrpc URL PID      ask serve_stats.py with XML-RPC
"""
import argparse
import io
import pickle
import shlex
import subprocess
import sys
import urllib.request
import xmlrpc.client


class HeapStats(pickle.Unpickler):
    """Opens a pickle of texts, lists, dicts and bytes, and refuses anything that could do something.

    Up to protocol 2 a pickle has no bytes: they are written as what `_codecs.encode` makes of a text.
    """

    def find_class(self, module, name):
        if (module, name) == ('_codecs', 'encode'):
            return super().find_class(module, name)
        raise pickle.UnpicklingError('a heapStats() pickle has no %s.%s' % (module, name))


def load(data):
    """The dict that is in the pickle."""
    return HeapStats(io.BytesIO(data)).load()


def fetch_ssh(host, pid, command=('sudo', 'heapattach'), ssh=('ssh',)):
    remote = ' '.join(shlex.quote(word) for word in [*command, 'stats', '-p', str(pid), '--no-progress', '-o', '-'])
    return load(subprocess.run([*ssh, host, remote], stdout=subprocess.PIPE, check=True).stdout)


def fetch_http(url, pid):
    with urllib.request.urlopen('%s/stats?pid=%d' % (url.rstrip('/'), pid)) as answer:
        return load(answer.read())


def fetch_xmlrpc(url, pid):
    with xmlrpc.client.ServerProxy(url) as server:
        return load(server.heap_stats(pid).data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('way', choices=('ssh', 'http', 'xmlrpc'))
    parser.add_argument('where', help='host for ssh, else the address of serve_stats.py')
    parser.add_argument('pid', type=int)
    parser.add_argument('--command', default='sudo heapattach', help='what to run on the host [%(default)s]')
    parser.add_argument('--ssh', default='ssh', help='what to reach the host with [%(default)s]')
    parser.add_argument('--save', metavar='FILE', help='keep the dict, pickled')
    arguments = parser.parse_args()
    if arguments.way == 'ssh':
        stats = fetch_ssh(arguments.where, arguments.pid, shlex.split(arguments.command), shlex.split(arguments.ssh))
    elif arguments.way == 'http':
        stats = fetch_http(arguments.where, arguments.pid)
    else:
        stats = fetch_xmlrpc(arguments.where, arguments.pid)
    if arguments.save:
        with open(arguments.save, 'wb') as out:
            pickle.dump(stats, out, 2)
    print(stats['byclodo']['reachable'][0])
    print()
    print(stats['byrcs']['reachable'][0])
    for name in ('lo', 'med', 'hi'):
        print('\n%s: %s' % (name, stats['memmap'][name].rstrip()))
    print('\n%d objects in memory' % len(load(stats['memmap']['detail'])))


if __name__ == '__main__':
    sys.exit(main())
