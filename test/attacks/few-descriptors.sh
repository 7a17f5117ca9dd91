#!/bin/bash
# Runs Node with as few descriptors for files and sockets as SUBWIRE_DESCRIPTORS says.
ulimit -n "$SUBWIRE_DESCRIPTORS"
exec node "$@"
