package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// world is what Load sees: variables and files.
type world struct {
	flags Flags
	env   map[string]string
	files map[string]string
}

func (w world) load() (Config, error) {
	environ := func(name string) (string, bool) { v, ok := w.env[name]; return v, ok }
	read := func(name string) ([]byte, error) {
		if text, ok := w.files[name]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return Load(w.flags, environ, read)
}

func defaults() Config {
	return Config{Listen: "127.0.0.1:8080", DataDir: ".cotrain", LogFormat: LogAuto, Live: Live{Connections: 10000, PerUser: 200}, Metrics: Metrics{Runs: 1000}, Auth: Auth{Local: true, RequireSecondFactor: "none"},
		OIDC:     OIDC{Scopes: []string{"openid", "profile", "email", "groups"}, Name: "SSO", UserClaim: "preferred_username", GroupsClaim: "groups", SecondFactor: []string{"mfa", "phr", "phrh"}},
		Database: Database{MaxConnections: 16, ConnectTimeout: 5 * time.Second, Timeout: 30 * time.Second},
		Nomad:    Nomad{Address: "http://127.0.0.1:4646", Namespace: "default"}, Job: Job{KillTimeout: time.Minute, MeasureCommand: []string{"cotrain"}}, Storage: Storage{Mode: "2775"}, Vault: Vault{Auth: "token"},
		Logs: Logs{S3Endpoint: "https://s3.amazonaws.com", S3Addressing: "auto", S3Timeout: 30 * time.Second}}
}

func TestDefaultsHoldWhereNothingIsSaid(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]world{
		"nothing at all":  {},
		"empty variables": {env: map[string]string{"COTRAIN_LISTEN": "", "NOMAD_ADDR": " ", "NOMAD_TOKEN": "", "COTRAIN_CONFIG": ""}},
		"empty flags":     {flags: Flags{"listen": "", "config": ""}},
		"an empty file":   {flags: Flags{"config": "c.toml"}, files: map[string]string{"c.toml": "# nothing\n"}},
	} {
		got, err := w.load()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(defaults(), got, cmpopts.IgnoreUnexported(Config{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFlagsOverrideVariablesOverrideTheFileOverrideDefaults(t *testing.T) {
	t.Parallel()
	const file, env, flag = "file", "variable", "flag"
	for _, tt := range []struct {
		given []string
		want  string
	}{
		{nil, ".cotrain"},
		{[]string{file}, file},
		{[]string{env}, env},
		{[]string{flag}, flag},
		{[]string{file, env}, env},
		{[]string{file, flag}, flag},
		{[]string{env, flag}, flag},
		{[]string{file, env, flag}, flag},
	} {
		w := world{flags: Flags{}, env: map[string]string{}, files: map[string]string{"c.toml": ""}}
		w.flags["config"] = "c.toml"
		for _, layer := range tt.given {
			switch layer {
			case file:
				w.files["c.toml"] = `data_dir = "file"`
			case env:
				w.env["COTRAIN_DATA_DIR"] = env
			case flag:
				w.flags["data_dir"] = flag
			}
		}
		if got, err := w.load(); err != nil || got.DataDir != tt.want {
			t.Errorf("%v: data_dir is %q, %v, want %q", tt.given, got.DataDir, err, tt.want)
		}
	}
}

func TestTheTokenFollowsTheSamePrecedence(t *testing.T) {
	t.Parallel()
	files := map[string]string{"c.toml": "[nomad]\ntoken_file = 'a'", "a": "from-file\n", "b": " from-variable ", "c": "from-flag"}
	for _, tt := range []struct {
		name string
		w    world
		want Secret
	}{
		{"none", world{}, ""},
		{"file of the configuration file", world{flags: Flags{"config": "c.toml"}}, "from-file"},
		{"file of the variable", world{flags: Flags{"config": "c.toml"}, env: map[string]string{"NOMAD_TOKEN_FILE": "b"}}, "from-variable"},
		{"variable", world{flags: Flags{"config": "c.toml"}, env: map[string]string{"NOMAD_TOKEN": "direct"}}, "direct"},
		{"flag", world{flags: Flags{"nomad.token_file": "c"}, env: map[string]string{"NOMAD_TOKEN": "direct"}}, "from-flag"},
	} {
		tt.w.files = files
		if got, err := tt.w.load(); err != nil || got.Nomad.Token != tt.want {
			t.Errorf("%s: %q, %v", tt.name, string(got.Nomad.Token), err)
		}
	}
}

// everything is a value for each setting, other than its default, as text, and what they make. But for dev: that leaves
// aside what opens the console to a network.
func everything() (map[string]string, Config) {
	return map[string]string{
			"listen": "[::]:8443", "public_url": "https://Example.com:443/cotrain/", "hosts": "cotrain,10.0.0.5", "insecure_http": "true",
			"tls.cert": "cert.pem", "tls.key": "key.pem", "tls.client_ca": "ca.pem", "tls.redirect_listen": "[::]:80", "proxy.trusted": "10.0.0.0/8,fd00::1",
			"auth.local": "false", "oidc.issuer": "https://id.example/realms/x", "oidc.client_id": "cotrain", "oidc.scopes": "openid,email", "oidc.name": "Example ID", "oidc.user_claim": "email",
			"oidc.groups_claim": "roles", "oidc.groups": "platform=administrator,ml=vision:operator", "oidc.allowed_groups": "staff,ml", "oidc.second_factor": "mfa,2", "oidc.ca_cert": "ca.pem",
			"data_dir": "/data", "dev": "false", "dev_nodes": "3", "dev_gpus": "0", "dev_clocks": "local-1=1m,local-2=-12s", "log_level": "debug", "log_format": "json", "log_formats": "acme: it={step} loss={loss}\nother: [{_}] l={loss}, n={grad_norm}",
			"database.url": "postgres://cotrain@db.example/cotrain", "database.ssl_mode": "verify-full", "database.ssl_root_cert": "ca.pem", "database.ssl_cert": "cert.pem",
			"database.ssl_key": "key.pem", "database.max_connections": "32", "database.connect_timeout": "2s", "database.timeout": "1m",
			"nomad.address": "https://nomad.example:4646", "nomad.namespace": "train", "nomad.region": "eu", "nomad.ca_cert": "ca.pem",
			"nomad.client_cert": "cert.pem", "nomad.client_key": "key.pem", "nomad.tls_server_name": "server.eu.nomad", "nomad.skip_verify": "true",
			"consul.address": "https://consul.example:8501", "consul.datacenters": "ams,fra", "consul.ca_cert": "ca.pem", "consul.client_cert": "cert.pem",
			"consul.client_key": "key.pem", "consul.tls_server_name": "server.ams.consul", "consul.namespace": "ml", "consul.partition": "gpu", "consul.service": "cotrain",
			"consul.service_address": "10.0.0.5:8443", "consul.service_tags": "metrics,traefik.enable=true",
			"job.file": "my.hcl", "job.driver": "docker", "job.image": "registry/core:1", "job.volumes": "/data:/data,/a:/a:ro",
			"job.train_command": "python3 train.py", "job.measure_command": "/opt/cotrain -x", "job.measure_image": "measure:1", "job.trainer": "train.py", "job.work_dir": "/core", "job.datacenters": "dc1,dc2",
			"job.node_pool": "gpu", "job.kill_timeout": "5m", "job.dump_signal": "SIGUSR2", "job.interface": "eth1", "job.vault_role": "trainers", "job.status_file": "logs/training/{run}/trainer.json",
			"storage.path": "/srv/shared", "storage.mirror_logs": "true", "storage.mount": "/mnt/shared", "storage.volume": "shared", "storage.owner": "trainer", "storage.group": "1000",
			"storage.mode":     "0770",
			"live.connections": "500", "metrics.runs": "50", "live.connections_per_user": "5", "audit.retention": "8760h", "audit.syslog": "tls://logs.example", "audit.syslog_ca_cert": "ca.pem", "audit.webhook_private": "true",
			"auth.require_second_factor": "everybody",
			"database.user":              "cotrain", "vault.address": "https://vault.example:8200", "vault.auth": "approle", "vault.auth_mount": "machines", "vault.role": "role",
			"vault.renewed_token_file": "token", "vault.jwt_file": "jwt", "vault.namespace": "ns1", "vault.ca_cert": "ca.pem", "vault.client_cert": "cert.pem", "vault.client_key": "key.pem",
			"vault.tls_server_name": "vault",
			"logs.s3_bucket":        "cotrain-logs", "logs.s3_endpoint": "https://s3.example:9000", "logs.s3_region": "eu-1", "logs.s3_prefix": "a/b", "logs.s3_addressing": "path", "logs.s3_ca_cert": "ca.pem",
			"logs.s3_client_cert": "cert.pem", "logs.s3_client_key": "key.pem", "logs.s3_tls_server_name": "s3", "logs.s3_timeout": "5s", "logs.retention": "2160h", "logs.max_size": "1.5 TB",
		}, Config{
			Vault: Vault{Address: "https://vault.example:8200", Auth: "approle", AuthMount: "machines", Role: "role", TokenFile: "token", JWTFile: "jwt", Namespace: "ns1", CACert: "ca.pem",
				ClientCert: "cert.pem", ClientKey: "key.pem", ServerName: "vault"},
			Logs: Logs{S3Bucket: "cotrain-logs", S3Endpoint: "https://s3.example:9000", S3Region: "eu-1", S3Prefix: "a/b", S3Addressing: "path", S3CACert: "ca.pem", S3ClientCert: "cert.pem",
				S3ClientKey: "key.pem", S3TLSServerName: "s3", S3AccessKey: "acc3ss", S3SecretKey: "k3y", S3Timeout: 5 * time.Second, Retention: 2160 * time.Hour, MaxBytes: 1_500_000_000_000},
			Auth:   Auth{RequireSecondFactor: "everybody"},
			Listen: "[::]:8443", PublicURL: "https://example.com/cotrain", Hosts: []string{"cotrain", "10.0.0.5"}, InsecureHTTP: true,
			TLS:   TLS{Cert: "cert.pem", Key: "key.pem", ClientCA: "ca.pem", RedirectListen: "[::]:80"},
			Proxy: Proxy{Trusted: []string{"10.0.0.0/8", "fd00::1"}}, DataDir: "/data", DevNodes: 3, DevGPUs: new(0), DevClocks: []string{"local-1=1m", "local-2=-12s"}, LogLevel: slog.LevelDebug, LogFormat: LogJSON,
			LogFormats: []string{"acme: it={step} loss={loss}", "other: [{_}] l={loss}, n={grad_norm}"},
			OIDC: OIDC{Issuer: "https://id.example/realms/x", ClientID: "cotrain", ClientSecret: "s3cret", Scopes: []string{"openid", "email"}, Name: "Example ID", UserClaim: "email", GroupsClaim: "roles",
				Groups:        []access.GroupGrant{{Group: "platform"}, {Group: "ml", Grant: access.Grant{Project: "vision", Role: access.Operator}}},
				AllowedGroups: []string{"staff", "ml"}, SecondFactor: []string{"mfa", "2"}, CACert: "ca.pem"},
			Database: Database{URL: "postgres://cotrain@db.example/cotrain", User: "cotrain", Password: "hunter2", SSLMode: "verify-full", SSLRootCert: "ca.pem", SSLCert: "cert.pem",
				SSLKey: "key.pem", MaxConnections: 32, ConnectTimeout: 2 * time.Second, Timeout: time.Minute},
			Nomad: Nomad{Address: "https://nomad.example:4646", Token: "t0ken", Namespace: "train", Region: "eu", CACert: "ca.pem", ClientCert: "cert.pem",
				ClientKey: "key.pem", TLSServerName: "server.eu.nomad", SkipVerify: true},
			Consul: Consul{Address: "https://consul.example:8501", Token: "c0nsul", Datacenters: []string{"ams", "fra"}, CACert: "ca.pem", ClientCert: "cert.pem", ClientKey: "key.pem",
				TLSServerName: "server.ams.consul", Namespace: "ml", Partition: "gpu", Service: "cotrain", ServiceAddress: "10.0.0.5:8443", ServiceTags: []string{"metrics", "traefik.enable=true"}},
			Job: Job{File: "my.hcl", Driver: "docker", Image: "registry/core:1", Volumes: []string{"/data:/data", "/a:/a:ro"},
				TrainCommand: []string{"python3", "train.py"}, Trainer: "train.py", MeasureCommand: []string{"/opt/cotrain", "-x"}, MeasureImage: "measure:1", WorkDir: "/core", Datacenters: []string{"dc1", "dc2"},
				NodePool: "gpu", KillTimeout: 5 * time.Minute, DumpSignal: "SIGUSR2", Interface: "eth1", VaultRole: "trainers", StatusFile: "logs/training/{run}/trainer.json"},
			Storage: Storage{MirrorLogs: true, Path: "/srv/shared", Mount: "/mnt/shared", Volume: "shared", Owner: "trainer", Group: "1000", Mode: "0770"},
			Live:    Live{Connections: 500, PerUser: 5},
			Metrics: Metrics{Runs: 50},
			Audit:   Audit{Retention: 8760 * time.Hour, Syslog: "tls://logs.example", SyslogCACert: "ca.pem", WebhookPrivate: true},
		}
}

func TestEverySettingCanBeGivenInEveryWay(t *testing.T) {
	t.Parallel()
	values, want := everything()
	files := map[string]string{"ca.pem": "", "cert.pem": "", "key.pem": "", "my.hcl": "", "token": "t0ken\n", "password": "hunter2\n", "secret": "s3cret\n", "consul": "c0nsul\n", "access": "acc3ss\n", "s3key": "k3y\n"}
	w := map[string]world{
		"flags": {files: files, flags: Flags{"nomad.token_file": "token", "database.password_file": "password", "oidc.client_secret_file": "secret", "consul.token_file": "consul",
			"logs.s3_access_key_file": "access", "logs.s3_secret_key_file": "s3key"}},
		"variables": {files: files, env: map[string]string{"NOMAD_TOKEN": "t0ken", "COTRAIN_DATABASE_PASSWORD": "hunter2", "COTRAIN_OIDC_CLIENT_SECRET": "s3cret", "CONSUL_HTTP_TOKEN": "c0nsul",
			"COTRAIN_LOGS_S3_ACCESS_KEY": "acc3ss", "COTRAIN_LOGS_S3_SECRET_KEY": "k3y"}},
	}
	for _, s := range Settings() {
		if !slices.Contains(s.Keys(), s.Key) || strings.HasPrefix(s.Key, "tls.vault") { // which excludes tls.cert
			continue
		}
		if values[s.Key] == "" {
			t.Fatalf("no value for %s", s.Key)
		}
		w["flags"].flags[s.Key] = values[s.Key]
		w["variables"].env[s.Env] = values[s.Key]
	}
	inFile := world{flags: Flags{}, env: map[string]string{EnvFile: "c.toml"}, files: map[string]string{"c.toml": `
listen = "[::]:8443"
public_url = "https://Example.com:443/cotrain/"
hosts = ["cotrain", "10.0.0.5"]
insecure_http = true
data_dir = "/data"
dev = false
dev_nodes = 3
dev_gpus = 0
dev_clocks = ["local-1=1m", "local-2=-12s"]
log_level = "debug"
log_format = "json"
log_formats = ["acme: it={step} loss={loss}", "other: [{_}] l={loss}, n={grad_norm}"]
[live]
connections = 500
connections_per_user = 5
[metrics]
runs = 50
[tls]
cert = "cert.pem"
key = "key.pem"
client_ca = "ca.pem"
redirect_listen = "[::]:80"
[proxy]
trusted = ["10.0.0.0/8", "fd00::1"]
[auth]
local = false
require_second_factor = "everybody"
[oidc]
issuer = "https://id.example/realms/x"
client_id = "cotrain"
client_secret_file = "secret"
scopes = ["openid", "email"]
name = "Example ID"
user_claim = "email"
groups_claim = "roles"
groups = ["platform=administrator", "ml=vision:operator"]
allowed_groups = ["staff", "ml"]
second_factor = ["mfa", "2"]
ca_cert = "ca.pem"
[database]
url = "postgres://cotrain@db.example/cotrain"
user = "cotrain"
password_file = "password"
ssl_mode = "verify-full"
ssl_root_cert = "ca.pem"
ssl_cert = "cert.pem"
ssl_key = "key.pem"
max_connections = 32
connect_timeout = "2s"
timeout = "1m"
[nomad]
address = "https://nomad.example:4646"
token_file = "token"
namespace = "train"
region = "eu"
ca_cert = "ca.pem"
client_cert = "cert.pem"
client_key = "key.pem"
tls_server_name = "server.eu.nomad"
skip_verify = true
[consul]
address = "https://consul.example:8501"
token_file = "consul"
datacenters = ["ams", "fra"]
ca_cert = "ca.pem"
client_cert = "cert.pem"
client_key = "key.pem"
tls_server_name = "server.ams.consul"
namespace = "ml"
partition = "gpu"
service = "cotrain"
service_address = "10.0.0.5:8443"
service_tags = ["metrics", "traefik.enable=true"]
[job]
status_file = "logs/training/{run}/trainer.json"
file = "my.hcl"
driver = "docker"
image = "registry/core:1"
volumes = ["/data:/data", "/a:/a:ro"]
train_command = ["python3", "train.py"]
trainer = "train.py"
measure_command = ["/opt/cotrain", "-x"]
measure_image = "measure:1"
work_dir = "/core"
datacenters = ["dc1", "dc2"]
node_pool = "gpu"
kill_timeout = "5m"
dump_signal = "SIGUSR2"
interface = "eth1"
vault_role = "trainers"
[storage]
mirror_logs = true
path = "/srv/shared"
mount = "/mnt/shared"
volume = "shared"
owner = "trainer"
group = "1000"
mode = "0770"
[logs]
s3_bucket = "cotrain-logs"
s3_endpoint = "https://s3.example:9000"
s3_region = "eu-1"
s3_prefix = "a/b"
s3_addressing = "path"
s3_access_key_file = "access"
s3_secret_key_file = "s3key"
s3_ca_cert = "ca.pem"
s3_client_cert = "cert.pem"
s3_client_key = "key.pem"
s3_tls_server_name = "s3"
s3_timeout = "5s"
retention = "2160h"
max_size = "1.5 TB"
[audit]
retention = "8760h"
syslog = "tls://logs.example"
syslog_ca_cert = "ca.pem"
webhook_private = true
[vault]
address = "https://vault.example:8200"
auth = "approle"
auth_mount = "machines"
role = "role"
renewed_token_file = "token"
jwt_file = "jwt"
namespace = "ns1"
ca_cert = "ca.pem"
client_cert = "cert.pem"
client_key = "key.pem"
tls_server_name = "vault"
`}}
	for name, text := range files {
		inFile.files[name] = text
	}
	w["file"] = inFile
	for name, world := range w {
		got, err := world.load()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAListInTheFileKeepsSpacesInWords(t *testing.T) {
	t.Parallel()
	got, err := world{flags: Flags{"config": "c"}, files: map[string]string{"c": `job.train_command = ["python3", "my train.py"]`}}.load()
	if err != nil || !cmp.Equal(got.Job.TrainCommand, []string{"python3", "my train.py"}) {
		t.Errorf("%q, %v", got.Job.TrainCommand, err)
	}
}

func TestProblemsNameTheirSourceAndWhatPasses(t *testing.T) {
	t.Parallel()
	env := func(name, value string) world { return world{env: map[string]string{name: value}} }
	s3 := func(name, value string) world {
		return world{env: map[string]string{"COTRAIN_LOGS_S3_BUCKET": "logs", name: value}}
	}
	file := func(text string) world {
		return world{flags: Flags{"config": "c.toml"}, files: map[string]string{"c.toml": text}}
	}
	for _, tt := range []struct {
		name             string
		w                world
		field, rule, fix string
	}{
		{"an address without a port", file("listen = 'localhost'"), "c.toml: listen", "host:port", "use 127.0.0.1:8080"},
		{"a port that is too great", env("COTRAIN_LISTEN", "127.0.0.1:65536"), "COTRAIN_LISTEN", "from 0 to 65535", "use"},
		{"a port by name", env("COTRAIN_LISTEN", "127.0.0.1:http"), "COTRAIN_LISTEN", "from 0 to 65535", "use"},
		{"a number that is none", env("COTRAIN_DEV_NODES", "many"), "COTRAIN_DEV_NODES", "whole number", "use 1"},
		{"no nodes", world{flags: Flags{"dev_nodes": "0"}}, "--dev-nodes", "from 1 to 64", "use 1"},
		{"too many GPUs", env("COTRAIN_DEV_GPUS", "65"), "COTRAIN_DEV_GPUS", "from 0 to 64", "use 64"},
		{"a clock of no node", env("COTRAIN_DEV_CLOCKS", "node-1=2s"), "COTRAIN_DEV_CLOCKS", "must be a node of the embedded agent and a duration of at most 24h", "use the form local-2=-12s"},
		{"a clock of another day", env("COTRAIN_DEV_CLOCKS", "local-1=25h"), "COTRAIN_DEV_CLOCKS", "at most 24h", "use the form local-2=-12s"},
		{"neither true nor false", env("COTRAIN_DEV", "perhaps"), "COTRAIN_DEV", "true or false", "use true"},
		{"an unknown level", env("COTRAIN_LOG_LEVEL", "loud"), "COTRAIN_LOG_LEVEL", "debug, info, warn or error", "use info"},
		{"an unknown format", env("COTRAIN_LOG_FORMAT", "xml"), "COTRAIN_LOG_FORMAT", "auto, json or text", "use auto"},
		{"a control character in a path", env("COTRAIN_DATA_DIR", "a\nb"), "COTRAIN_DATA_DIR", "one line", "write it"},
		{"an address of Nomad without scheme", env("NOMAD_ADDR", "nomad:4646"), "NOMAD_ADDR", "begins with http://", "use http://"},
		{"an address of Nomad with a password", env("NOMAD_ADDR", "http://me:hunter2@nomad"), "NOMAD_ADDR", "user or password", "NOMAD_TOKEN"},
		{"an address of Nomad with a password and no host", env("NOMAD_ADDR", "http://me:hunter2@:x"), "NOMAD_ADDR", "user or password", "NOMAD_TOKEN"},
		{"an address of Nomad with a path", env("NOMAD_ADDR", "http://nomad:4646/ui"), "NOMAD_ADDR", "after the port", "use http://nomad:4646"},
		{"two servers of Nomad, one with a path", env("NOMAD_ADDR", "http://a:4646, http://b:4646/ui"), "NOMAD_ADDR", "after the port", "use http://b:4646"},
		{"the same server of Nomad twice", env("NOMAD_ADDR", "http://a:4646,http://a:4646"), "NOMAD_ADDR", "twice", "remove it"},
		{"servers of Nomad with an empty one", env("NOMAD_ADDR", "http://a:4646,"), "NOMAD_ADDR", "begins with http://", "use http://"},
		{"a look-up without Consul", env("NOMAD_ADDR", "consul://nomad"), "NOMAD_ADDR", "needs consul.address", "http://127.0.0.1:8500"},
		{"a look-up with what nobody knows", env("NOMAD_ADDR", "consul://nomad?port=1"), "NOMAD_ADDR", "?tag=TAG", "use consul://nomad"},
		{"a look-up of a strange scheme", env("NOMAD_ADDR", "consul://nomad?scheme=ftp"), "NOMAD_ADDR", "http or https", "use consul://nomad"},
		{"a look-up beside a server", env("NOMAD_ADDR", "consul://nomad,http://a:4646"), "NOMAD_ADDR", "consul://SERVICE", "use consul://nomad"},
		{"an address of Consul with a password", env("CONSUL_HTTP_ADDR", "http://me:hunter2@consul"), "CONSUL_HTTP_ADDR", "user or password", "CONSUL_HTTP_TOKEN"},
		{"an address of Consul with a path", env("CONSUL_HTTP_ADDR", "http://consul:8500/ui"), "CONSUL_HTTP_ADDR", "ends after the port", "use http://"},
		{"a certificate for Consul alone", world{env: map[string]string{"CONSUL_CLIENT_CERT": "c"}, files: map[string]string{"c": ""}}, "CONSUL_CLIENT_CERT", "needs consul.client_key", "set both"},
		{"a service without Consul", env("COTRAIN_CONSUL_SERVICE", "cotrain"), "COTRAIN_CONSUL_SERVICE", "needs consul.address", "http://127.0.0.1:8500"},
		{"a service's name with an underscore", env("COTRAIN_CONSUL_SERVICE", "co_train"), "COTRAIN_CONSUL_SERVICE", "dashes", "use cotrain"},
		{"a service's address for everybody", env("COTRAIN_CONSUL_SERVICE_ADDRESS", "0.0.0.0:80"), "COTRAIN_CONSUL_SERVICE_ADDRESS", "others can reach", "use 10.0.0.5"},
		{"an endpoint of S3 without a bucket", env("COTRAIN_LOGS_S3_ENDPOINT", "https://s3.example"), "COTRAIN_LOGS_S3_ENDPOINT", "logs.s3_bucket (COTRAIN_LOGS_S3_BUCKET) is not set", "set logs.s3_bucket"},
		{"an endpoint of S3 with a bucket in it", s3("COTRAIN_LOGS_S3_ENDPOINT", "https://s3.example/bucket"), "COTRAIN_LOGS_S3_ENDPOINT", "after the port", "use https://s3.example"},
		{"an endpoint of S3 with a password", s3("COTRAIN_LOGS_S3_ENDPOINT", "https://me:hunter2@s3.example"), "COTRAIN_LOGS_S3_ENDPOINT", "user or password", "COTRAIN_LOGS_S3_SECRET_KEY"},
		{"an endpoint of S3 without a scheme", s3("COTRAIN_LOGS_S3_ENDPOINT", "s3.example:9000"), "COTRAIN_LOGS_S3_ENDPOINT", "begins with https://", "use https://"},
		{"a bucket in capitals", env("COTRAIN_LOGS_S3_BUCKET", "Logs"), "COTRAIN_LOGS_S3_BUCKET", "lower-case", "use cotrain-logs"},
		{"a prefix that leads out", s3("COTRAIN_LOGS_S3_PREFIX", "a/../b"), "COTRAIN_LOGS_S3_PREFIX", "slashes between", "use cotrain/logs"},
		{"a prefix with a slash before", s3("COTRAIN_LOGS_S3_PREFIX", "/a"), "COTRAIN_LOGS_S3_PREFIX", "slashes between", "use cotrain/logs"},
		{"an access key alone", s3("COTRAIN_LOGS_S3_ACCESS_KEY", "hunter2"), "COTRAIN_LOGS_S3_ACCESS_KEY", "needs logs.s3_secret_key", "both or neither"},
		{"an authority of S3 that is missing", s3("COTRAIN_LOGS_S3_CA_CERT", "gone"), "COTRAIN_LOGS_S3_CA_CERT", "cannot be read", "correct"},
		{"an address of buckets that is none", s3("COTRAIN_LOGS_S3_ADDRESSING", "dns"), "COTRAIN_LOGS_S3_ADDRESSING", "path, host or auto", "use auto"},
		{"logs for an hour", env("COTRAIN_LOGS_RETENTION", "1h"), "COTRAIN_LOGS_RETENTION", "at least 24h", "use 8760h"},
		{"a size without a unit", env("COTRAIN_LOGS_MAX_SIZE", "500"), "COTRAIN_LOGS_MAX_SIZE", "with its unit", "use 500GB"},
		{"white space in a namespace", env("NOMAD_NAMESPACE", "a b"), "NOMAD_NAMESPACE", "one word", "remove"},
		{"two tokens", world{env: map[string]string{"NOMAD_TOKEN": "a", "NOMAD_TOKEN_FILE": "b"}}, "NOMAD_TOKEN_FILE", "together with NOMAD_TOKEN", "unset"},
		{"a relative mount", env("COTRAIN_STORAGE_MOUNT", "shared"), "COTRAIN_STORAGE_MOUNT", "absolute path", "use /srv/cotrain"},
		{"a mount with a colon", env("COTRAIN_STORAGE_MOUNT", "/a:/b"), "COTRAIN_STORAGE_MOUNT", "without a colon", "use /srv/cotrain"},
		{"a volume without a place", env("COTRAIN_STORAGE_VOLUME", "shared"), "COTRAIN_STORAGE_VOLUME", "needs storage.mount", "set it"},
		{"a mode that locks its owner out", env("COTRAIN_STORAGE_MODE", "0077"), "COTRAIN_STORAGE_MODE", "in octal", "use 2775"},
		{"a mode with setuid", env("COTRAIN_STORAGE_MODE", "4755"), "COTRAIN_STORAGE_MODE", "in octal", "use 2775"},
		{"a mode in words", env("COTRAIN_STORAGE_MODE", "rwxr-xr-x"), "COTRAIN_STORAGE_MODE", "in octal", "use 2775"},
		{"a token file that is missing", env("NOMAD_TOKEN_FILE", "gone"), "NOMAD_TOKEN_FILE", "cannot be read: file does not exist", "correct"},
		{"a token file that is empty", world{flags: Flags{"nomad.token_file": "t"}, files: map[string]string{"t": "\n"}}, "--nomad-token-file", "is empty", "put"},
		{"a token file with two lines", world{env: map[string]string{"NOMAD_TOKEN_FILE": "t"}, files: map[string]string{"t": "a\nb"}}, "NOMAD_TOKEN_FILE", "just one line", "put"},
		{"a token in place of its file", env("NOMAD_TOKEN_FILE", "hunter2"), "NOMAD_TOKEN_FILE", "cannot be read", "the secret itself with NOMAD_TOKEN"},
		{"a token in the file", file("nomad.token = 'hunter2'"), "c.toml: nomad.token", "a secret", "nomad.token_file"},
		{"a token file that is no text", file("nomad.token_file = 1"), "c.toml: nomad.token_file", "path of a file", "correct"},
		{"a certificate that is missing", env("NOMAD_CACERT", "gone"), "NOMAD_CACERT", "cannot be read", "correct"},
		{"a certificate without key", world{env: map[string]string{"NOMAD_CLIENT_CERT": "c"}, files: map[string]string{"c": ""}}, "NOMAD_CLIENT_CERT", "needs nomad.client_key (NOMAD_CLIENT_KEY)", "both or neither"},
		{"a key without certificate", world{env: map[string]string{"NOMAD_CLIENT_KEY": "c"}, files: map[string]string{"c": ""}}, "NOMAD_CLIENT_KEY", "needs nomad.client_cert", "both or neither"},
		{"a job file that is missing", world{flags: Flags{"job.file": "gone"}}, "--job-file", "cannot be read", "correct"},
		{"a container driver without image", env("COTRAIN_JOB_DRIVER", "docker"), "COTRAIN_JOB_DRIVER", "needs job.image (COTRAIN_JOB_IMAGE)", "set the image"},
		{"a duration without unit", env("COTRAIN_JOB_KILL_TIMEOUT", "60"), "COTRAIN_JOB_KILL_TIMEOUT", "with its unit", "use 60s"},
		{"a duration that is too long", env("COTRAIN_JOB_KILL_TIMEOUT", "2h"), "COTRAIN_JOB_KILL_TIMEOUT", "from 1s to 1h", "use 1h"},
		{"an empty datacenter", env("COTRAIN_JOB_DATACENTERS", "a,,b"), "COTRAIN_JOB_DATACENTERS", "empty item", "remove"},
		{"an unknown flag", world{flags: Flags{"nomad.tokn": "x"}}, "--nomad-tokn", "not a flag", "remove"},
		{"a configuration file that is missing", world{flags: Flags{"config": "gone"}}, "--config", "cannot be read", "correct"},
		{"a configuration file that is missing, by variable", env("COTRAIN_CONFIG", "gone"), "COTRAIN_CONFIG", "cannot be read", "correct"},
		{"a file that is not TOML", file("a = 1\nb ="), "--config", "line 2", "correct that line"},
		{"a secret without quotes", file("nomad.token = hunter2"), "--config", "line 1: expected value; text needs quotes", "correct that line"},
		{"a file that is too large", file(strings.Repeat("#", maxFile+1)), "--config", "more than 65536 bytes", "right file"},
		{"an unknown key", file("lisen = 'x'"), "c.toml: lisen", "not a setting", "correct its name"},
		{"an unknown table", file("[nomda]\naddress = 'x'"), "c.toml: nomda.address", "not a setting", "remove"},
		{"a table for a text", file("[listen]\nhost = 'x'"), "c.toml: listen.host", "not a setting", "remove"},
		{"a table that is too deep", file("[nomad.tls]\nca = 'x'"), "c.toml: nomad.tls", "not a setting", "remove"},
		{"a number in quotes", file("dev_nodes = '3'"), "c.toml: dev_nodes", "a whole number", "correct"},
		{"a text without quotes", file("data_dir = 3"), "c.toml: data_dir", "text in quotes", "correct"},
		{"a list of numbers", file("job.datacenters = [1]"), "c.toml: job.datacenters", "a list of texts", "correct"},
		{"a date", file("dev = 1979-05-27"), "c.toml: dev", "true or false", "correct"},
		{"an empty text", file("listen = ''"), "c.toml: listen", "is empty", "127.0.0.1:8080"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.w.wantProblem(t, tt.field, tt.rule, tt.fix)
		})
	}
}

// wantProblem loads and expects one problem with that field, and with rule and fix somewhere in its own.
func (w world) wantProblem(t *testing.T, field, rule, fix string) {
	t.Helper()
	got, err := w.load()
	var errs run.FieldErrors
	if !errors.As(err, &errs) || len(errs) != 1 || !errors.Is(err, fault.ErrInvalid) {
		t.Fatalf("got %v, want one problem", err)
	}
	f := errs[0]
	if f.Field != field || !strings.Contains(f.Rule, rule) || !strings.Contains(f.Fix, fix) || len(f.Value) > 200 {
		t.Errorf("got %+v, want field %q, rule %q, fix %q", f, field, rule, fix)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error shows a secret")
	}
	if !cmp.Equal(got, Config{}, cmpopts.IgnoreUnexported(Config{})) {
		t.Error("a configuration came with the error")
	}
}

func TestAddressesOfNomadAreTaken(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://nomad:4646", "https://10.0.0.1:4646/", "unix:///run/nomad.sock", "http://[::1]:4646", "https://a:4646, https://b:4646,unix:///c", "consul://nomad?tag=&scheme=https"} {
		if got, err := (world{env: map[string]string{"NOMAD_ADDR": address, "CONSUL_HTTP_ADDR": "127.0.0.1:8500"}}).load(); err != nil || got.Nomad.Address != address {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := world{
		flags: Flags{"config": "c.toml", "listen": "everywhere:1"},
		env:   map[string]string{"COTRAIN_LOG_LEVEL": "loud", "NOMAD_ADDR": "nowhere"},
		files: map[string]string{"c.toml": "dev_nodes = 0\ncolour = 'red'"},
	}.load()
	var errs run.FieldErrors
	if !errors.As(err, &errs) {
		t.Fatal(err)
	}
	var fields []string
	for _, f := range errs {
		fields = append(fields, f.Field)
	}
	if got, want := strings.Join(fields, " | "), "c.toml: dev_nodes | c.toml: colour | COTRAIN_LOG_LEVEL | --listen | NOMAD_ADDR"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDevIgnoresWhatIsWrongWithNomadsSettings(t *testing.T) {
	t.Parallel()
	w := world{flags: Flags{"dev": "true"}, env: map[string]string{"NOMAD_ADDR": "nowhere", "NOMAD_TOKEN_FILE": "gone", "NOMAD_CACERT": "gone", "NOMAD_CLIENT_KEY": "gone", "CONSUL_HTTP_ADDR": "ftp://x", "CONSUL_CACERT": "gone"}}
	if got, err := w.load(); err != nil || !got.Dev {
		t.Errorf("%v", err)
	}
}

func TestAFileOfSomethingElseGivesFewErrors(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "key%d = 1\n", i)
	}
	_, err := world{flags: Flags{"config": "c"}, files: map[string]string{"c": b.String()}}.load()
	var errs run.FieldErrors
	if !errors.As(err, &errs) || len(errs) != 21 || !strings.Contains(errs[20].Rule, "980 more") {
		t.Errorf("%d errors", len(errs))
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	cfg := Config{Nomad: Nomad{Token: "hunter2"}, Database: Database{URL: "postgres://u:hunter2@h", Password: "hunter2"}}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("start", "token", cfg.Nomad.Token, "config", cfg)
	data, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{log.String(), string(data), fmt.Sprintf("%v %+v %#v %s %q", cfg, cfg, cfg, cfg.Nomad.Token, cfg.Nomad.Token)} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, "hidden") {
			t.Errorf("shown in %s", text)
		}
	}
}

func TestSettingsAreConsistent(t *testing.T) {
	t.Parallel()
	keys, envs := map[string]bool{}, map[string]bool{}
	for _, s := range Settings() {
		if keys[s.Key] || envs[s.Env] || s.Help == "" || s.Env == "" {
			t.Errorf("%s is given twice, or lacks a variable or help", s.Key)
		}
		keys[s.Key], envs[s.Env] = true, true
		command := strings.HasPrefix(s.Key, "nomad.") || strings.HasPrefix(s.Env, "CONSUL_") || strings.HasPrefix(s.Env, "VAULT_") // those of their command lines
		if !command && s.Env != "COTRAIN_"+strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_")) {
			t.Errorf("%s has the variable %s", s.Key, s.Env)
		}
	}
}

func TestTheEmbeddedAgentBringsItsOwnSharedStorage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"with the agent", map[string]string{"COTRAIN_DEV": "1", "COTRAIN_DATA_DIR": "/data"}, "/data/storage"},
		{"with the agent and another folder", map[string]string{"COTRAIN_DEV": "1", "COTRAIN_STORAGE_PATH": "/else"}, "/else"},
		{"with Nomad", map[string]string{"COTRAIN_DATA_DIR": "/data"}, ""},
	} {
		if got, err := (world{env: tt.env}).load(); err != nil || got.Storage.Path != tt.want {
			t.Errorf("%s: %q, %v", tt.name, got.Storage.Path, err)
		}
	}
}

func TestALookUpInConsulHasDefaults(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][3]string{
		"consul://nomad": {"nomad", "http", "http"}, "consul://nomad-servers?tag=&scheme=https": {"nomad-servers", "", "https"}, "consul://n?tag=api": {"n", "api", "http"},
	} {
		service, tag, scheme, ok := Nomad{Address: address}.Discovery()
		if got := [3]string{service, tag, scheme}; !ok || got != want {
			t.Errorf("%s is %v", address, got)
		}
	}
	if _, _, _, ok := (Nomad{Address: "http://nomad"}).Discovery(); ok {
		t.Error("an address is a look-up")
	}
}

func TestTheGuideToTheClusterNamesEverySettingOfConsul(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/cluster.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Settings() {
		if !strings.HasPrefix(s.Key, "consul.") {
			continue
		}
		for _, name := range append(s.Keys(), s.Env) {
			if !strings.Contains(string(guide), "`"+name+"`") {
				t.Errorf("docs/cluster.md does not name %s", name)
			}
		}
	}
}
