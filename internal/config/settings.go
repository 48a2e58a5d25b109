package config

import (
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"
)

type kind int

const (
	text     kind = iota
	number        // decimal integer
	boolean       // true or false
	duration      // 60s, 5m
	list          // separated by commas outside the file
	command       // separated by white space outside the file
	lines         // separated by line breaks outside the file
)

// Setting describes a setting, for help and documentation.
type Setting struct {
	Key     string // in the file: nomad.ca_cert
	Env     string // environment variable
	Default string // "" for none
	Help    string // a few words, with the unit
	Secret  bool   // only as Env or in a file: Env_FILE, key_file, --key-file

	kind kind
	set  func(*Config, any) *problem // takes the kind's Go type
	// open lets a secret also be given as key and --key, when it accepts it.
	open func(string) *problem
}

// Keys are those under which the setting is found in the file and in [Flags]: its key, that of a file with the secret, or
// both.
func (s Setting) Keys() []string {
	switch {
	case !s.Secret:
		return []string{s.Key}
	case s.open == nil:
		return []string{s.Key + "_file"}
	}
	return []string{s.Key, s.Key + "_file"}
}

// Flag is the setting's flag: --nomad-ca-cert.
func (s Setting) Flag() string {
	return "--" + strings.NewReplacer(".", "-", "_", "-").Replace(s.Key)
}

// problem is a broken rule and its fix.
type problem struct {
	rule, fix string
	hide      bool // the value holds a secret
}

func broken(rule, fix string) *problem { return &problem{rule: rule, fix: fix} }

// put makes a setter with checks for a field.
func put[T any](field func(*Config) *T, checks ...func(T) *problem) func(*Config, any) *problem {
	return func(c *Config, value any) *problem {
		v, ok := value.(T)
		if !ok {
			return broken("has the wrong type", "see the documentation")
		}
		for _, check := range checks {
			if p := check(v); p != nil {
				return p
			}
		}
		*field(c) = v
		return nil
	}
}

// putSecret makes a setter with checks for a secret.
func putSecret(field func(*Config) *Secret, checks ...func(string) *problem) func(*Config, any) *problem {
	return func(c *Config, value any) *problem {
		var s string
		p := put(func(*Config) *string { return &s }, checks...)(c, value)
		if p == nil {
			*field(c) = Secret(s)
		}
		return p
	}
}

// Settings lists all settings with defaults, in the order of the documentation.
func Settings() []Setting {
	return slices.Concat([]Setting{
		{Key: "listen", Env: "COTRAIN_LISTEN", Default: "127.0.0.1:8080", Help: "address of the web server, with --dev loopback only; port 0 takes a free one",
			set: put(func(c *Config) *string { return &c.Listen }, listenAddress)},
		{Key: "public_url", Env: "COTRAIN_PUBLIC_URL", Help: "URL at which browsers find the console, with its path behind a proxy; needed unless listen is loopback",
			set: setPublicURL},
		{Key: "hosts", Env: "COTRAIN_HOSTS", Help: "other host names under which it may be opened", kind: list,
			set: put(func(c *Config) *[]string { return &c.Hosts }, items(hostName))},
		{Key: "insecure_http", Env: "COTRAIN_INSECURE_HTTP", Default: "false", Help: "accept plain HTTP from the network: whoever is on the way reads passwords, tokens and logs, and can act as any user", kind: boolean,
			set: put(func(c *Config) *bool { return &c.InsecureHTTP })},
		{Key: "data_dir", Env: "COTRAIN_DATA_DIR", Default: ".cotrain", Help: "folder for everything that the console keeps",
			set: put(func(c *Config) *string { return &c.DataDir }, line)},
		{Key: "dev", Env: "COTRAIN_DEV", Default: "false", Help: "use the embedded agent instead of Nomad", kind: boolean,
			set: put(func(c *Config) *bool { return &c.Dev })},
		{Key: "dev_nodes", Env: "COTRAIN_DEV_NODES", Help: "nodes of the embedded agent; unset: one with all of the machine's NVIDIA GPUs, or 4 where it has none", kind: number,
			set: put(func(c *Config) *int { return &c.DevNodes }, between(1, 64))},
		{Key: "dev_gpus", Env: "COTRAIN_DEV_GPUS", Help: "simulated GPUs of each of those nodes; unset: the machine's NVIDIA GPUs, or 2 simulated ones where it has none; none where nvidia-smi fails", kind: number,
			set: setDevGPUs},
		{Key: "dev_clocks", Env: "COTRAIN_DEV_CLOCKS", Help: "by how much those nodes say that their clocks are ahead, or with a minus behind, to try what the console makes of it, each NODE=DURATION: local-2=-12s", kind: list,
			set: put(func(c *Config) *[]string { return &c.DevClocks }, items(devClock))},
		{Key: "dev_variables_key", Env: "COTRAIN_DEV_VARIABLES_KEY", Help: "key that encrypts the embedded agent's variables on disk, 32 characters or more; unset: one that it makes in agent/variables.key of the data folder", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.DevVariablesKey }, longEnough)},
		{Key: "log_level", Env: "COTRAIN_LOG_LEVEL", Default: "info", Help: "debug, info, warn or error", set: setLogLevel},
		{Key: "log_format", Env: "COTRAIN_LOG_FORMAT", Default: "auto", Help: "auto, json or text", set: setLogFormat},
		{Key: "log_formats", Env: "COTRAIN_LOG_FORMATS", Help: "formats of trainers' logs beside the built-in ones, each NAME: PATTERN, where a pattern is text with the places of numbers in braces: acme: it={step} loss={loss}; cotrain parse --config tries them", kind: lines,
			set: put(func(c *Config) *[]string { return &c.LogFormats }, logFormats)},

		{Key: "live.connections", Env: "COTRAIN_LIVE_CONNECTIONS", Default: "10000", Help: "live connections in all, sockets and event streams, 1 to 1000000; each takes about 50 KB and a file descriptor", kind: number,
			set: put(func(c *Config) *int { return &c.Live.Connections }, between(1, 1_000_000))},
		{Key: "live.connections_per_user", Env: "COTRAIN_LIVE_CONNECTIONS_PER_USER", Default: "200", Help: "live connections of one user, 1 to 1000000", kind: number,
			set: put(func(c *Config) *int { return &c.Live.PerUser }, between(1, 1_000_000))},
		{Key: "metrics.runs", Env: "COTRAIN_METRICS_RUNS", Default: "1000", Help: "live runs with metrics of their own in /metrics, the oldest first, 0 to 1000; about 12 series and 1 KB each; 0 for none", kind: number,
			set: put(func(c *Config) *int { return &c.Metrics.Runs }, between(0, 1000))},

		{Key: "tls.cert", Env: "COTRAIN_TLS_CERT", Help: "file with the web server's certificate and those that link it to its authority; read again when it changes",
			set: put(func(c *Config) *string { return &c.TLS.Cert }, line)},
		{Key: "tls.key", Env: "COTRAIN_TLS_KEY", Help: "file with the key of that certificate",
			set: put(func(c *Config) *string { return &c.TLS.Key }, line)},
		{Key: "tls.vault", Env: "COTRAIN_TLS_VAULT", Help: "path at which Vault's PKI signs the web server's certificate, pki/sign/ROLE, in place of those files",
			set: put(func(c *Config) *string { return &c.TLS.Vault }, signPath)},
		{Key: "tls.vault_names", Env: "COTRAIN_TLS_VAULT_NAMES", Help: "host names and addresses in that certificate; unset: those of public_url and hosts", kind: list,
			set: put(func(c *Config) *[]string { return &c.TLS.VaultNames }, items(hostName))},
		{Key: "tls.vault_ttl", Env: "COTRAIN_TLS_VAULT_TTL", Help: "how long that certificate should last, 1m or more; it is renewed after two thirds of it; unset: as Vault's role says", kind: duration,
			set: put(func(c *Config) *time.Duration { return &c.TLS.VaultTTL }, lastsAMinute)},
		{Key: "tls.client_ca", Env: "COTRAIN_TLS_CLIENT_CA", Help: "file with the authorities of which every client must have a certificate",
			set: put(func(c *Config) *string { return &c.TLS.ClientCA }, line)},
		{Key: "tls.redirect_listen", Env: "COTRAIN_TLS_REDIRECT_LISTEN", Help: "second address, such as 0.0.0.0:80, that redirects plain HTTP to the public URL",
			set: put(func(c *Config) *string { return &c.TLS.RedirectListen }, listenAddress)},
		{Key: "proxy.trusted", Env: "COTRAIN_PROXY_TRUSTED", Help: "addresses or CIDRs of the proxies whose X-Forwarded-For, -Proto and -Host are believed", kind: list,
			set: put(func(c *Config) *[]string { return &c.Proxy.Trusted }, items(trustedAddress))},

		{Key: "auth.local", Env: "COTRAIN_AUTH_LOCAL", Default: "true", Help: "people sign in with passwords; false where they sign in at the provider only", kind: boolean,
			set: put(func(c *Config) *bool { return &c.Auth.Local })},
		{Key: "auth.require_second_factor", Env: "COTRAIN_AUTH_REQUIRE_SECOND_FACTOR", Default: "none", Help: "who must have a second factor, here or at the provider: none, administrators or everybody",
			set: put(func(c *Config) *string { return &c.Auth.RequireSecondFactor }, oneOf("everybody", "administrators", "none"))},
		{Key: "auth.secret_key", Env: "COTRAIN_AUTH_SECRET_KEY", Help: "key that encrypts the secrets of second factors in the database, 32 characters or more", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.Auth.SecretKey }, longEnough)},
		{Key: "oidc.issuer", Env: "COTRAIN_OIDC_ISSUER", Help: "URL of an OpenID Connect provider at which people sign in, exactly as it names itself",
			set: put(func(c *Config) *string { return &c.OIDC.Issuer }, line)},
		{Key: "oidc.client_id", Env: "COTRAIN_OIDC_CLIENT_ID", Help: "the console's client ID there",
			set: put(func(c *Config) *string { return &c.OIDC.ClientID }, word)},
		{Key: "oidc.client_secret", Env: "COTRAIN_OIDC_CLIENT_SECRET", Help: "its client secret; a public client has none", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.OIDC.ClientSecret })},
		{Key: "oidc.scopes", Env: "COTRAIN_OIDC_SCOPES", Default: "openid,profile,email,groups", Help: "scopes to ask for", kind: list,
			set: put(func(c *Config) *[]string { return &c.OIDC.Scopes }, items(word), withOpenID)},
		{Key: "oidc.name", Env: "COTRAIN_OIDC_NAME", Default: "SSO", Help: "what people call the provider: Sign in with NAME",
			set: put(func(c *Config) *string { return &c.OIDC.Name }, line)},
		{Key: "oidc.user_claim", Env: "COTRAIN_OIDC_USER_CLAIM", Default: "preferred_username", Help: "claim with the login name of a new user; without one it is the verified email address",
			set: put(func(c *Config) *string { return &c.OIDC.UserClaim }, word)},
		{Key: "oidc.groups_claim", Env: "COTRAIN_OIDC_GROUPS_CLAIM", Default: "groups", Help: "claim with the groups of a user",
			set: put(func(c *Config) *string { return &c.OIDC.GroupsClaim }, word)},
		{Key: "oidc.groups", Env: "COTRAIN_OIDC_GROUPS", Help: "what members of groups may do, each GROUP=PROJECT:ROLE or GROUP=administrator", kind: list,
			set: setGroups},
		{Key: "oidc.allowed_groups", Env: "COTRAIN_OIDC_ALLOWED_GROUPS", Help: "groups of which one must be a member to sign in; unset: everybody whom the provider lets in", kind: list,
			set: put(func(c *Config) *[]string { return &c.OIDC.AllowedGroups }, items(line))},
		{Key: "oidc.second_factor", Env: "COTRAIN_OIDC_SECOND_FACTOR", Default: "mfa,phr,phrh", Help: "values of the claims amr or acr that say that the provider asked for a second factor; any where it always does", kind: list,
			set: put(func(c *Config) *[]string { return &c.OIDC.SecondFactor }, items(word))},
		{Key: "oidc.ca_cert", Env: "COTRAIN_OIDC_CA_CERT", Help: "file with the authority of the provider's certificate",
			set: put(func(c *Config) *string { return &c.OIDC.CACert }, line)},

		{Key: "database.url", Env: "COTRAIN_DATABASE_URL", Help: "URL of PostgreSQL, postgres://USER@HOST/DATABASE; unset: SQLite in the data folder", Secret: true, open: withoutSecrets,
			set: putSecret(func(c *Config) *Secret { return &c.Database.URL }, databaseURL)},
		{Key: "database.user", Env: "COTRAIN_DATABASE_USER", Help: "user of PostgreSQL, where the URL names none",
			set: put(func(c *Config) *string { return &c.Database.User }, line)},
		{Key: "database.password", Env: "COTRAIN_DATABASE_PASSWORD", Help: "password for PostgreSQL", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.Database.Password })},
		{Key: "database.ssl_mode", Env: "COTRAIN_DATABASE_SSL_MODE", Help: "TLS to PostgreSQL: disable, allow, prefer, require, verify-ca or verify-full; unset: as psql, prefer",
			set: put(func(c *Config) *string { return &c.Database.SSLMode }, sslMode)},
		{Key: "database.ssl_root_cert", Env: "COTRAIN_DATABASE_SSL_ROOT_CERT", Help: "file with the authority of PostgreSQL's certificate, or system for those that the machine trusts",
			set: put(func(c *Config) *string { return &c.Database.SSLRootCert }, line)},
		{Key: "database.ssl_cert", Env: "COTRAIN_DATABASE_SSL_CERT", Help: "file with the certificate to log in with",
			set: put(func(c *Config) *string { return &c.Database.SSLCert }, line)},
		{Key: "database.ssl_key", Env: "COTRAIN_DATABASE_SSL_KEY", Help: "file with the key to log in with",
			set: put(func(c *Config) *string { return &c.Database.SSLKey }, line)},
		{Key: "database.max_connections", Env: "COTRAIN_DATABASE_MAX_CONNECTIONS", Default: "16", Help: "connections to PostgreSQL, 2 to 200", kind: number,
			set: put(func(c *Config) *int { return &c.Database.MaxConnections }, between(2, 200))},
		{Key: "database.connect_timeout", Env: "COTRAIN_DATABASE_CONNECT_TIMEOUT", Default: "5s", Help: "longest wait for a connection to PostgreSQL, 1s to 1h", kind: duration,
			set: put(func(c *Config) *time.Duration { return &c.Database.ConnectTimeout }, timeout)},
		{Key: "database.timeout", Env: "COTRAIN_DATABASE_TIMEOUT", Default: "30s", Help: "longest wait for an answer of PostgreSQL, 1s to 1h", kind: duration,
			set: put(func(c *Config) *time.Duration { return &c.Database.Timeout }, timeout)},

		{Key: "nomad.address", Env: "NOMAD_ADDR", Default: "http://127.0.0.1:4646", Help: "URL of Nomad's API; several servers separated by commas, the preferred one first; or consul://nomad, which finds them in Consul",
			set: put(func(c *Config) *string { return &c.Nomad.Address }, nomadAddress)},
		{Key: "nomad.token", Env: "NOMAD_TOKEN", Help: "ACL token", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.Nomad.Token })},
		{Key: "nomad.namespace", Env: "NOMAD_NAMESPACE", Default: "default", Help: "namespace of the jobs",
			set: put(func(c *Config) *string { return &c.Nomad.Namespace }, word)},
		{Key: "nomad.region", Env: "NOMAD_REGION", Help: "region, if not that of the agent",
			set: put(func(c *Config) *string { return &c.Nomad.Region }, word)},
		{Key: "nomad.ca_cert", Env: "NOMAD_CACERT", Help: "file with the authority of the agent's certificate",
			set: put(func(c *Config) *string { return &c.Nomad.CACert }, line)},
		{Key: "nomad.client_cert", Env: "NOMAD_CLIENT_CERT", Help: "file with the certificate for mutual TLS",
			set: put(func(c *Config) *string { return &c.Nomad.ClientCert }, line)},
		{Key: "nomad.client_key", Env: "NOMAD_CLIENT_KEY", Help: "file with the key for mutual TLS",
			set: put(func(c *Config) *string { return &c.Nomad.ClientKey }, line)},
		{Key: "nomad.tls_server_name", Env: "NOMAD_TLS_SERVER_NAME", Help: "name in the agent's certificate",
			set: put(func(c *Config) *string { return &c.Nomad.TLSServerName }, word)},
		{Key: "nomad.skip_verify", Env: "NOMAD_SKIP_VERIFY", Default: "false", Help: "accept any certificate", kind: boolean,
			set: put(func(c *Config) *bool { return &c.Nomad.SkipVerify })},
	}, consulSettings(), []Setting{
		{Key: "vault.address", Env: "VAULT_ADDR", Help: "URL of Vault, for settings whose value is vault:MOUNT/PATH#FIELD",
			set: put(func(c *Config) *string { return &c.Vault.Address }, line)},
		{Key: "vault.auth", Env: "COTRAIN_VAULT_AUTH", Default: "token", Help: "how the console logs in to Vault: token, approle, jwt or cert",
			set: put(func(c *Config) *string { return &c.Vault.Auth }, oneOf("token", "approle", "jwt", "cert"))},
		{Key: "vault.auth_mount", Env: "COTRAIN_VAULT_AUTH_MOUNT", Help: "where that method is enabled, if not at its name",
			set: put(func(c *Config) *string { return &c.Vault.AuthMount }, line)},
		{Key: "vault.role", Env: "COTRAIN_VAULT_ROLE", Help: "role to log in with; for approle its role ID",
			set: put(func(c *Config) *string { return &c.Vault.Role }, line)},
		{Key: "vault.token", Env: "VAULT_TOKEN", Help: "token of Vault", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.Vault.Token })},
		{Key: "vault.renewed_token_file", Env: "COTRAIN_VAULT_RENEWED_TOKEN_FILE", Help: "file with a token that others keep fresh, such as Nomad's secrets/vault_token",
			set: put(func(c *Config) *string { return &c.Vault.TokenFile }, line)},
		{Key: "vault.secret_id", Env: "COTRAIN_VAULT_SECRET_ID", Help: "secret ID of the role, for approle", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.Vault.SecretID })},
		{Key: "vault.jwt_file", Env: "COTRAIN_VAULT_JWT_FILE", Help: "file with the JWT, such as a workload identity of Nomad",
			set: put(func(c *Config) *string { return &c.Vault.JWTFile }, line)},
		{Key: "vault.namespace", Env: "VAULT_NAMESPACE", Help: "namespace of Vault",
			set: put(func(c *Config) *string { return &c.Vault.Namespace }, line)},
		{Key: "vault.ca_cert", Env: "VAULT_CACERT", Help: "file with the authority of Vault's certificate",
			set: put(func(c *Config) *string { return &c.Vault.CACert }, line)},
		{Key: "vault.client_cert", Env: "VAULT_CLIENT_CERT", Help: "file with the certificate for mutual TLS, and to log in with",
			set: put(func(c *Config) *string { return &c.Vault.ClientCert }, line)},
		{Key: "vault.client_key", Env: "VAULT_CLIENT_KEY", Help: "file with its key",
			set: put(func(c *Config) *string { return &c.Vault.ClientKey }, line)},
		{Key: "vault.tls_server_name", Env: "VAULT_TLS_SERVER_NAME", Help: "name in Vault's certificate",
			set: put(func(c *Config) *string { return &c.Vault.ServerName }, line)},

		{Key: "job.file", Env: "COTRAIN_JOB_FILE", Help: "your own job file, in place of the built-in one",
			set: put(func(c *Config) *string { return &c.Job.File }, line)},
		{Key: "job.driver", Env: "COTRAIN_JOB_DRIVER", Help: "Nomad task driver",
			set: put(func(c *Config) *string { return &c.Job.Driver }, word)},
		{Key: "job.image", Env: "COTRAIN_JOB_IMAGE", Help: "container image, for drivers that run one",
			set: put(func(c *Config) *string { return &c.Job.Image }, word)},
		{Key: "job.volumes", Env: "COTRAIN_JOB_VOLUMES", Help: "mounts for containers, host:container[:ro]", kind: list,
			set: put(func(c *Config) *[]string { return &c.Job.Volumes }, items(line))},
		{Key: "job.train_command", Env: "COTRAIN_JOB_TRAIN_COMMAND", Help: "command that trains, if not the default", kind: command,
			set: put(func(c *Config) *[]string { return &c.Job.TrainCommand }, items(line))},
		{Key: "job.trainer", Env: "COTRAIN_JOB_TRAINER", Help: "Python file that torchrun starts, with --dev in place of the reference trainer",
			set: put(func(c *Config) *string { return &c.Job.Trainer }, line)},
		{Key: "job.work_dir", Env: "COTRAIN_JOB_WORK_DIR", Help: "folder of the trainer on the node; it runs there unless there is shared storage",
			set: put(func(c *Config) *string { return &c.Job.WorkDir }, line)},
		{Key: "job.datacenters", Env: "COTRAIN_JOB_DATACENTERS", Help: "datacenters that may run workers", kind: list,
			set: put(func(c *Config) *[]string { return &c.Job.Datacenters }, items(word))},
		{Key: "job.node_pool", Env: "COTRAIN_JOB_NODE_POOL", Help: "node pool of the workers",
			set: put(func(c *Config) *string { return &c.Job.NodePool }, word)},
		{Key: "job.kill_timeout", Env: "COTRAIN_JOB_KILL_TIMEOUT", Default: "60s", Help: "time for a last checkpoint after SIGTERM, 1s to 1h", kind: duration,
			set: put(func(c *Config) *time.Duration { return &c.Job.KillTimeout }, timeout)},
		{Key: "job.dump_signal", Env: "COTRAIN_JOB_DUMP_SIGNAL", Help: "signal on which a trainer that hangs prints its stacks and goes on: SIGQUIT, SIGUSR1 or SIGUSR2; with --dev SIGQUIT for the reference trainer",
			set: put(func(c *Config) *string { return &c.Job.DumpSignal }, oneOf("SIGQUIT", "SIGUSR1", "SIGUSR2"))},
		{Key: "job.status_file", Env: "COTRAIN_JOB_STATUS_FILE", Help: "file in shared storage that a trainer writes its progress into, such as logs/training/{run}/trainer.json; see docs/stream.md",
			set: put(func(c *Config) *string { return &c.Job.StatusFile }, line, statusFile)},
		{Key: "job.vault_role", Env: "COTRAIN_JOB_VAULT_ROLE", Help: "role with which workers log in to Vault for the secrets of runs; unset: the default of their node",
			set: put(func(c *Config) *string { return &c.Job.VaultRole }, word)},
		{Key: "job.interface", Env: "COTRAIN_JOB_INTERFACE", Help: "network interface between workers",
			set: put(func(c *Config) *string { return &c.Job.Interface }, word)},

		{Key: "job.measure_command", Env: "COTRAIN_JOB_MEASURE_COMMAND", Default: "cotrain", Help: "this program on the nodes, which a measurement of the cluster runs there", kind: command,
			set: put(func(c *Config) *[]string { return &c.Job.MeasureCommand }, items(line))},
		{Key: "job.measure_image", Env: "COTRAIN_JOB_MEASURE_IMAGE", Help: "container image that has it, if job.driver runs one; otherwise it is started on the node",
			set: put(func(c *Config) *string { return &c.Job.MeasureImage }, word)},

		{Key: "storage.path", Env: "COTRAIN_STORAGE_PATH", Help: "folder that all workers share, as the console sees it; with --dev one in the data folder",
			set: put(func(c *Config) *string { return &c.Storage.Path }, line)},
		{Key: "storage.mount", Env: "COTRAIN_STORAGE_MOUNT", Help: "the same folder as workers see it, if that is another path",
			set: put(func(c *Config) *string { return &c.Storage.Mount }, line, absolute)},
		{Key: "storage.volume", Env: "COTRAIN_STORAGE_VOLUME", Help: "Nomad host volume that holds it, if nodes do not mount it themselves",
			set: put(func(c *Config) *string { return &c.Storage.Volume }, word)},
		{Key: "storage.owner", Env: "COTRAIN_STORAGE_OWNER", Help: "user who owns the folders of its layout, by name or number",
			set: put(func(c *Config) *string { return &c.Storage.Owner }, word)},
		{Key: "storage.group", Env: "COTRAIN_STORAGE_GROUP", Help: "group of those folders, by name or number",
			set: put(func(c *Config) *string { return &c.Storage.Group }, word)},
		{Key: "storage.mode", Env: "COTRAIN_STORAGE_MODE", Default: "2775", Help: "mode of the folders that jobs write, in octal",
			set: put(func(c *Config) *string { return &c.Storage.Mode }, octalMode)},
		{Key: "storage.mirror_logs", Env: "COTRAIN_STORAGE_MIRROR_LOGS", Default: "false", Help: "also write the logs of workers into logs/training/RUN there, one file for each; runs that set mirror_logs decide for themselves", kind: boolean,
			set: put(func(c *Config) *bool { return &c.Storage.MirrorLogs })},
	}, logSettings(), []Setting{
		{Key: "audit.retention", Env: "COTRAIN_AUDIT_RETENTION", Default: "0s", Help: "how long entries of the audit log are kept, 24h or more; 0s for ever", kind: duration,
			set: put(func(c *Config) *time.Duration { return &c.Audit.Retention }, retention)},
		{Key: "audit.syslog", Env: "COTRAIN_AUDIT_SYSLOG", Help: "syslog server that gets each entry, udp://, tcp:// or tls://HOST:PORT",
			set: put(func(c *Config) *string { return &c.Audit.Syslog }, syslogAddress)},
		{Key: "audit.syslog_ca_cert", Env: "COTRAIN_AUDIT_SYSLOG_CA_CERT", Help: "file with the authority of its certificate",
			set: put(func(c *Config) *string { return &c.Audit.SyslogCACert }, line)},
		{Key: "audit.webhook_url", Env: "COTRAIN_AUDIT_WEBHOOK_URL", Help: "URL that entries are posted to", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.Audit.WebhookURL }, webhookURL)},
		{Key: "audit.webhook_secret", Env: "COTRAIN_AUDIT_WEBHOOK_SECRET", Help: "key that they are signed with", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.Audit.WebhookSecret })},
		{Key: "audit.webhook_private", Env: "COTRAIN_AUDIT_WEBHOOK_PRIVATE", Default: "false", Help: "allow a webhook at a private or loopback address", kind: boolean,
			set: put(func(c *Config) *bool { return &c.Audit.WebhookPrivate })},
	})
}

// statusFile accepts a path of its own for each run, which is not where the console writes.
func statusFile(name string) *problem {
	switch {
	case name == "":
	case !strings.Contains(name, "{run}"):
		return broken("must name {run}, which stands for the run's ID", "use logs/training/{run}/trainer.json")
	case strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), "..") || strings.HasSuffix(name, "/"):
		return broken("must be a file below shared storage", "use logs/training/{run}/trainer.json")
	case path.Clean(name) == "logs/training/{run}/status.json":
		return broken("is the file that the console writes", "use logs/training/{run}/trainer.json")
	}
	return nil
}

// longEnough accepts a key that nobody guesses.
func longEnough(key string) *problem {
	if key != "" && len(key) < 32 {
		return &problem{rule: "must have 32 characters or more", fix: "use the output of openssl rand -base64 32", hide: true}
	}
	return nil
}

func setLogLevel(c *Config, value any) *problem {
	switch strings.ToLower(value.(string)) {
	case "debug":
		c.LogLevel = slog.LevelDebug
	case "info":
		c.LogLevel = slog.LevelInfo
	case "warn", "warning":
		c.LogLevel = slog.LevelWarn
	case "error":
		c.LogLevel = slog.LevelError
	default:
		return broken("must be debug, info, warn or error", "use info")
	}
	return nil
}

func setLogFormat(c *Config, value any) *problem {
	switch f := LogFormat(strings.ToLower(value.(string))); f {
	case LogAuto, LogJSON, LogText:
		c.LogFormat = f
		return nil
	}
	return broken("must be auto, json or text", "use auto")
}

func setDevGPUs(c *Config, value any) *problem {
	var n int
	p := put(func(*Config) *int { return &n }, between(0, 64))(c, value)
	if p == nil {
		c.DevGPUs = &n
	}
	return p
}
