#!/bin/sh
# ldap3 2.9.1 (PyPI) on Python 3.11.7 and on Python 3.12.1: one server, one certificate, two answers.
#
# The server is asked for by its address, as `ldaps://10.0.0.5` is in many a configuration, and its certificate has that
# address as an alternative name of the kind IP, as the rules for certificates ask for. ldap3 compares names by itself:
# up to Python 3.11 by a function of the standard library, which knows addresses, and from 3.12 on, where that function is
# gone, by its own copy of an older one, which does not look at them. Nothing says so in the package's metadata, at import
# or in the error, which shows the certificate with the address in it and says that it does not match the address. A
# certificate that names the machine is taken on both.
#
# Expected: both are trusted by both. Seen:
#   3.11 name: trusted
#   3.11 address: trusted
#   3.12 name: trusted
#   3.12 address: refused, certificate ... doesn't match any name in ['127.0.0.1']
# Needs openssl, python3.11 and Python 3.12, which the variable PYTHON312 names where `python3.12` does not.
set -eu
newer=${PYTHON312:-python3.12}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/ask.py" <<'PYTHON'
import re
import socket
import ssl
import subprocess
import sys
import threading

import ldap3
from ldap3.core.exceptions import LDAPExceptionError

FOLDER = sys.argv[1]
LABEL = f"{sys.version_info[0]}.{sys.version_info[1]}"


def make(names):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=directory", "-addext", "subjectAltName=" + names, "-keyout", FOLDER + "/key", "-out", FOLDER + "/cert"],
        check=True, capture_output=True)


def ask(host):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER + "/cert", FOLDER + "/key")
    listener = socket.create_server(("127.0.0.1", 0))

    def hold():
        client, _ = listener.accept()
        try:
            context.wrap_socket(client, server_side=True).recv(1)
        except OSError:
            pass

    threading.Thread(target=hold, daemon=True).start()
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=FOLDER + "/cert")
    server = ldap3.Server(host, port=listener.getsockname()[1], use_ssl=True, tls=tls, get_info=ldap3.NONE)
    connection = ldap3.Connection(server)
    try:
        connection.open(read_server_info=False)
    except LDAPExceptionError as error:
        return "refused, " + re.sub(r"\{.*\}", "...", str(error).removeprefix("socket ssl wrapping error: ")).strip()
    return "trusted"


make("DNS:localhost")
print(LABEL, "name:", ask("localhost"))
make("IP:127.0.0.1")
print(LABEL, "address:", ask("127.0.0.1"))
PYTHON
for python in python3.11 "$newer"; do
    rm -rf "$folder/env"
    "$python" -m venv "$folder/env"
    "$folder/env/bin/pip" install --quiet --disable-pip-version-check 'ldap3==2.9.1' 'pyasn1==0.6.5'
    "$folder/env/bin/python" -W ignore "$folder/ask.py" "$folder"
done > "$folder/seen"
cat "$folder/seen"
cat > "$folder/expected" <<'TEXT'
3.11 name: trusted
3.11 address: trusted
3.12 name: trusted
3.12 address: refused, certificate ... doesn't match any name in ['127.0.0.1']
TEXT
diff "$folder/expected" "$folder/seen"
