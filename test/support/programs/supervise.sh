#!/bin/bash
# usage: supervise.sh DIRECTORY PROGRAM [ARGUMENT…]
# Runs a program until it ends by itself or until standard input ends: so it does not outlive the test that started it,
# however that one died. Everything that the program has started ends with it, then DIRECTORY is removed.
set -m
directory=$1
shift

# Every descendant carries this, whatever session or group it has put itself into.
mark="SUBWIRE_TEST_PROGRAM=$directory"
alive() { grep -lzxF -- "$mark" /proc/[0-9]*/environ | cut -d/ -f3; }

env "$mark" "$@" </dev/null &
program=$!
cat <&0 >/dev/null &
wait -n
status=$?

# Nobody may be listening any more.
exec >/dev/null 2>&1
kill -TERM "$program"
patience=$((SECONDS + 5))
while kill -0 "$program" && [ $SECONDS -lt $patience ]; do sleep 0.05; done
while [ -n "$(alive)" ]; do
  for pid in $(alive); do kill -KILL "$pid"; done
done
rm -rf -- "$directory"
exit $status
