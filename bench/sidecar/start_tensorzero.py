"""TensorZero's gateway as its package on PyPI holds it: on a port that it chooses, and says here.

start_tensorzero.py CONFIG PORT listens on PORT once the gateway does, and takes no calls there.
"""

import socket
import sys

import tensorzero

config, port = sys.argv[1:]
gateway = tensorzero._start_http_gateway(
    config_file=config, clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print("listens at", gateway.base_url, flush=True)
ready = socket.create_server(("127.0.0.1", int(port)))
while True:
    ready.accept()[0].close()
