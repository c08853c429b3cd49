"""The client of the heartbeat project, many times over: oslo.messaging calls the method adder on openstack/test.

    client.py URL FIRST COUNT        prints each sum that came, a line each
    client.py URL METHOD ARG         prints the class and the text of the error that came

A call that fails while the broker is away is made again, as users of oslo.messaging do.
"""
import sys
import time

import oslo_messaging
from oslo_config import cfg


def client(url):
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=url)
    return oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic="test"), timeout=5)


def add(caller, number):
    while True:
        try:
            return caller.call({}, "adder", arg=number)
        except (oslo_messaging.MessagingTimeout, oslo_messaging.MessageDeliveryFailure) as error:
            print("again:", type(error).__name__, file=sys.stderr, flush=True)
            time.sleep(0.1)


def main(url, what, argument):
    caller = client(url)
    if what.isdigit():
        for number in range(int(what), int(what) + int(argument)):
            print(add(caller, number), flush=True)
        return
    try:
        caller.call({}, what, arg=int(argument))
    except Exception as error:
        print(type(error).__name__, str(error).splitlines()[0])


cfg.CONF([])
main(*sys.argv[1:])
