package config

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/cotrain/cotrain/internal/access"
)

// Config is all settings. Each field names its key in the file and its variable; the flag is the key with dashes:
// nomad.ca_cert, --nomad-ca-cert.
type Config struct {
	// Listen is the address of the web server, host:port (listen, COTRAIN_LISTEN; 127.0.0.1:8080). Port 0 takes a free
	// one. With Dev, which has no log-in, only loopback is accepted.
	Listen string
	// PublicURL is where browsers find the console, with a path where a proxy serves it below one and without a slash at
	// the end (public_url, COTRAIN_PUBLIC_URL). "" on loopback only.
	PublicURL string
	// Hosts are other names under which it may be opened (hosts, COTRAIN_HOSTS).
	Hosts []string
	// InsecureHTTP lets the network in without TLS (insecure_http, COTRAIN_INSECURE_HTTP; false).
	InsecureHTTP bool
	// DataDir is the folder for everything that the console keeps (data_dir, COTRAIN_DATA_DIR; .cotrain).
	DataDir string
	// Dev starts the embedded agent instead of talking to Nomad (dev, COTRAIN_DEV; false).
	Dev bool
	// DevNodes is the embedded agent's number of nodes (dev_nodes, COTRAIN_DEV_NODES; 1 to 64). Unset it is 0: one with all
	// of the machine's own GPUs, or 4 if it has none.
	DevNodes int
	// DevGPUs is the simulated GPUs of each (dev_gpus, COTRAIN_DEV_GPUS; 0 to 64). Nil is the machine's own GPUs, or 2
	// simulated ones if it has none; no GPUs if nvidia-smi fails.
	DevGPUs *int
	// DevClocks is by how much its nodes' clocks are ahead, each NODE=DURATION (dev_clocks, COTRAIN_DEV_CLOCKS); see [Config.DevSkews].
	DevClocks []string
	// DevVariablesKey encrypts its variables on disk (COTRAIN_DEV_VARIABLES_KEY, or the content of the file named by
	// dev_variables_key_file); "" for a key that it makes itself.
	DevVariablesKey Secret
	// LogLevel is the least severe line that is logged (log_level, COTRAIN_LOG_LEVEL; info): debug, info, warn, error.
	LogLevel slog.Level
	// LogFormat is text, json, or auto: text on a terminal and JSON otherwise (log_format, COTRAIN_LOG_FORMAT; auto).
	LogFormat LogFormat
	// LogFormats are formats of trainers' logs beside the built-in ones, each NAME: PATTERN (log_formats, COTRAIN_LOG_FORMATS); see
	// [logparse.SiteFormat].
	LogFormats []string

	Live     Live
	Metrics  Metrics
	TLS      TLS
	Proxy    Proxy
	Auth     Auth
	OIDC     OIDC
	Database Database
	Nomad    Nomad
	Consul   Consul
	Job      Job
	Storage  Storage
	Logs     Logs
	Audit    Audit
	Vault    Vault

	unresolved *loader // nil without references

	// Notes are about what is set and has no effect: worth a line in the log.
	Notes []string
}

// LogFormat is how log lines are written.
type LogFormat string

// The formats of log lines.
const (
	LogAuto LogFormat = "auto"
	LogJSON LogFormat = "json"
	LogText LogFormat = "text"
)

// Live is how many live connections there may be: sockets of pages and programs, and event streams.
type Live struct {
	// Connections is how many in all (live.connections, COTRAIN_LIVE_CONNECTIONS; 10000).
	Connections int
	// PerUser is how many of one user (live.connections_per_user, COTRAIN_LIVE_CONNECTIONS_PER_USER; 200); with Dev, where
	// everybody is one, there is no such limit.
	PerUser int
}

// Metrics is what /metrics has for Prometheus.
type Metrics struct {
	// Runs is how many live runs have metrics of their own, the oldest first (metrics.runs, COTRAIN_METRICS_RUNS; 1000; 0 to 1000).
	Runs int
}

// TLS is how the web server encrypts. The files are read again when they change.
type TLS struct {
	// Cert and Key are files, in PEM: the certificate with those that link it to its authority, and its key (tls.cert,
	// COTRAIN_TLS_CERT; tls.key, COTRAIN_TLS_KEY).
	Cert string
	Key  string
	// Vault is where Vault's PKI signs a certificate instead, such as pki/sign/cotrain; its key stays in memory (tls.vault,
	// COTRAIN_TLS_VAULT).
	Vault string
	// VaultNames are in that certificate (tls.vault_names, COTRAIN_TLS_VAULT_NAMES; the hosts of PublicURL and Hosts).
	VaultNames []string
	// VaultTTL is how long it lasts, 0 for what Vault's role says (tls.vault_ttl, COTRAIN_TLS_VAULT_TTL).
	VaultTTL time.Duration
	// ClientCA is the file with the authorities of which clients must have a certificate; "" asks for none (tls.client_ca,
	// COTRAIN_TLS_CLIENT_CA).
	ClientCA string
	// RedirectListen is a second address, host:port, that answers plain HTTP with a redirect to PublicURL
	// (tls.redirect_listen, COTRAIN_TLS_REDIRECT_LISTEN).
	RedirectListen string
}

// On reports whether the web server encrypts.
func (t TLS) On() bool { return t.Cert != "" || t.Vault != "" }

// Proxy is what stands in front of the console.
type Proxy struct {
	// Trusted are the addresses whose X-Forwarded-For, -Proto and -Host are believed, as addresses or CIDRs
	// (proxy.trusted, COTRAIN_PROXY_TRUSTED).
	Trusted []string
}

// Prefixes are the trusted addresses.
func (p Proxy) Prefixes() []netip.Prefix {
	out := make([]netip.Prefix, 0, len(p.Trusted))
	for _, text := range p.Trusted {
		if prefix, err := parsePrefix(text); err == nil { // checked by Load
			out = append(out, prefix)
		}
	}
	return out
}

// Auth is how people sign in. Unused with Dev.
type Auth struct {
	// Local lets them sign in with passwords (auth.local, COTRAIN_AUTH_LOCAL; true). Without, OIDC must be set.
	Local bool
	// RequireSecondFactor is who must have one: none, administrators or everybody (auth.require_second_factor,
	// COTRAIN_AUTH_REQUIRE_SECOND_FACTOR; none).
	RequireSecondFactor string
	// SecretKey encrypts the secrets of second factors in the database (COTRAIN_AUTH_SECRET_KEY, or the content of the file
	// named by auth.secret_key_file or COTRAIN_AUTH_SECRET_KEY_FILE); "" leaves them plain.
	SecretKey Secret
}

// OIDC is a provider at which people sign in by OpenID Connect. Unused with Dev.
type OIDC struct {
	// Issuer is the provider's URL, exactly as it names itself; "" for no provider (oidc.issuer, COTRAIN_OIDC_ISSUER).
	Issuer string
	// ClientID and ClientSecret are what the provider knows the console by; a public client has no secret (oidc.client_id,
	// COTRAIN_OIDC_CLIENT_ID; COTRAIN_OIDC_CLIENT_SECRET, or the content of the file named by oidc.client_secret_file or
	// COTRAIN_OIDC_CLIENT_SECRET_FILE).
	ClientID     string
	ClientSecret Secret
	// Scopes are asked for (oidc.scopes, COTRAIN_OIDC_SCOPES; openid, profile, email, groups).
	Scopes []string
	// Name is what people call the provider (oidc.name, COTRAIN_OIDC_NAME; SSO).
	Name string
	// UserClaim is the claim with the login name of a new user (oidc.user_claim, COTRAIN_OIDC_USER_CLAIM;
	// preferred_username). Where it has none the verified email address is one.
	UserClaim string
	// GroupsClaim is the claim with groups (oidc.groups_claim, COTRAIN_OIDC_GROUPS_CLAIM; groups).
	GroupsClaim string
	// Groups say what the members of groups may do, GROUP=PROJECT:ROLE or GROUP=administrator (oidc.groups,
	// COTRAIN_OIDC_GROUPS).
	Groups []access.GroupGrant
	// AllowedGroups are those of which one must be a member to sign in; empty for everybody whom the provider lets in
	// (oidc.allowed_groups, COTRAIN_OIDC_ALLOWED_GROUPS).
	AllowedGroups []string
	// SecondFactor are the values of the claims amr or acr that say that the provider asked for a second factor; any for a
	// provider that always does (oidc.second_factor, COTRAIN_OIDC_SECOND_FACTOR; mfa, phr, phrh).
	SecondFactor []string
	// CACert is the file with the authority of the provider's certificate; "" for those that the machine trusts
	// (oidc.ca_cert, COTRAIN_OIDC_CA_CERT).
	CACert string
}

// Database is where the console's data is: SQLite in DataDir, or PostgreSQL, which all but URL are about. What URL and
// these leave open is taken from PostgreSQL's own variables (PGHOST, PGPASSWORD, PGSSLMODE, ...), as psql does. What both
// say must be the same.
type Database struct {
	// URL begins with postgres:// or postgresql:// and may hold a password; "" is SQLite (COTRAIN_DATABASE_URL, or the
	// content of the file named by database.url_file or COTRAIN_DATABASE_URL_FILE; without a password also database.url).
	// Use ConnString to connect.
	URL Secret
	// User is the user, where the URL names none (database.user, COTRAIN_DATABASE_USER).
	User string
	// Password is the user's (COTRAIN_DATABASE_PASSWORD, or the content of the file named by database.password_file or
	// COTRAIN_DATABASE_PASSWORD_FILE).
	Password Secret
	// SSLMode is what TLS must give: disable, allow, prefer, require, verify-ca, verify-full (database.ssl_mode,
	// COTRAIN_DATABASE_SSL_MODE).
	SSLMode string
	// SSLRootCert is the file with the authority that signed the server's certificate, or system for those that the
	// machine trusts (database.ssl_root_cert, COTRAIN_DATABASE_SSL_ROOT_CERT).
	SSLRootCert string
	// SSLCert and SSLKey are files for mutual TLS (database.ssl_cert, COTRAIN_DATABASE_SSL_CERT; database.ssl_key,
	// COTRAIN_DATABASE_SSL_KEY).
	SSLCert string
	SSLKey  string
	// MaxConnections is how many are open at once at most (database.max_connections, COTRAIN_DATABASE_MAX_CONNECTIONS; 16;
	// 2 to 200). One console hardly runs more queries at a time, and a server takes 100 in all unless told otherwise.
	MaxConnections int
	// ConnectTimeout is the longest wait for a connection (database.connect_timeout, COTRAIN_DATABASE_CONNECT_TIMEOUT; 5s;
	// 1s to 1h), for each address of the server.
	ConnectTimeout time.Duration
	// Timeout is the longest wait for one answer, so that a server which hangs is not waited for (database.timeout,
	// COTRAIN_DATABASE_TIMEOUT; 30s; 1s to 1h).
	Timeout time.Duration
}

// Vault is how to reach Vault, for settings that are references to it: vault:<mount>/<path>#<field>. The variables that begin
// with VAULT_ are those of Vault's own command line.
type Vault struct {
	Address    string // vault.address, VAULT_ADDR
	Namespace  string // vault.namespace, VAULT_NAMESPACE
	CACert     string // vault.ca_cert, VAULT_CACERT
	ClientCert string // vault.client_cert, VAULT_CLIENT_CERT
	ClientKey  string // vault.client_key, VAULT_CLIENT_KEY
	ServerName string // vault.tls_server_name, VAULT_TLS_SERVER_NAME
	Auth       string // vault.auth, COTRAIN_VAULT_AUTH: token, approle, jwt, cert
	AuthMount  string // vault.auth_mount, COTRAIN_VAULT_AUTH_MOUNT; "" for the method's name
	Role       string // vault.role, COTRAIN_VAULT_ROLE
	Token      Secret // VAULT_TOKEN, or the content of a file; see TokenFile
	TokenFile  string // vault.renewed_token_file, COTRAIN_VAULT_RENEWED_TOKEN_FILE: read again by each log-in
	SecretID   Secret // COTRAIN_VAULT_SECRET_ID, or the content of the file named by vault.secret_id_file
	JWTFile    string // vault.jwt_file, COTRAIN_VAULT_JWT_FILE
}

// Nomad is how to reach the cluster. The variables are those of Nomad's own command line. Unused with Dev.
type Nomad struct {
	// Address is a URL, http, https or unix, several of them separated by commas with the preferred one first, or consul://SERVICE
	// (nomad.address, NOMAD_ADDR; http://127.0.0.1:4646); see Discovery.
	Address string
	// Token is an ACL token (NOMAD_TOKEN, or the content of the file named by nomad.token_file or NOMAD_TOKEN_FILE).
	Token Secret
	// Namespace holds the jobs (nomad.namespace, NOMAD_NAMESPACE; default).
	Namespace string
	// Region is "" for that of the agent (nomad.region, NOMAD_REGION).
	Region string
	// CACert is the file with the authority that signed the agent's certificate (nomad.ca_cert, NOMAD_CACERT).
	CACert string
	// ClientCert and ClientKey are files for mutual TLS (nomad.client_cert, NOMAD_CLIENT_CERT; nomad.client_key,
	// NOMAD_CLIENT_KEY).
	ClientCert string
	ClientKey  string
	// TLSServerName is the name that the agent's certificate must have, when it is not that of the address
	// (nomad.tls_server_name, NOMAD_TLS_SERVER_NAME).
	TLSServerName string
	// SkipVerify accepts any certificate (nomad.skip_verify, NOMAD_SKIP_VERIFY; false).
	SkipVerify bool
}

// Job is how training jobs run on this site. Zero means the job file's default.
type Job struct {
	// File is the operator's own job file (job.file, COTRAIN_JOB_FILE); "" for the built-in one. It may change at any
	// time.
	File string
	// Driver is the Nomad task driver: raw_exec, exec, docker, podman (job.driver, COTRAIN_JOB_DRIVER).
	Driver string
	// Image is the container image for drivers that run one (job.image, COTRAIN_JOB_IMAGE).
	Image string
	// Volumes are mounts for containers, host:container[:ro] (job.volumes, COTRAIN_JOB_VOLUMES).
	Volumes []string
	// TrainCommand is what is executed, word by word, before @config.toml (job.train_command, COTRAIN_JOB_TRAIN_COMMAND,
	// split at white space there; a list in the file keeps spaces). Empty for the default: the reference trainer with
	// Dev unless Trainer is set, torchrun with Trainer otherwise.
	TrainCommand []string
	// Trainer is the Python file that torchrun starts, relative to WorkDir (job.trainer, COTRAIN_JOB_TRAINER).
	Trainer string
	// WorkDir is the folder on the node in which it runs (job.work_dir, COTRAIN_JOB_WORK_DIR); "" for the task's own.
	WorkDir string
	// Datacenters may run workers; * stands for any characters (job.datacenters, COTRAIN_JOB_DATACENTERS).
	Datacenters []string
	// NodePool is the Nomad node pool of the workers (job.node_pool, COTRAIN_JOB_NODE_POOL).
	NodePool string
	// KillTimeout is how long a worker has, after SIGTERM, to save a checkpoint (job.kill_timeout,
	// COTRAIN_JOB_KILL_TIMEOUT; 60s; 1s to 1h). Nomad clients cap it at their max_kill_timeout.
	KillTimeout time.Duration
	// DumpSignal has a trainer print its stacks and go on (job.dump_signal, COTRAIN_JOB_DUMP_SIGNAL): SIGQUIT, SIGUSR1 or SIGUSR2; ""
	// where none does. With Dev the reference trainer's is SIGQUIT.
	DumpSignal string
	// StatusFile is where a trainer writes its progress, in shared storage, with {run} and {attempt} (job.status_file,
	// COTRAIN_JOB_STATUS_FILE; "" for nowhere).
	StatusFile string
	// VaultRole is the role of Vault that workers with secrets there log in with (job.vault_role, COTRAIN_JOB_VAULT_ROLE); "" for the
	// default of their node.
	VaultRole string
	// Interface is the network interface between workers, such as eth0 (job.interface, COTRAIN_JOB_INTERFACE); "" for
	// the one that the node uses for the cluster.
	Interface string
	// MeasureCommand runs this program on the nodes (job.measure_command, COTRAIN_JOB_MEASURE_COMMAND; cotrain), in MeasureImage if
	// that is set and Driver runs images (job.measure_image, COTRAIN_JOB_MEASURE_IMAGE). With Dev it is the console's own executable.
	MeasureCommand []string
	MeasureImage   string
}

// Storage is the folder that all workers share. Path lets the console see it, Mount the workers.
type Storage struct {
	// MirrorLogs has the logs of workers written there, too, of runs that do not say otherwise (storage.mirror_logs, COTRAIN_STORAGE_MIRROR_LOGS; false).
	MirrorLogs bool
	// Path is the folder as the console sees it (storage.path, COTRAIN_STORAGE_PATH; with Dev the folder storage in
	// DataDir, otherwise none).
	Path string
	// Mount is the same folder as workers see it, an absolute path (storage.mount, COTRAIN_STORAGE_MOUNT; Path).
	Mount string
	// Volume is the Nomad host volume that holds it; "" where the nodes have Mount by themselves (storage.volume,
	// COTRAIN_STORAGE_VOLUME).
	Volume string
	// Owner and Group are who the folders of its layout belong to, by name or number (storage.owner,
	// COTRAIN_STORAGE_OWNER; storage.group, COTRAIN_STORAGE_GROUP); "" leaves that as it is.
	Owner string
	Group string
	// Mode is that of the folders which jobs write, in octal (storage.mode, COTRAIN_STORAGE_MODE; 2775).
	Mode string
}

// Audit is how long the audit log is kept, and where its entries are sent.
type Audit struct {
	// Retention is how long entries are kept (audit.retention, COTRAIN_AUDIT_RETENTION; 0 for ever).
	Retention time.Duration
	// Syslog is a server that gets each entry: udp://, tcp:// or tls://HOST:PORT (audit.syslog, COTRAIN_AUDIT_SYSLOG).
	Syslog string
	// SyslogCACert is the file with the authority of its certificate, "" for those that the machine trusts
	// (audit.syslog_ca_cert, COTRAIN_AUDIT_SYSLOG_CA_CERT).
	SyslogCACert string
	// WebhookURL gets entries as JSON (COTRAIN_AUDIT_WEBHOOK_URL, or the content of the file named by audit.webhook_url_file
	// or COTRAIN_AUDIT_WEBHOOK_URL_FILE).
	WebhookURL Secret
	// WebhookSecret signs them (COTRAIN_AUDIT_WEBHOOK_SECRET, or the content of the file named by audit.webhook_secret_file or
	// COTRAIN_AUDIT_WEBHOOK_SECRET_FILE).
	WebhookSecret Secret
	// WebhookPrivate allows a webhook at a private or loopback address (audit.webhook_private, COTRAIN_AUDIT_WEBHOOK_PRIVATE;
	// false).
	WebhookPrivate bool
}

// Secret is hidden in logs and format verbs; string(s) reveals it.
type Secret string

const hiddenSecret = "(hidden)"

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hiddenSecret
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON and other encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
