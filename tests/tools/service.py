"""A service on the real eventail: echoes commands, keeps the events it hears, and fails while there is a file `broken`."""

import os
import sys

from eventail.async_service.pika import Service
from eventail.log_criticity import WARNING


class Echo(Service):
    def handle_event(self, event, payload, conversation_id, meta):
        self.keep(event, payload)

    def handle_command(self, command, payload, conversation_id, reply_to, correlation_id, meta):
        if payload == "fail":
            self.return_error(reply_to, {"reason": "as asked"}, conversation_id, correlation_id)
            return
        self.keep(command, payload)
        self.return_success(reply_to, payload, conversation_id, correlation_id)
        self.publish_event(f"{name}.Echoed", {"what": payload}, conversation_id)
        self.log(WARNING, "echoed", "echoed\nin full", conversation_id, {"what": payload})

    def handle_returned_message(self, key, payload, envelope):
        pass

    def keep(self, key, payload):
        if os.path.exists(os.path.join(folder, "broken")):
            raise RuntimeError("broken")
        with open(os.path.join(folder, "kept"), "a") as kept:
            print(key, payload, file=kept)

    def on_ready(self):
        print("ready", flush=True)


url, name, folder = sys.argv[1:]
Echo([url], [f"{name}.Happened"], [f"{name}.Echo"], name).run()
