#!/bin/sh
# join.sh CGROUPS PROGRAM [ARGUMENT…]: run a program in the cgroups whose folders the file CGROUPS names. Entering a
# node's namespaces alone would leave the program in the caller's.
set -eu
cgroups=$1
shift
while read -r folder; do echo $$ > "$folder/cgroup.procs"; done < "$cgroups"
exec "$@"
