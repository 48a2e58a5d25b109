#!/bin/sh
# Makes this machine part of a cluster, and keeps it so. Installed by Terraform as /usr/local/sbin/cotrain-cluster; run by root.
#
#   install     packages, then start; asks for keys if there are none: cloud machines get them by themselves, others through join
#   init        on the first server of a new cluster: authority, gossip keys, tokens; made here, never anywhere else
#   share       on a server: prints the keys that another server needs
#   admit NAME [POOL]  on a server: prints the keys that node NAME needs, good for joining for $INTRO_TTL
#   join        reads what share or admit printed, and starts
#   joined      succeeds where there are keys
#   healthy     succeeds where Nomad runs and, on a server, has a leader: to change one server after the other
#   start       configuration and certificates from the keys; starts what is to run, restarts what changed
#   settle      each minute: certificates before they end; on servers: rights, nodes that came back, keys for nodes in a cloud
#   drain       on a node: lets its workers end or save, then leaves; at shutdown, or when watch says so
#   watch       on a node: drains when $INTERRUPTED succeeds, then runs $DRAINED
#   retire      drains, stops all, and forgets the keys
#
# Keys are in $KEYS, for root alone. Nothing here prints one but share and admit, whose output goes to join through ssh or a secret store.
set -eu
umask 077

ETC=/etc/cotrain-cluster
KEYS=$ETC/keys
STATE=/var/lib/cotrain-cluster
# What Terraform knows of this machine: names, addresses, roles, packages, commands.
# shellcheck source=/dev/null
. $ETC/machine.env

say() { echo "cotrain-cluster: $*" >&2; }
die() { say "$*"; exit 1; }
has() { case " $ROLES " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
server() { has nomad-server || has consul-server || has vault; }
joined() { [ -s $KEYS/ca.pem ]; }
uuid() { cat /proc/sys/kernel/random/uuid; }
gossip() { openssl rand -base64 32; }
nomad_api() { NOMAD_ADDR=https://127.0.0.1:4646 NOMAD_CACERT=$KEYS/ca.pem NOMAD_TOKEN=$(cat $KEYS/nomad-management) nomad "$@"; }
consul_api() { CONSUL_HTTP_ADDR=http://127.0.0.1:8500 CONSUL_HTTP_TOKEN=$(cat $KEYS/consul-management) consul "$@"; }
vault_api() { VAULT_ADDR=https://127.0.0.1:8200 VAULT_CACERT=$KEYS/ca.pem "$VAULT_COMMAND" "$@"; }

# until_within SECONDS COMMAND: for what others have to do first.
until_within() {
	end=$(($(date +%s) + $1))
	shift
	until "$@"; do
		[ "$(date +%s)" -lt $end ] || return 1
		sleep 3
	done
}

cmd_install() {
	export DEBIAN_FRONTEND=noninteractive
	install -d -m 0755 $STATE
	wanted="$PACKAGES $(cat /etc/apt/sources.list.d/cotrain-*.sources 2>/dev/null | sha256sum)"
	if [ "$(cat $STATE/packages 2>/dev/null)" != "$wanted" ]; then
		until_within 120 apt-get update -qq || die "no list of packages: look at the repositories"
		# Word splitting is meant: a list of names, some with =version.
		# shellcheck disable=SC2086
		apt-get install -y -qq -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold --no-install-recommends --allow-downgrades --allow-change-held-packages $PACKAGES >/dev/null
		for package in $PACKAGES; do
			case $package in *=*) apt-mark hold "${package%%=*}" >/dev/null ;; esac
		done
		echo "$wanted" >$STATE/packages
	fi
	plugin
	systemctl daemon-reload
	if [ -s $ETC/firewall.nft ]; then
		systemctl enable -q cotrain-firewall.service
		systemctl reload-or-restart cotrain-firewall.service
	fi
	if ! joined; then
		fetch_keys || { say "no keys yet: waits for join"; return 0; }
	fi
	cmd_start
}

# Where packages put Nomad's device plugin is not where Nomad looks.
plugin() {
	has nomad-client || return 0
	install -d -m 0755 "$PLUGIN_DIR"
	if found=$(command -v nomad-device-nvidia); then ln -sf "$found" "$PLUGIN_DIR/nomad-device-nvidia"; fi
	if command -v nvidia-ctk >/dev/null && command -v docker >/dev/null; then
		before=$(cat /etc/docker/daemon.json 2>/dev/null || :)
		nvidia-ctk runtime configure --runtime=docker >&2
		[ "$before" = "$(cat /etc/docker/daemon.json)" ] || systemctl try-restart docker
	fi
}

# A machine in a cloud gets its keys with the machine's own identity. A store that does not answer is not an empty one.
fetch_keys() {
	[ -n "$KEYS_GET" ] || return 1
	if server && [ "$FIRST" = 1 ]; then
		until_within 600 stored_keys || die "the secret store does not answer"
		[ "$stored" != empty ] || cmd_init
		joined || printf '%s' "$stored" | base64 -d | unpack
	else
		until_within 1800 stored_and_filled || die "the secret store has no keys: look at the first server"
		printf '%s' "$stored" | base64 -d | unpack
	fi
}
stored_keys() { stored=$(sh -c "$KEYS_GET") && [ -n "$stored" ]; }
stored_and_filled() { stored_keys && [ "$stored" != empty ]; }

cmd_init() {
	if joined; then return 0; fi
	new=$(mktemp -d $ETC/new.XXXXXX)
	openssl ecparam -name prime256v1 -genkey -noout -out "$new/ca-key.pem"
	openssl req -x509 -new -key "$new/ca-key.pem" -sha256 -days 3650 -subj "/CN=$CLUSTER authority" \
		-addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign -out "$new/ca.pem"
	for name in consul-gossip nomad-gossip; do gossip >"$new/$name"; done
	for name in consul-management consul-agent consul-nomad nomad-management; do uuid >"$new/$name"; done
	[ -z "$KEYS_PUT" ] || tar -C "$new" -cz . | base64 -w0 | sh -c "$KEYS_PUT" || die "the secret store does not take the keys"
	touch "$new/begun"
	rm -rf $KEYS
	mv "$new" $KEYS
}

cmd_share() {
	joined || die "no keys here"
	tar -C $KEYS -cz ca.pem ca-key.pem consul-gossip nomad-gossip consul-management consul-agent consul-nomad nomad-management
}

# One certificate does for all agents of a machine: their names differ. certificate NAME KIND FOLDER DAYS
certificate() {
	names="DNS:localhost,DNS:$1,DNS:$2.$REGION.nomad,DNS:$2.$CONSUL_DATACENTER.consul,IP:127.0.0.1"
	[ "$2" = client ] || for ip in $(hostname -I 2>/dev/null) $ADDRESS; do
		case $ip in *[!0-9.]*) ;; *) names="$names,IP:$ip" ;; esac
	done
	openssl ecparam -name prime256v1 -genkey -noout -out "$3/$2-key.pem"
	printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n' "$names" >"$3/ext"
	openssl req -new -key "$3/$2-key.pem" -subj "/CN=$1" | openssl x509 -req -sha256 -days "$4" -extfile "$3/ext" \
		-CA $KEYS/ca.pem -CAkey $KEYS/ca-key.pem -set_serial "0x$(openssl rand -hex 16)" -out "$3/$2.pem" 2>/dev/null
	rm "$3/ext"
}

cmd_admit() {
	[ -s $KEYS/ca-key.pem ] || die "not a server with keys"
	name=${1:-}
	new=$(mktemp -d $STATE/admit.XXXXXX)
	trap 'rm -rf "$new"' EXIT
	# The token first: it shows whether the servers have a leader.
	nomad_api node intro create ${name:+-node-name="$name"} -node-pool="${2:-$NODE_POOL}" -ttl="$INTRO_TTL" -t '{{.JWT}}' >"$new/intro-token"
	certificate "${name:-node}" client "$new" "$CERTIFICATE_DAYS"
	cp $KEYS/ca.pem "$new"
	if has consul-server; then
		cp $KEYS/consul-gossip "$new"
		consul_node_token "$name" >"$new/consul-token"
	fi
	tar -C "$new" -cz .
}

# A node's token is for its own name; nodes in a cloud, whose names nobody knows before, share the agents' one.
consul_node_token() {
	if [ -z "$1" ]; then
		cat $KEYS/consul-agent
		return
	fi
	for old in $(consul_api acl token list | awk -v name="node $1" '/^AccessorID:/ { id = $2 } $0 ~ "^Description: *" name "$" { print id }'); do
		consul_api acl token delete -id "$old" >/dev/null
	done
	consul_api acl token create -description "node $1" -node-identity "$1:$CONSUL_DATACENTER" -policy-name nomad-client | awk '/^SecretID:/ { print $2 }'
}

unpack() {
	new=$(mktemp -d $ETC/new.XXXXXX)
	tar -C "$new" -xz --no-same-owner
	[ -s "$new/ca.pem" ] || die "what came has no keys"
	rm -rf $KEYS
	mv "$new" $KEYS
}

cmd_join() {
	unpack
	cmd_start
}

# place FILE OWNER < TEXT: for files with a secret in them.
place() {
	cat >"$1.new"
	chown "$2" "$1.new"
	chmod 0600 "$1.new"
	mv "$1.new" "$1"
}

owner() { if id "$1" >/dev/null 2>&1; then echo "$1:"; else echo root:; fi; }

# tls FOLDER KIND OWNER: certificates where an agent reads them. Servers sign their own, and anew in their last third.
tls() {
	install -d -m 0700 "$1/tls"
	if [ "$2" = server ] && ! openssl x509 -checkend 864000 -noout -in $KEYS/server.pem >/dev/null 2>&1; then certificate "$MACHINE" server $KEYS 30; fi
	for file in ca.pem "$2.pem" "$2-key.pem"; do
		cmp -s "$KEYS/$file" "$1/tls/$file" || cp "$KEYS/$file" "$1/tls/$file"
	done
	chown -R "$(owner "$3")" "$1/tls"
}

# start configures and starts; settle, which sets changed_only, leaves alone what somebody stopped.
changed_only=0

cmd_start() {
	joined || die "no keys yet"
	if has consul-server || has consul-client; then start_consul; fi
	if has vault; then
		tls "$VAULT_ETC" server "$VAULT_SERVICE"
		run "$VAULT_ETC" "$VAULT_SERVICE" "$VAULT_COMMAND"
	fi
	if has nomad-server || has nomad-client; then start_nomad; fi
	[ $changed_only = 0 ] || return 0
	units=cotrain-settle.timer
	if has nomad-client; then units="$units cotrain-drain.service"; fi
	if [ -n "$INTERRUPTED" ]; then units="$units cotrain-watch.service"; fi
	# shellcheck disable=SC2086
	systemctl enable -q --now $units
}

start_consul() {
	if has consul-server; then
		tls /etc/consul.d server consul
		tokens="initial_management = \"$(cat $KEYS/consul-management)\"
    agent = \"$(cat $KEYS/consul-agent)\""
	else
		tls /etc/consul.d client consul
		tokens="agent = \"$(cat $KEYS/consul-token)\""
	fi
	place /etc/consul.d/keys.hcl "$(owner consul)" <<-TEXT
		encrypt = "$(cat $KEYS/consul-gossip)"
		acl {
		  tokens {
		    $tokens
		  }
		}
	TEXT
	run /etc/consul.d consul consul
}

start_nomad() {
	install -d -m 0755 "$DATA_DIR"
	if has nomad-server; then
		tls /etc/nomad.d server nomad
		chown "$(owner nomad)" "$DATA_DIR"
		sed "s|GOSSIP_KEY|$(cat $KEYS/nomad-gossip)|" $ETC/gossip.hcl | place /etc/nomad.d/gossip.hcl "$(owner nomad)"
		token=$KEYS/consul-nomad
	else
		tls /etc/nomad.d client root
		install -d -m 0700 "$DATA_DIR/client"
		# A node registers with it once; afterwards Nomad renews the identity that the node got.
		if [ -s $KEYS/intro-token ]; then mv $KEYS/intro-token "$DATA_DIR/client/intro_token.jwt"; fi
		token=$KEYS/consul-token
	fi
	if has consul-server || has consul-client; then echo "CONSUL_HTTP_TOKEN=$(cat $token)" | place /etc/nomad.d/nomad.env root:; fi
	run /etc/nomad.d nomad nomad
}

# run FOLDER SERVICE PROGRAM: restarts an agent whose configuration or program changed, and tells one whose certificates did.
run() {
	config=$(find "$1" "/etc/systemd/system/$2.service.d" -maxdepth 1 -type f -exec sha256sum {} + 2>/dev/null | sort && stat -L -c '%s %Y' "$(command -v "$3")")
	certificates=$(find "$1/tls" -type f -exec sha256sum {} + | sort)
	state=$(systemctl is-active "$2" || :)
	systemctl is-enabled -q "$2" 2>/dev/null || systemctl enable -q "$2"
	case $state:$changed_only in
	inactive:1 | failed:1) return 0 ;;
	inactive:* | failed:*) systemctl restart --no-block "$2" ;;
	*)
		if [ "$(cat "$STATE/$2.config" 2>/dev/null)" != "$config" ]; then
			systemctl restart --no-block "$2"
		elif [ "$(cat "$STATE/$2.certificates" 2>/dev/null)" != "$certificates" ]; then
			systemctl reload --no-block "$2"
		fi
		;;
	esac
	echo "$config" >"$STATE/$2.config"
	echo "$certificates" >"$STATE/$2.certificates"
}

cmd_settle() {
	joined || return 0
	changed_only=1
	if ! server && [ -n "$KEYS_GET" ] && ! openssl x509 -checkend 864000 -noout -in $KEYS/client.pem >/dev/null; then
		stored_and_filled || die "the secret store has no new certificate"
		printf '%s' "$stored" | base64 -d | unpack
	fi
	cmd_start
	if has vault && [ -e $KEYS/begun ]; then settle_vault; fi
	has nomad-server || return 0
	leader=$(nomad_api operator api /v1/status/leader 2>/dev/null) || return 0
	leads "$leader" || return 0
	if has consul-server; then settle_consul; fi
	nomad_api acl token self >/dev/null 2>&1 || nomad_api acl bootstrap $KEYS/nomad-management >/dev/null || die "nomad acl bootstrap: look at it"
	settle_nodes
	if [ -n "$NODES_PUT" ]; then publish; fi
}

# What nodes of a cloud fetch: as good for joining as INTRO_TTL says, so anew each ten minutes.
publish() {
	[ -z "$(find $STATE/published -mmin -10 2>/dev/null)" ] || return 0
	(cmd_admit) >$STATE/nodes.new
	base64 -w0 <$STATE/nodes.new | sh -c "$NODES_PUT" || die "the secret store does not take the keys of nodes"
	rm $STATE/nodes.new
	touch $STATE/published
}

# Any of its addresses may be the one that it advertises.
leads() {
	for ip in $(hostname -I 2>/dev/null) $ADDRESS; do
		[ "$1" != "\"$ip:4647\"" ] || return 0
	done
	return 1
}

# The tokens' secrets were made by init, so that agents had them before Consul knew them.
settle_consul() {
	consul_api operator raft list-peers >/dev/null 2>&1 || return 0
	for name in consul-agent nomad-server nomad-client; do
		rules=@$ETC/policies/$name.hcl
		if consul_api acl policy read -name $name >/dev/null 2>&1; then
			consul_api acl policy update -name $name -rules "$rules" >/dev/null
		else
			consul_api acl policy create -name $name -rules "$rules" >/dev/null
		fi
	done
	known=$(consul_api acl token list)
	printf '%s' "$known" | grep -q '^Description: *consul-agent$' ||
		consul_api acl token create -description consul-agent -secret "$(cat $KEYS/consul-agent)" -policy-name consul-agent -policy-name nomad-client >/dev/null
	printf '%s' "$known" | grep -q '^Description: *consul-nomad$' ||
		consul_api acl token create -description consul-nomad -secret "$(cat $KEYS/consul-nomad)" -policy-name nomad-server >/dev/null
}

# A node that drained itself at a shutdown and has come back since may work again. Nobody else's drain is touched.
settle_nodes() {
	nomad_api node status -t '{{range .}}{{if and (eq .Status "ready") (eq .SchedulingEligibility "ineligible") (not .Drain) .LastDrain}}{{.ID}} {{index .LastDrain.Meta "message"}}
{{end}}{{end}}' | while read -r id why; do
		[ "$why" = "shutting down" ] || continue
		since=$(nomad_api node status -t '{{if index .Meta "cotrain_leaving"}}0{{else}}{{.StatusUpdatedAt}}{{end}} {{.LastDrain.UpdatedAt.Unix}}' "$id")
		[ "${since% *}" -le "${since#* }" ] || nomad_api node eligibility -enable "$id" >&2
	done
}

# Only where this cluster began, never on a server that took the first one's place: there Vault joins the others.
# What init prints opens Vault for ever: it stays here, for root, until somebody moves it to a safer place.
settle_vault() {
	code=0
	vault_api operator init -status >/dev/null 2>&1 || code=$?
	[ $code = 2 ] || return 0 # 2: not initialised
	vault_api operator init -format=json >$KEYS/vault-init
	say "Vault is initialised: move $KEYS/vault-init to a safe place, and unseal it"
}

cmd_healthy() {
	[ -z "$(systemctl list-jobs --no-legend nomad.service)" ] || return 1
	if has nomad-server; then nomad_api operator api /v1/status/leader >/dev/null 2>&1; else systemctl is-active -q nomad; fi
}

cmd_drain() {
	systemctl is-active -q nomad || return 0
	busy=1
	if idle; then busy=0; fi
	# SIGTERM has Nomad drain and leave, which SIGINT, by which a restart stops it, does not.
	systemctl kill -s SIGTERM --kill-who=main nomad
	until_within "$((DRAIN_SECONDS + SAVE_SECONDS + 30))" stopped || say "not drained in time"
	if [ $busy = 1 ]; then finish; fi
}
stopped() { case $(systemctl is-active nomad || :) in inactive | failed) return 0 ;; *) return 1 ;; esac; }
idle() { ! pgrep -f 'nomad (executor|docker_logger) ' >/dev/null; }

# Nomad may leave when the servers want the workers stopped, before they have saved. So it comes back, beside systemd, which starts nothing
# during a shutdown, until they have, and the servers know how they ended. What it says of itself keeps settle from using the node.
finish() {
	(
		set -a
		# shellcheck source=/dev/null
		if [ -e /etc/nomad.d/nomad.env ]; then . /etc/nomad.d/nomad.env; fi
		exec nomad agent -config /etc/nomad.d -meta cotrain_leaving=yes >/dev/null
	) &
	agent=$!
	sleep 5 # it finds the workers first
	until_within "$SAVE_SECONDS" idle || say "workers did not save in time"
	sleep 2 # the last states go out
	kill -INT $agent
	wait $agent || :
}

cmd_watch() {
	until sh -c "$INTERRUPTED" >/dev/null 2>&1; do sleep 5; done
	say "this machine is to go"
	cmd_drain
	[ -z "$DRAINED" ] || sh -c "$DRAINED"
}

cmd_retire() {
	systemctl disable -q --now cotrain-settle.timer cotrain-watch.service 2>/dev/null || :
	if has nomad-client; then cmd_drain; fi
	for service in cotrain-drain nomad consul ${VAULT_SERVICE:-}; do systemctl disable -q --now "$service" 2>/dev/null || :; done
	rm -rf $KEYS /etc/nomad.d/tls /etc/consul.d/tls ${VAULT_ETC:+"$VAULT_ETC/tls"} /etc/nomad.d/gossip.hcl /etc/nomad.d/nomad.env /etc/consul.d/keys.hcl
	rm -rf "$STATE"
	if has nomad-client; then rm -f "$DATA_DIR/client/intro_token.jwt"; fi
}

case ${1:-} in
joined) joined ;;
install | init | share | join | healthy | start | settle | drain | watch | retire) "cmd_$1" ;;
admit) cmd_admit "${2:-}" "${3:-}" ;;
*) die "install, init, share, admit NAME [POOL], join, joined, healthy, start, settle, drain, watch or retire" ;;
esac
