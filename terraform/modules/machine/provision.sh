#!/bin/sh
# Brings one machine into the cluster over ssh, from where Terraform runs. Keys go from machine to machine through this pipe, and are
# nowhere else. It reads from the environment:
#
#   SSH      ssh with its options, to which a destination is added
#   BECOME   "sudo" unless the user is root
#   TARGET   user@address of the machine
#   NAME     its name
#   ROLE     server or node
#   FIRST    1 for the server that begins a new cluster
#   PEERS    the servers' destinations, this one among them or not
#   POOL     node pool of a node
#   SCRIPT   what the module made for it; empty: retire the machine
set -eu

say() { echo "$NAME: $*" >&2; }

# on DESTINATION COMMAND...: as root there.
on() {
	destination=$1
	shift
	# Options and command are words.
	# shellcheck disable=SC2086,SC2029
	$SSH "$destination" $BECOME "$@"
}

# patiently COMMAND: machines that boot, and servers that elect a leader, are waited for.
patiently() {
	end=$(($(date +%s) + 900))
	until "$@"; do
		if [ "$(date +%s)" -ge $end ]; then
			say "gave up after 15 minutes"
			exit 1
		fi
		sleep 5
	done
}

retire() {
	if ! on "$TARGET" true; then
		say "not reachable, so not drained: Nomad notices that it is gone"
		return 0
	fi
	if on "$TARGET" test -x /usr/local/sbin/cotrain-cluster; then on "$TARGET" /usr/local/sbin/cotrain-cluster retire; fi
}

# A first server that was lost gets the keys of the others. Only where each of them answers, and none has keys, is the cluster new.
begin() {
	for peer in $PEERS; do
		[ "$peer" != "$TARGET" ] || continue
		code=0
		on "$peer" /usr/local/sbin/cotrain-cluster joined </dev/null >/dev/null 2>&1 || code=$?
		case $code in
		0) return 1 ;;
		255)
			say "$peer does not answer, so nobody knows whether there is a cluster already"
			exit 1
			;;
		esac
	done
	on "$TARGET" /usr/local/sbin/cotrain-cluster init </dev/null && on "$TARGET" /usr/local/sbin/cotrain-cluster start </dev/null
}

# fetch COMMAND...: from the first of the servers that has an answer, straight to the machine.
fetch() {
	for peer in $PEERS; do
		[ "$peer" != "$TARGET" ] || continue
		if keys=$(on "$peer" /usr/local/sbin/cotrain-cluster "$@" </dev/null 2>/dev/null | base64) && [ -n "$keys" ]; then
			printf '%s\n' "$keys" | base64 -d | on "$TARGET" /usr/local/sbin/cotrain-cluster join
			return
		fi
	done
	return 1
}

if [ -z "$SCRIPT" ]; then
	retire
	exit
fi
patiently on "$TARGET" true </dev/null
printf '%s\n' "$SCRIPT" | on "$TARGET" sh
if on "$TARGET" /usr/local/sbin/cotrain-cluster joined </dev/null; then
	patiently on "$TARGET" /usr/local/sbin/cotrain-cluster healthy </dev/null
	say "configured"
	exit
fi
case $ROLE in
server) if [ "$FIRST" != 1 ] || ! begin; then patiently fetch share; fi ;;
node) patiently fetch admit "$NAME" "$POOL" ;;
esac
say "joined"
