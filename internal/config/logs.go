package config

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// Logs is where the sealed blocks of logs are: in the folder logs of DataDir, or with S3Bucket in an S3-compatible store.
type Logs struct {
	// S3Bucket is the bucket, "" for the folder (logs.s3_bucket, COTRAIN_LOGS_S3_BUCKET).
	S3Bucket string
	// S3Endpoint is the store's URL (logs.s3_endpoint, COTRAIN_LOGS_S3_ENDPOINT; https://s3.amazonaws.com).
	S3Endpoint string
	// S3Region is "" to ask the store for that of the bucket (logs.s3_region, COTRAIN_LOGS_S3_REGION).
	S3Region string
	// S3Prefix begins the names of objects, without slashes around it (logs.s3_prefix, COTRAIN_LOGS_S3_PREFIX).
	S3Prefix string
	// S3Addressing is where requests name the bucket: path, host, or auto for host with AWS, Google and Alibaba, and path with others
	// (logs.s3_addressing, COTRAIN_LOGS_S3_ADDRESSING; auto).
	S3Addressing string
	// S3CACert is the file with the authority of the store's certificate (logs.s3_ca_cert, COTRAIN_LOGS_S3_CA_CERT).
	S3CACert string
	// S3ClientCert and S3ClientKey are files for mutual TLS (logs.s3_client_cert, COTRAIN_LOGS_S3_CLIENT_CERT; logs.s3_client_key,
	// COTRAIN_LOGS_S3_CLIENT_KEY).
	S3ClientCert string
	S3ClientKey  string
	// S3TLSServerName is in the store's certificate, when it is not the host of the endpoint (logs.s3_tls_server_name,
	// COTRAIN_LOGS_S3_TLS_SERVER_NAME).
	S3TLSServerName string
	// S3AccessKey and S3SecretKey are static credentials; without, those of the machine's role count (COTRAIN_LOGS_S3_ACCESS_KEY,
	// COTRAIN_LOGS_S3_SECRET_KEY, or the content of files).
	S3AccessKey Secret
	S3SecretKey Secret
	// S3Timeout is the longest wait for a request with its repetitions (logs.s3_timeout, COTRAIN_LOGS_S3_TIMEOUT; 30s; 1s to 1h).
	S3Timeout time.Duration
	// Retention is how long the log of a run is kept after its end (logs.retention, COTRAIN_LOGS_RETENTION; 0 for ever).
	Retention time.Duration
	// MaxBytes is the most that all logs may take; the oldest of ended runs go first (logs.max_size, COTRAIN_LOGS_MAX_SIZE; 0 for no
	// limit).
	MaxBytes int64
}

func logSettings() []Setting {
	return []Setting{
		{Key: "logs.retention", Env: "COTRAIN_LOGS_RETENTION", Default: "0s", Help: "how long the log of a run is kept after its end, 24h or more; 0s for ever; a project can have less", kind: duration,
			set: put(func(c *Config) *time.Duration { return &c.Logs.Retention }, retention)},
		{Key: "logs.max_size", Env: "COTRAIN_LOGS_MAX_SIZE", Help: "the most that all logs may take, such as 500GB, 1MB or more: the logs of the runs that ended first are deleted; unset: no limit; a project can have less",
			set: setMaxSize},
		{Key: "logs.s3_bucket", Env: "COTRAIN_LOGS_S3_BUCKET", Help: "bucket of an S3-compatible store that keeps the logs of runs; unset: the folder logs in the data folder",
			set: put(func(c *Config) *string { return &c.Logs.S3Bucket }, bucketName)},
		{Key: "logs.s3_endpoint", Env: "COTRAIN_LOGS_S3_ENDPOINT", Default: "https://s3.amazonaws.com", Help: "URL of that store, http:// or https://",
			set: put(func(c *Config) *string { return &c.Logs.S3Endpoint }, s3Endpoint)},
		{Key: "logs.s3_region", Env: "COTRAIN_LOGS_S3_REGION", Help: "region of the bucket; unset: the store is asked",
			set: put(func(c *Config) *string { return &c.Logs.S3Region }, word)},
		{Key: "logs.s3_prefix", Env: "COTRAIN_LOGS_S3_PREFIX", Help: "folder in the bucket, such as cotrain/logs; every console has its own",
			set: put(func(c *Config) *string { return &c.Logs.S3Prefix }, s3Prefix)},
		{Key: "logs.s3_addressing", Env: "COTRAIN_LOGS_S3_ADDRESSING", Default: "auto", Help: "where requests name the bucket: path, host, or auto, which is host with AWS and path with stores of one's own",
			set: put(func(c *Config) *string { return &c.Logs.S3Addressing }, oneOf("path", "host", "auto"))},
		{Key: "logs.s3_access_key", Env: "COTRAIN_LOGS_S3_ACCESS_KEY", Help: "access key; unset: the credentials of the machine's role (EC2, ECS, EKS)", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.Logs.S3AccessKey })},
		{Key: "logs.s3_secret_key", Env: "COTRAIN_LOGS_S3_SECRET_KEY", Help: "its secret key", Secret: true,
			set: putSecret(func(c *Config) *Secret { return &c.Logs.S3SecretKey })},
		{Key: "logs.s3_ca_cert", Env: "COTRAIN_LOGS_S3_CA_CERT", Help: "file with the authority of the store's certificate",
			set: put(func(c *Config) *string { return &c.Logs.S3CACert }, line)},
		{Key: "logs.s3_client_cert", Env: "COTRAIN_LOGS_S3_CLIENT_CERT", Help: "file with the certificate for mutual TLS",
			set: put(func(c *Config) *string { return &c.Logs.S3ClientCert }, line)},
		{Key: "logs.s3_client_key", Env: "COTRAIN_LOGS_S3_CLIENT_KEY", Help: "file with the key for mutual TLS",
			set: put(func(c *Config) *string { return &c.Logs.S3ClientKey }, line)},
		{Key: "logs.s3_tls_server_name", Env: "COTRAIN_LOGS_S3_TLS_SERVER_NAME", Help: "name in the store's certificate, if not the host of the endpoint",
			set: put(func(c *Config) *string { return &c.Logs.S3TLSServerName }, word)},
		{Key: "logs.s3_timeout", Env: "COTRAIN_LOGS_S3_TIMEOUT", Default: "30s", Help: "longest wait for a request with its repetitions, 1s to 1h", kind: duration,
			set: put(func(c *Config) *time.Duration { return &c.Logs.S3Timeout }, timeout)},
	}
}

// bucketPattern are S3's rules for a bucket's name.
var bucketPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func bucketName(s string) *problem {
	if !bucketPattern.MatchString(s) || strings.Contains(s, "..") {
		return broken("must be 3 to 63 lower-case letters, digits, dots and dashes, with a letter or digit at both ends", "use cotrain-logs, for example")
	}
	return nil
}

func s3Endpoint(s string) *problem {
	if strings.Contains(s, "@") {
		return &problem{rule: "must not hold a user or password", fix: "use COTRAIN_LOGS_S3_ACCESS_KEY and COTRAIN_LOGS_S3_SECRET_KEY", hide: true}
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Contains(s, "?") || strings.Contains(s, "#") {
		return broken("must be a URL that begins with https:// or http:// and a host name", "use https://s3.example.com, for example")
	}
	if u.Path != "" {
		return broken("must end after the port", "use "+u.Scheme+"://"+u.Host+", and logs.s3_bucket and logs.s3_prefix for what follows")
	}
	return nil
}

var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)

func s3Prefix(s string) *problem {
	if len(s) > 512 || !prefixPattern.MatchString(s) {
		return broken("must be names of letters, digits and ._- with slashes between them", "use cotrain/logs, for example")
	}
	return nil
}

// logs checks the settings of the archive as a whole.
func (l *loader) logs() {
	c := l.cfg.Logs
	if _, set := l.from["logs.s3_bucket"]; !set && !l.refused["logs.s3_bucket"] {
		for _, s := range logSettings() {
			if o, given := l.from[s.Key]; given && strings.HasPrefix(s.Key, "logs.s3_") {
				l.fail(s.Key, o.source, o.value, "is about S3, and logs.s3_bucket (COTRAIN_LOGS_S3_BUCKET) is not set", "set logs.s3_bucket, or remove this")
			}
		}
		return
	}
	l.needs("logs.s3_access_key", "logs.s3_secret_key")
	l.needs("logs.s3_secret_key", "logs.s3_access_key")
	l.pair("logs.s3_client_cert", "COTRAIN_LOGS_S3_CLIENT_CERT", c.S3ClientCert, "logs.s3_client_key", "COTRAIN_LOGS_S3_CLIENT_KEY", c.S3ClientKey)
	for _, key := range []string{"logs.s3_ca_cert", "logs.s3_client_cert", "logs.s3_client_key"} {
		l.readable(key)
	}
	if o, set := l.from["logs.s3_access_key"]; set && strings.HasPrefix(c.S3Endpoint, "http://") && !isLoopback(strings.TrimPrefix(c.S3Endpoint, "http://")) {
		l.cfg.Notes = append(l.cfg.Notes, "logs.s3_endpoint begins with http://: whoever is on the way reads the logs of runs; "+o.source+" itself is not sent")
	}
}

func setMaxSize(c *Config, value any) *problem {
	n, ok := run.ParseSize(value.(string))
	if !ok {
		return broken("must be a size with its unit, MB, GB or TB, of 1MB or more", "use 500GB, for example")
	}
	c.Logs.MaxBytes = n
	return nil
}
