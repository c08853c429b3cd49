"""The promises that README.rst makes about the provisioned machine, each tried from outside as its reader would."""

import base64
import subprocess
import urllib.request

import kombu


def page(user, password):
    request = urllib.request.Request("http://10.0.2.15:15672/api/whoami")
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
    return urllib.request.urlopen(request, timeout=20).read()


def sql(user, statement):
    command = ["mariadb", "--no-defaults", "--protocol=tcp", "--host=localhost", f"--user={user}", "--password=secretsecret"]
    return subprocess.run([*command, "--execute", statement], check=True)


assert b'"guest"' in page("guest", "secretsecret")
with kombu.Connection("amqp://tutorial:secretsecret@localhost:5672/%2f") as connection:
    queue = connection.SimpleQueue("promise")
    queue.put("kept")
    assert queue.get(timeout=20).payload == "kept"
sql("tutorial", "CREATE TABLE tutorial.promise (kept INT)")
sql("root", "SELECT * FROM tutorial.promise")
