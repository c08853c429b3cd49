"""The server of the heartbeat project, without its log: oslo.messaging serves the method adder on openstack/test.

    server.py URL        prints "serving" and goes on until its standard input ends
"""
import sys

import oslo_messaging
from oslo_config import cfg


class Adder:
    target = oslo_messaging.Target()

    def adder(self, ctx, arg):
        return arg + 1

    def divide(self, ctx, arg):
        return 1 // arg


def main(url):
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
    target = oslo_messaging.Target(topic="test", server="myname")
    server = oslo_messaging.get_rpc_server(transport, target, [Adder()], executor="threading")
    server.start()
    print("serving", flush=True)
    sys.stdin.read()
    server.stop()
    server.wait()


cfg.CONF([])
main(sys.argv[1])
