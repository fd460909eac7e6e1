# SPDX-License-Identifier: Apache-2.0
"""One connection of QEMU's guestfwd: standard input and output to a port on loopback."""
import os
import socket
import sys
import threading


def pump(read, write):
    while True:
        data = read()
        if not data:
            return
        write(data)


def main():
    peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    thread = threading.Thread(target=pump, args=(lambda: peer.recv(65536), lambda data: os.write(1, data)), daemon=True)
    thread.start()
    pump(lambda: os.read(0, 65536), peer.sendall)
    peer.shutdown(socket.SHUT_WR)
    thread.join()


main()
