#!/usr/bin/env python3
"""Give out heapStats()'s dict of named processes of this machine: GET /stats?pid=PID, or heap_stats(PID) by XML-RPC.

It listens on the loopback address; whoever can connect may ask.
"""
import argparse
import shlex
import subprocess
import urllib.parse
import xmlrpc.client
import xmlrpc.server


class Refused(Exception):
    """There is no dict; the reason is meant for the one who asked."""


class Stats(object):
    """Runs heapattach, for the processes that were named and no others."""

    def __init__(self, command, pids):
        self.command = command
        self.pids = pids

    def pickled(self, pid):
        if pid not in self.pids:
            raise Refused('process %s was not named with --pid' % pid)
        command = self.command + ['stats', '-p', str(pid), '--no-progress', '-o', '-']
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            raise Refused(done.stderr.decode(errors='replace').strip())
        return done.stdout

    def heap_stats(self, pid):
        return xmlrpc.client.Binary(self.pickled(pid))


class Handler(xmlrpc.server.SimpleXMLRPCRequestHandler):
    """XML-RPC is POST; GET is added."""

    def do_GET(self):
        address = urllib.parse.urlsplit(self.path)
        pid = urllib.parse.parse_qs(address.query).get('pid', [''])[0]
        if address.path != '/stats' or not pid.isdecimal():
            return self.send_error(404, 'GET /stats?pid=PID')
        try:
            body = self.server.stats.pickled(int(pid))
        except Refused as error:
            return self.send_error(403, 'no dict', str(error))
        self.send_response(200)
        self.send_header('Content-Type', 'application/octet-stream')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--pid', type=int, action='append', required=True, help='a process that may be asked for')
    parser.add_argument('--port', type=int, default=8642, help='0: any free one [%(default)s]')
    parser.add_argument('--command', default='heapattach', help='how heapattach is called [%(default)s]')
    arguments = parser.parse_args()
    server = xmlrpc.server.SimpleXMLRPCServer(('127.0.0.1', arguments.port), Handler, logRequests=False)
    server.stats = Stats(shlex.split(arguments.command), arguments.pid)
    server.register_function(server.stats.heap_stats)
    print('SERVING', server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == '__main__':
    main()
