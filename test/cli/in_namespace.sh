#!/bin/sh
# Open MPI's way to another host, for hosts that are network namespaces of this machine: in_namespace.sh ADDRESS COMMAND... runs the command in the
# namespace that has the name hosts_ADDRESS.
address=$1
shift
exec ip netns exec "hosts_$address" sh -c "$*"
