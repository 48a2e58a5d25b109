package jobs

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// sockets writes what stands for /proc/net/tcp and tcp6: "port:state" with the state's two hexadecimal digits.
func sockets(t *testing.T, v4, v6 []string) string {
	t.Helper()
	dir := t.TempDir()
	for name, list := range map[string][]string{"tcp": v4, "tcp6": v6} {
		text := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
		address := "0100007F"
		if name == "tcp6" {
			address = "00000000000000000000000001000000"
		}
		for i, s := range list {
			port, state, _ := strings.Cut(s, ":")
			n, err := strconv.Atoi(port)
			if err != nil {
				t.Fatal(err)
			}
			// The remote port is one that is asked for as well: only the local one counts.
			text += fmt.Sprintf("%4d: %s:%04X %s:4E21 %s 00000000:00000000 00:00000000 00000000     0        0 123 1 0000 100 0 0 10 0\n", i, address, n, address, state)
		}
		write(t, filepath.Join(dir, "net", name), text, 0o644)
	}
	return dir
}

// worker0 launches worker 0 of a DiLoCo run with four GPUs, at port 20001.
func worker0(shell, proc string, env map[string]string) launch {
	all := map[string]string{"NOMAD_ALLOC_INDEX": "0", "COTRAIN_GPUS": "4", "NOMAD_PORT_local": "30000"}
	for k, v := range env {
		all[k] = v
	}
	return launch{shell: shell, toml: withDiLoCo, proc: proc, env: all}
}

func TestLaunchVerifiesWorker0sBlockOfPorts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		for _, c := range []struct {
			name  string
			v4    []string
			v6    []string
			env   map[string]string
			toml  string
			taken string // "" when it starts
		}{
			{name: "others around the block", v4: []string{"20000:0A", "20005:0A", "22:0A"}, v6: []string{"20006:0A"}},
			{name: "an old connection's TIME_WAIT", v4: []string{"20002:06"}, v6: []string{"20001:06"}},
			{name: "a listener", v4: []string{"20003:0A"}, taken: "20003"},
			{name: "a listener on IPv6", v6: []string{"20004:0A"}, taken: "20004"},
			{name: "a connection", v4: []string{"20002:01"}, taken: "20002"},
			{name: "the first and another", v4: []string{"20001:0A", "20003:0A", "20003:01"}, v6: []string{"20003:0A"}, taken: "20001 20003"},
			{name: "torchrun's own", env: map[string]string{"NOMAD_PORT_local": "20002"}, taken: "20002"},
			{name: "beyond the last port", env: map[string]string{"NOMAD_PORT_rdzv": "65533"}, taken: "65536"},
			{name: "on another worker", v4: []string{"20003:0A"}, env: map[string]string{"NOMAD_ALLOC_INDEX": "1"}},
			{name: "a block of one", v4: []string{"20002:0A"}, env: map[string]string{"COTRAIN_GPUS": "1"}},
			{name: "one world listens on the first alone", v4: []string{"20002:0A"}, toml: "x = 1\n"},
			{name: "one world", v4: []string{"20001:0A"}, toml: "x = 1\n", taken: "20001"},
			{name: "a single trainer does not listen", v4: []string{"20001:0A"}, toml: "x = 1\n", env: map[string]string{"COTRAIN_NODES": "1"}},
		} {
			l := worker0(shell, sockets(t, c.v4, c.v6), c.env)
			l.addr = "127.0.0.9 20001\n"
			if c.toml != "" {
				l.toml = c.toml
			}
			o, _ := l.run(t)
			e := o.event("port_conflict")
			if c.taken == "" {
				if o.code != 0 || e != nil || o.event("launch") == nil {
					t.Errorf("%s: exit code %d, %v\n%s", c.name, o.code, e, o.stderr)
				}
				continue
			}
			if o.code != 76 || e == nil || e["level"] != "error" || !strings.Contains(e["message"].(string), "cannot have "+c.taken+":") || o.event("launch") != nil {
				t.Errorf("%s: exit code %d, %v\n%s", c.name, o.code, e, o.stderr)
			}
		}
	})
}

func TestLaunchSeesARealListener(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/net/tcp"); err != nil {
		t.Skip("no /proc/net/tcp here: nothing was seen of real sockets")
	}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }() // nothing was written
	port := ln.Addr().(*net.TCPAddr).Port
	o, _ := worker0("sh", "/proc", map[string]string{"NOMAD_PORT_rdzv": strconv.Itoa(port - 1), "COTRAIN_GPUS": "2"}).run(t)
	if e := o.event("port_conflict"); o.code != 76 || e == nil || !strings.Contains(e["message"].(string), strconv.Itoa(port)) {
		t.Errorf("exit code %d, %v", o.code, e)
	}
}

func TestLaunchWarnsWhenIperfsPortIsTaken(t *testing.T) {
	t.Parallel()
	for rank, warns := range map[string]bool{"1": true, "0": false} {
		l := worker0("sh", sockets(t, []string{"10102:0A"}, nil), map[string]string{"NOMAD_ALLOC_INDEX": rank})
		l.addr = "127.0.0.9 25000\n"
		o, _ := l.run(t)
		if e := o.event("port_busy"); o.code != 0 || (e != nil) != warns || warns && e["level"] != "warning" {
			t.Errorf("worker %s: exit code %d, %v", rank, o.code, e)
		}
	}
}

// network writes the kernel's tables of a node with 10.0.3.7/20 on eth1, 192.168.1.9/24 on eth2 and a default route by eth0.
func network(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "net", "route"), "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"+
		"eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"+
		"eth9\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n"+
		"eth1\t0000000A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0\n"+
		"eth2\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", 0o644)
	write(t, filepath.Join(dir, "net", "fib_trie"), "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /20 link UNICAST\n"+
		"     |-- 10.0.3.7\n        /32 host LOCAL\n     |-- 10.0.3.70\n        /20 link UNICAST\n     |-- 192.168.1.9\n        /32 host LOCAL\n"+
		"     |-- 172.31.0.5\n        /32 host LOCAL\n", 0o644)
	return dir
}

func TestLaunchChoosesTheInterfaceThatHoldsTheAddress(t *testing.T) {
	t.Parallel()
	const noIP, withIP = "#!/bin/sh\nexit 127\n", "#!/bin/sh\necho '1: lo    inet 127.0.0.1/8 scope host lo'\n" +
		"echo '2: enp5s0    inet 10.0.3.7/20 brd 10.0.15.255 scope global enp5s0'\necho '3: br0@if4    inet 10.0.3.70/20 scope global br0'\n" +
		"echo '4: ib0    inet6 2001:db8::7/64 scope global '\n"
	each(t, func(t *testing.T, shell string) {
		for _, c := range []struct {
			name, ip, addr, want, event string
			env                         map[string]string
		}{
			{name: "loopback", ip: noIP, addr: "127.0.0.1", want: "lo", event: "it holds 127.0.0.1"},
			{name: "by ip", ip: withIP, addr: "10.0.3.7", want: "enp5s0", event: "it holds 10.0.3.7"},
			{name: "by ip, of a pair", ip: withIP, addr: "10.0.3.70", want: "br0"},
			{name: "by ip, IPv6", ip: withIP, addr: "2001:db8::7", want: "ib0"},
			{name: "by the narrowest route", ip: noIP, addr: "10.0.3.7", want: "eth1"},
			{name: "by another route", ip: noIP, addr: "192.168.1.9", want: "eth2"},
			{name: "by the default route", ip: noIP, addr: "172.31.0.5", want: "eth0"},
			{name: "an address of another machine", ip: noIP, addr: "10.0.3.70", want: "", event: "the trainer's default"},
			{name: "IPv6 without ip", ip: noIP, addr: "2001:db8::7", want: "", event: "the trainer's default"},
			{name: "no address", ip: noIP, addr: "", want: "", event: "the trainer's default"},
			{name: "that of its own network", ip: withIP, addr: "10.0.9.9", want: "enp5s0", event: "it holds 10.0.3.7", env: map[string]string{"NOMAD_ALLOC_IP_rdzv": "10.0.3.7"}},
			{name: "the job's", ip: withIP, addr: "10.0.3.7", want: "eth7", event: "the job names it", env: map[string]string{"COTRAIN_INTERFACE": "eth7", "GLOO_SOCKET_IFNAME": "eth8"}},
			{name: "the node's", ip: withIP, addr: "10.0.3.7", want: "eth8", event: "the environment of the node", env: map[string]string{"GLOO_SOCKET_IFNAME": "eth8"}},
			{name: "the run's", ip: withIP, addr: "10.0.3.7", want: "eth9", event: "the run names it",
				env: map[string]string{"COTRAIN_INTERFACE": "eth7", "NOMAD_META_env": "GLOO_SOCKET_IFNAME=eth9"}},
		} {
			l := started(shell, map[string]string{"NOMAD_IP_rdzv": c.addr})
			for k, v := range c.env {
				l.env[k] = v
			}
			l.proc = network(t)
			l.commands = map[string]string{"ip": c.ip}
			o, _ := l.run(t)
			m := strings.Join(o.messages("interface"), "")
			if o.code != 0 || o.env["GLOO_SOCKET_IFNAME"] != c.want || !strings.Contains(m, c.event) {
				t.Errorf("%s: exit code %d, interface %q, want %q; event %q\n%s", c.name, o.code, o.env["GLOO_SOCKET_IFNAME"], c.want, m, o.stderr)
			}
		}
	})
}

func TestLaunchShowsTheTrainerItsGPUs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		for _, c := range []struct {
			env  map[string]string
			want string // "" for none
		}{
			{map[string]string{"NVIDIA_VISIBLE_DEVICES": "GPU-1,GPU-2"}, "GPU-1,GPU-2"},
			{map[string]string{"NVIDIA_VISIBLE_DEVICES": "all"}, ""},
			{map[string]string{"NVIDIA_VISIBLE_DEVICES": "none"}, ""},
			{map[string]string{"NVIDIA_VISIBLE_DEVICES": "void"}, ""},
			{map[string]string{"NVIDIA_VISIBLE_DEVICES": ""}, ""},
			{nil, ""},
			{map[string]string{"NVIDIA_VISIBLE_DEVICES": "GPU-1", "CUDA_VISIBLE_DEVICES": "3"}, "3"},
			{map[string]string{"NVIDIA_VISIBLE_DEVICES": "GPU-1", "NOMAD_META_env": "CUDA_VISIBLE_DEVICES=2"}, "2"},
			{map[string]string{"NVIDIA_VISIBLE_DEVICES": "GPU-1", "COTRAIN_GPUS": "0"}, ""},
		} {
			if o, _ := started(shell, c.env).run(t); o.code != 0 || o.env["CUDA_VISIBLE_DEVICES"] != c.want {
				t.Errorf("%v: exit code %d, CUDA_VISIBLE_DEVICES is %q, want %q", c.env, o.code, o.env["CUDA_VISIBLE_DEVICES"], c.want)
			}
		}
	})
}
