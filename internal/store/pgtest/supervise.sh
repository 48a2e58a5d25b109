# Keeps a PostgreSQL server for as long as its standard input stays open, then stops it and removes its folder. The writing
# end is held by the test process alone, so this happens even if that is killed. Prints the folder once it holds a cluster,
# or else why not.
#
# $1: folder of PostgreSQL's programs; $2: where to make the folder; the rest: arguments for postgres.
# It reads commands: start; fill and free the disk at /mnt, where it has one of its own. The folder's file pid is there while
# the server runs; log is what it says.
bin=$1 parent=$2
shift 2
trap '' PIPE # whoever listened is gone; there is still something to remove
umask 077
dir=$(mktemp -d "$parent/cotrain-pg.XXXXXX" 2>/dev/null || mktemp -d /tmp/cotrain-pg.XXXXXX) || exit

# Words sort otherwise than bytes by ICU's rules, and by those of most locales: a query that relies on the order of bytes shows.
init() {
	"$bin/initdb" -D "$dir/data" -U cotrain -A trust -E UTF8 --no-sync --no-instructions "$@" >"$dir/log" 2>&1 </dev/null
}
if ! init --locale=C --locale-provider=icu --icu-locale=und && ! init --locale=en_US.UTF-8 && ! init --locale=C.UTF-8; then
	cat "$dir/log"
	rm -rf "$dir"
	exit 1
fi
: >"$dir/log"
echo "$dir"

run() {
	"$bin/postgres" -D "$dir/data" -k "$dir" "$@" >>"$dir/log" 2>&1 &
	echo $! >"$dir/pid.new"
	mv "$dir/pid.new" "$dir/pid"
	wait $!
	rm "$dir/pid"
}
while read -r command; do
	case $command in
	start)
		: >"$dir/pid"
		run "$@" & ;;
	fill) cat /dev/zero 2>/dev/null >/mnt/ballast || echo filled ;;
	free) rm /mnt/ballast && echo freed ;;
	esac
done
while [ -e "$dir/pid" ]; do # a signal may come before the server listens to it, or while it is stopped
	pid=$(cat "$dir/pid")
	[ -z "$pid" ] || kill -CONT "$pid"
	[ -z "$pid" ] || kill -QUIT "$pid"
	sleep 0.05
done 2>/dev/null
rm -rf "$dir"
